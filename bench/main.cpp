// The benchmark: both passes by every instruction set that this machine has, other libraries where the build has them,
// and the copies and sums that limit all, over the same shapes.
#include "contender.hpp"
#include "context.hpp"
#include "driver.hpp"
#include "machine.hpp"
#include "measurements.hpp"
#include "peers/peers.hpp"
#include "shapes.hpp"
#include "table_reporter.hpp"

#include <benchmark/benchmark.h>
#include <simdnorm/simdnorm.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
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
        "  --complete  more shapes, and the scalar set also on those that lie in memory: takes long\n"
        "  --smoke     a few tiny shapes, to see that all works; times mean nothing\n"
        "  --wrong     also contenders that are wrong on purpose: must fail\n"
        "Options of Google Benchmark, of which --benchmark_filter=<regex> and --benchmark_out=<file> serve most:");
    benchmark::PrintDefaultHelp();
}

// Takes our own options out of the arguments.
Options take_options(std::vector<std::string> &arguments) {
    return {.smoke = bench::take(arguments, "--smoke"),
            .complete = bench::take(arguments, "--complete"),
            .wrong = bench::take(arguments, "--wrong")};
}

std::vector<bench::Contender> all_contenders(const Options &options) {
    std::vector<bench::Contender> all;
    for (const auto &contenders : {bench::simdnorm_contenders(), bench::peers(), bench::limits(),
                                   options.wrong ? bench::wrong_contenders() : std::vector<bench::Contender>()}) {
        all.insert(all.end(), contenders.begin(), contenders.end());
    }
    return all;
}

// As ", onednn 3.12.1, ggml 0.27.0".
std::string peers_in_words(const std::vector<bench::Contender> &contenders) {
    std::string words;
    for (const bench::Contender &contender : contenders) {
        if (!contender.version.empty()) {
            words += ", " + contender.name + " " + contender.version;
        }
    }
    return words;
}

std::string preamble(const std::string &set, const std::vector<bench::Contender> &contenders) {
    return "simdnorm " + std::string(simdnorm_version()) + peers_in_words(contenders) +
           ": float32, out of place, all outputs. Automatic set: " + set + ". " + bench::build_and_machine() +
           ".\n"
           "GB/s count what is read and written once: forward x and y, 8 bytes an element; backward dy, x and dx, 12. "
           "Median of\nthe repetitions. copy and triad (dx = dy + x): ordinary vector loads and stores. stream and "
           "stream_triad: non-temporal\nones. auto/copy and so on: the automatic set's rate by that of the copy; "
           "auto/peer: by that of the faster of oneDNN\nand libtorch, where there is one.\n";
}

int run(std::vector<std::string> arguments) {
    const Options options = take_options(arguments);
    bench::initialize(arguments, options.smoke, print_help);

    const std::string set = bench::automatic_set();
    bench::Measurements measurements(options.smoke ? bench::smoke_shapes()
                                                   : bench::shapes_for(bench::cache_sizes(), options.complete));
    const auto contenders = all_contenders(options);
    for (const bench::Contender &contender : contenders) {
        measurements.add(contender, options.complete);
    }
    bench::TableReporter reporter(measurements, set, preamble(set, contenders));
    return bench::run_measurements(measurements, contenders, reporter);
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
