// Results for a person to read, when all is measured.
#pragma once

#include "measurements.hpp"

#include <benchmark/benchmark.h>

#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bench {

// Takes the place of Google Benchmark's console output: collects the results, and prints when all is done.
class MedianReporter : public benchmark::BenchmarkReporter {
  public:
    bool ReportContext(const Context &context) override;
    void ReportRuns(const std::vector<Run> &runs) override;
    void Finalize() override;

  protected:
    explicit MedianReporter(const Measurements &measurements) : measurements_(measurements) {}

    // Bytes per second, the median of the repetitions; nothing where it was not measured, or failed.
    std::optional<double> rate(const Measurement &measurement) const;
    const Measurements &measurements() const { return measurements_; }

  private:
    virtual void print(std::ostream &out) = 0;

    const Measurements &measurements_;
    // Bytes per second by the measurement's name: of each repetition, and their median where Google Benchmark passes on
    // nothing but aggregates.
    std::map<std::string, std::vector<double>> rates_;
};

} // namespace bench
