// Measures what plans choose between: the library by its own plan, and by that plan with one choice taken otherwise. So
// the limits in execution_plan.cpp are found on a new CPU, and seen to be right, or not, on one that they are made for.
#include "context.hpp"
#include "driver.hpp"
#include "machine.hpp"
#include "measurements.hpp"
#include "plan_contenders.hpp"
#include "plan_reporter.hpp"
#include "shapes.hpp"

#include <benchmark/benchmark.h>
#include <simdnorm/simdnorm.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

void print_help() {
    std::puts(
        "simdnorm_plans [options]\n"
        "  --smoke  a few tiny shapes, to see that all works; times mean nothing\n"
        "Options of Google Benchmark. Everything takes hours: --benchmark_filter=<regex> chooses from\n"
        "names as forward/grouping/fours/N:128/D:768/threads:1/L2/real_time, which --benchmark_list_tests lists:");
    benchmark::PrintDefaultHelp();
}

std::string preamble(const std::string &set) {
    return "simdnorm " + std::string(simdnorm_version()) + ", " + set + ": float32, out of place, all outputs. " +
           bench::build_and_machine() +
           ".\n"
           "planned: what the library chooses, and its GB/s, of x and y, backward of dy, x and dx. Then what each "
           "value\n"
           "reaches, as a part of that. Median of the repetitions.\n";
}

int run(std::vector<std::string> arguments) {
    const bool smoke = bench::take(arguments, "--smoke");
    bench::initialize(arguments, smoke, print_help);

    bench::Measurements measurements(smoke ? bench::smoke_shapes() : bench::shapes_of_plans(bench::cache_sizes()));
    const std::string set = simdnorm_instruction_set(); // the environment may have said which
    const auto contenders = bench::plan_contenders(set);
    for (const bench::Contender &contender : contenders) {
        measurements.add(contender, false);
    }
    for (const auto &measurement : measurements.all()) { // an unknown value must not come to light at the end
        bench::planned_value(set, measurement->pass, measurement->contender.name, measurement->shape,
                             measurement->threads);
    }
    benchmark::AddCustomContext("instruction_set", set);
    bench::PlanReporter reporter(measurements, set, preamble(set));
    return bench::run_measurements(measurements, contenders, reporter);
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(std::vector<std::string>(argv, argv + argc));
    } catch (const std::exception &error) {
        std::cerr << "simdnorm_plans: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
