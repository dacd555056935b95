// Results by shape, with the contenders side by side: simdnorm, its peers, the limits.
#pragma once

#include "markdown.hpp"
#include "measurements.hpp"

#include <iosfwd>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace bench {

class ResultTable {
  public:
    // Of simdnorm's sets, the automatic one is compared with others: what users get.
    explicit ResultTable(std::string automatic_set) : automatic_set_(std::move(automatic_set)) {}

    // Columns stand in the order in which contenders are first entered.
    void enter(const Measurement &measurement, double bytes_per_second);

    // Aligned text that is Markdown as well.
    void print(std::ostream &out) const;

  private:
    // Columns, rows, threads: the order of the table.
    using Key = std::tuple<std::size_t, std::size_t, int>;

    struct Row {
        std::string regime;
        std::map<std::string, double> rates; // bytes per second by heading
        double automatic = 0;                // 0: not measured, here and below
        double rival = 0;                    // the faster of oneDNN and libtorch

        double rate(const std::string &name) const;
    };

    bool has_rivals() const;
    Cells header() const;
    Cells cells(const Key &key, const Row &row) const;

    std::string automatic_set_;
    std::vector<std::string> headings_;
    std::vector<std::string> limits_; // those of the headings that are limits
    std::map<Key, Row> rows_;
};

} // namespace bench
