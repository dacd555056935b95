// Tables on the console.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace bench {

using Cells = std::vector<std::string>;

// Aligned text that is Markdown as well; the first line is the header, and all have as many cells.
void print_table(std::ostream &out, const std::vector<Cells> &lines);

std::string number(double value, int digits);

// Of a rate, "12.3"; "-" of 0.
std::string gigabytes(double bytes);

} // namespace bench
