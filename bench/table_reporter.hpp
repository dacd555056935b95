// The table at the end of a run, for a person to read.
#pragma once

#include "measurements.hpp"

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// Takes the place of Google Benchmark's console output: collects the results, and prints a table of each pass when all
// is done.
class TableReporter : public benchmark::BenchmarkReporter {
  public:
    // `preamble` stands above the tables.
    TableReporter(const Measurements &measurements, std::string automatic_set, std::string preamble)
        : measurements_(measurements), automatic_set_(std::move(automatic_set)), preamble_(std::move(preamble)) {}

    bool ReportContext(const Context &context) override;
    void ReportRuns(const std::vector<Run> &runs) override;
    void Finalize() override;

  private:
    const Measurements &measurements_;
    std::string automatic_set_;
    std::string preamble_;
    // Bytes per second by the measurement's name: of each repetition, and their median where Google Benchmark passes on
    // nothing but aggregates.
    std::map<std::string, std::vector<double>> rates_;
};

} // namespace bench
