// What programs that measure by Google Benchmark have in common.
#pragma once

#include "measurements.hpp"
#include "median_reporter.hpp"

#include <string>
#include <vector>

namespace bench {

// Whether it was among the arguments, from which it is taken.
bool take(std::vector<std::string> &arguments, const std::string &option);

// Gives the arguments, of which the first is the program's name, to Google Benchmark, with our defaults: what the user
// says wins. Ends the program where one is unknown, or help was asked for. The arguments must outlive the run.
void initialize(std::vector<std::string> &arguments, bool smoke, void (*print_help)());

// Runs what was registered, and prints by that reporter unless the user wants JSON or CSV. Returns the exit status: of
// a failure if a measurement failed, or the filter left none.
int run_measurements(const Measurements &measurements, const std::vector<Contender> &contenders,
                     MedianReporter &reporter);

} // namespace bench
