// Results by shape, with the contenders side by side and the limits beside them.
#pragma once

#include "measurements.hpp"

#include <iosfwd>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace bench {

class ResultTable {
  public:
    // Columns stand in the order in which contenders are first entered.
    void enter(const Measurement &measurement, double bytes_per_second);

    // Aligned text that is Markdown as well.
    void print(std::ostream &out) const;

  private:
    using Cells = std::vector<std::string>;

    // Columns, rows, threads: the order of the table.
    using Key = std::tuple<std::size_t, std::size_t, int>;

    struct Row {
        std::string regime;
        std::map<std::string, double> rates; // bytes per second by heading
        double best = 0;                     // of simdnorm's instruction sets; 0: not measured, here and below
        double plain_copy = 0;
        double streaming_copy = 0;
    };

    Cells header() const;
    Cells cells(const Key &key, const Row &row) const;

    std::vector<std::string> headings_;
    std::map<Key, Row> rows_;
};

} // namespace bench
