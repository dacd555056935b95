#include "result_table.hpp"

#include <algorithm>
#include <iterator>
#include <ostream>

namespace bench {

namespace {

// simdnorm's columns are named after the instruction set, all others after the contender.
std::string heading(const Contender &contender) {
    return contender.kind == Kind::simdnorm ? contender.set : contender.name;
}

// The peers that were written for speed; the others stand in the table to be seen.
bool is_rival(const Contender &contender) {
    return contender.name == "onednn" || contender.name == "libtorch";
}

std::string share(double part, double whole) {
    return part > 0 && whole > 0 ? number(part / whole, 2) : "-";
}

} // namespace

void ResultTable::enter(const Measurement &measurement, double bytes_per_second) {
    const Contender &contender = measurement.contender;
    const std::string name = heading(contender);
    if (std::find(headings_.begin(), headings_.end(), name) == headings_.end()) {
        headings_.push_back(name);
        if (is_limit(contender.kind)) {
            limits_.push_back(name);
        }
    }
    Row &row = rows_[{measurement.shape.columns, measurement.shape.rows, measurement.threads}];
    row.regime = measurement.shape.regime;
    row.rates[name] = bytes_per_second;
    if (contender.kind == Kind::simdnorm && contender.set == automatic_set_) {
        row.automatic = bytes_per_second;
    }
    if (is_rival(contender)) {
        row.rival = std::max(row.rival, bytes_per_second);
    }
}

double ResultTable::Row::rate(const std::string &name) const {
    const auto found = rates.find(name);
    return found == rates.end() ? 0 : found->second;
}

bool ResultTable::has_rivals() const {
    return std::any_of(rows_.begin(), rows_.end(), [](const auto &entry) { return entry.second.rival > 0; });
}

Cells ResultTable::header() const {
    Cells cells = {"D", "N", "where", "threads"};
    cells.insert(cells.end(), headings_.begin(), headings_.end());
    std::transform(limits_.begin(), limits_.end(), std::back_inserter(cells),
                   [](auto &limit) { return "auto/" + limit; });
    if (has_rivals()) {
        cells.push_back("auto/peer");
    }
    cells.push_back("as in");
    return cells;
}

Cells ResultTable::cells(const Key &key, const Row &row) const {
    const auto [columns, rows, threads] = key;
    Cells cells = {std::to_string(columns), std::to_string(rows), row.regime, std::to_string(threads)};
    for (const std::string &name : headings_) {
        cells.push_back(gigabytes(row.rate(name)));
    }
    for (const std::string &limit : limits_) {
        cells.push_back(share(row.automatic, row.rate(limit)));
    }
    if (has_rivals()) {
        cells.push_back(share(row.automatic, row.rival));
    }
    cells.push_back(models_with(columns));
    return cells;
}

void ResultTable::print(std::ostream &out) const {
    std::vector<Cells> lines = {header()};
    for (const auto &[key, row] : rows_) {
        lines.push_back(cells(key, row));
    }
    print_table(out, lines);
}

} // namespace bench
