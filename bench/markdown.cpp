#include "markdown.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <iomanip>
#include <iterator>
#include <ostream>

namespace bench {

namespace {

// Markdown's mark for a column that is aligned to the right.
std::string rule(std::size_t width) {
    return std::string(width - 1, '-') + ":";
}

} // namespace

std::string number(double value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string gigabytes(double bytes) {
    return bytes == 0 ? "-" : number(bytes * 1e-9, bytes < 10e9 ? 2 : 1);
}

void print_table(std::ostream &out, const std::vector<Cells> &lines) {
    std::vector<std::size_t> widths(lines.front().size(), 2); // a rule needs two characters
    for (const Cells &line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], line[i].size());
        }
    }
    std::vector<Cells> all = lines;
    Cells rules;
    std::transform(widths.begin(), widths.end(), std::back_inserter(rules), rule);
    all.insert(all.begin() + 1, rules);
    for (const Cells &line : all) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            out << "| " << std::setw(static_cast<int>(widths[i])) << line[i] << ' ';
        }
        out << "|\n";
    }
}

} // namespace bench
