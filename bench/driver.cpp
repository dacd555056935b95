#include "driver.hpp"

#include "context.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <memory>

namespace bench {

namespace {

// They go first: what the user says comes later and wins. Repetitions of a shape are spread over the whole run, so that
// a machine that is slow for a while is slow to all contenders.
std::vector<std::string> default_arguments(bool smoke) {
    if (smoke) {
        return {"--benchmark_min_time=0.0001" SIMDNORM_BENCH_SECONDS_SUFFIX};
    }
    return {"--benchmark_min_time=0.02" SIMDNORM_BENCH_SECONDS_SUFFIX, "--benchmark_repetitions=7",
            "--benchmark_enable_random_interleaving=true"};
}

} // namespace

bool take(std::vector<std::string> &arguments, const std::string &option) {
    return std::erase(arguments, option) > 0;
}

void initialize(std::vector<std::string> &arguments, bool smoke, void (*print_help)()) {
    const auto defaults = default_arguments(smoke);
    arguments.insert(arguments.begin() + 1, defaults.begin(), defaults.end());
    std::vector<char *> argv; // Google Benchmark keeps a pointer to the name of the program
    argv.reserve(arguments.size() + 1);
    for (std::string &argument : arguments) {
        argv.push_back(argument.data());
    }
    int argc = static_cast<int>(argv.size());
    argv.push_back(nullptr);
    benchmark::Initialize(&argc, argv.data(), print_help);
    if (benchmark::ReportUnrecognizedArguments(argc, argv.data())) {
        std::exit(EXIT_FAILURE);
    }
}

int run_measurements(const Measurements &measurements, const std::vector<Contender> &contenders,
                     MedianReporter &reporter) {
    for (const Fact &fact : context(contenders)) {
        benchmark::AddCustomContext(fact.name, fact.value);
    }
    const std::unique_ptr<benchmark::BenchmarkReporter> standard(benchmark::CreateDefaultDisplayReporter());
    const bool wants_console = dynamic_cast<benchmark::ConsoleReporter *>(standard.get()) != nullptr;
    const std::size_t matching = benchmark::RunSpecifiedBenchmarks(
        wants_console ? static_cast<benchmark::BenchmarkReporter *>(&reporter) : standard.get());
    if (measurements.failures() > 0) {
        std::cerr << measurements.failures() << " of the benchmarks failed" << std::endl;
    }
    return matching > 0 && measurements.failures() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace bench
