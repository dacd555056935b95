// The table at the end of the benchmark.
#pragma once

#include "median_reporter.hpp"

#include <iosfwd>
#include <string>
#include <utility>

namespace bench {

// A table of each pass.
class TableReporter : public MedianReporter {
  public:
    // `preamble` stands above the tables.
    TableReporter(const Measurements &measurements, std::string automatic_set, std::string preamble)
        : MedianReporter(measurements), automatic_set_(std::move(automatic_set)), preamble_(std::move(preamble)) {}

  private:
    void print(std::ostream &out) override;

    std::string automatic_set_;
    std::string preamble_;
};

} // namespace bench
