// The benchmark: every instruction set that this machine has, and the copies that limit it, over the same shapes.
#include "contender.hpp"
#include "machine.hpp"
#include "measurements.hpp"
#include "shapes.hpp"
#include "table_reporter.hpp"

#include <benchmark/benchmark.h>
#include <simdnorm/simdnorm.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Options {
    bool smoke = false;
    bool complete = false;
    bool wrong = false;
};

void print_help() {
    std::puts(
        "simdnorm_benchmark [options]\n"
        "  --complete  also the scalar set on shapes that lie in memory: takes long\n"
        "  --smoke     a few tiny shapes, to see that all works; times mean nothing\n"
        "  --wrong     also contenders that are wrong on purpose: must fail\n"
        "Options of Google Benchmark, of which --benchmark_filter=<regex> and --benchmark_out=<file> serve most:");
    benchmark::PrintDefaultHelp();
}

// Takes our own options out of the arguments.
Options take_options(std::vector<std::string> &arguments) {
    const auto take = [&](const char *name) { return std::erase(arguments, name) > 0; };
    Options options;
    options.smoke = take("--smoke");
    options.complete = take("--complete");
    options.wrong = take("--wrong");
    return options;
}

// Defaults go first: what the user says comes later and wins. Repetitions of a shape are spread over the whole run, so
// that a machine that is slow for a while is slow to all contenders.
std::vector<std::string> default_arguments(const Options &options) {
    if (options.smoke) {
        return {"--benchmark_min_time=0.0001" SIMDNORM_BENCH_SECONDS_SUFFIX};
    }
    return {"--benchmark_min_time=0.02" SIMDNORM_BENCH_SECONDS_SUFFIX, "--benchmark_repetitions=7",
            "--benchmark_enable_random_interleaving=true"};
}

// The arguments must outlive the run: Google Benchmark keeps a pointer to the name of the program.
void initialize(std::vector<std::string> &arguments) {
    std::vector<char *> argv;
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

// What "auto" stands for. It must be among the sets that are measured: the public interface has no list of them.
std::string automatic_set() {
    simdnorm_use_instruction_set("auto");
    std::string set = simdnorm_instruction_set();
    const auto contenders = bench::simdnorm_contenders();
    if (std::none_of(contenders.begin(), contenders.end(), [&](const auto &c) { return c.set == set; })) {
        throw std::runtime_error("the benchmark does not know the instruction set " + set);
    }
    return set;
}

void register_all(bench::Measurements &measurements, const Options &options) {
    for (const auto &contenders : {bench::simdnorm_contenders(), bench::copy_limits(),
                                   options.wrong ? bench::wrong_contenders() : std::vector<bench::Contender>()}) {
        for (const bench::Contender &contender : contenders) {
            measurements.add(contender, options.complete);
        }
    }
}

void add_context(const std::string &set) {
    benchmark::AddCustomContext("cpu", bench::cpu_name());
    benchmark::AddCustomContext("compiler", bench::compiler());
    benchmark::AddCustomContext("simdnorm_version", simdnorm_version());
    benchmark::AddCustomContext("automatic_instruction_set", set);
}

std::string preamble(const std::string &set, const bench::CacheSizes &caches) {
    return "simdnorm " + std::string(simdnorm_version()) +
           ", float32, out of place, mean and rstd kept. Automatic set: " + set + ". " + bench::compiler() + ".\n" +
           bench::cpu_name() + ", " + std::to_string(bench::cpu_count()) + " CPUs, " + describe(caches) +
           ".\n"
           "GB/s count x read once and y written once: 8 bytes an element. Median of the repetitions.\n"
           "copy: ordinary vector stores. stream: non-temporal stores. best: the fastest set, as a share of each "
           "copy.\n";
}

// The table for the console; JSON and CSV stay as they are.
std::unique_ptr<benchmark::BenchmarkReporter> reporter(const bench::Measurements &measurements,
                                                       const std::string &preamble) {
    std::unique_ptr<benchmark::BenchmarkReporter> standard(benchmark::CreateDefaultDisplayReporter());
    if (dynamic_cast<benchmark::ConsoleReporter *>(standard.get()) == nullptr) {
        return standard;
    }
    return std::make_unique<bench::TableReporter>(measurements, preamble);
}

int run(std::vector<std::string> arguments) {
    const Options options = take_options(arguments);
    const auto defaults = default_arguments(options);
    arguments.insert(arguments.begin() + 1, defaults.begin(), defaults.end());
    initialize(arguments);

    const std::string set = automatic_set();
    const bench::CacheSizes caches = bench::cache_sizes();
    bench::Measurements measurements(options.smoke ? bench::smoke_shapes() : bench::forward_shapes(caches));
    register_all(measurements, options);
    add_context(set);
    const auto display = reporter(measurements, preamble(set, caches));
    const std::size_t matching = benchmark::RunSpecifiedBenchmarks(display.get());
    if (measurements.failures() > 0) {
        std::cerr << measurements.failures() << " of the benchmarks failed" << std::endl;
    }
    return matching > 0 && measurements.failures() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(std::vector<std::string>(argv, argv + argc));
    } catch (const std::exception &error) {
        std::cerr << "simdnorm_benchmark: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
