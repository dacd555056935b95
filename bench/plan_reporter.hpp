// The tables of what plans choose: what each value reaches beside the one that is planned.
#pragma once

#include "median_reporter.hpp"

#include <iosfwd>
#include <string>
#include <utility>

namespace bench {

// One table for each choice of each pass.
class PlanReporter : public MedianReporter {
  public:
    // `preamble` stands above the tables.
    PlanReporter(const Measurements &measurements, std::string instruction_set, std::string preamble)
        : MedianReporter(measurements), instruction_set_(std::move(instruction_set)), preamble_(std::move(preamble)) {}

  private:
    void print(std::ostream &out) override;

    std::string instruction_set_;
    std::string preamble_;
};

} // namespace bench
