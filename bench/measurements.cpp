#include "measurements.hpp"

#include "check.hpp"
#include "machine.hpp"
#include "progress.hpp"

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <stdexcept>

namespace bench {

namespace {

void check_output(const Measurement &measurement, const Problem &problem) {
    spoil_outputs(problem);
    const Call call = measurement.contender.prepare(problem);
    call.run();
    if (call.deliver) {
        call.deliver();
    }
    if (const auto mismatch = find_mismatch(problem, measurement.contender.kind)) {
        throw std::runtime_error("wrong output: " + describe(*mismatch));
    }
}

// Those who read the JSON find every fact here or in a counter, and need not take names apart. Google Benchmark's own
// field "threads" counts its threads: ours is num_threads.
void report_facts(const Measurement &measurement, benchmark::State &state) {
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(measurement.bytes()));
    state.counters["N"] = static_cast<double>(measurement.shape.rows);
    state.counters["D"] = static_cast<double>(measurement.shape.columns);
    state.counters["num_threads"] = measurement.threads;
    state.SetLabel("pass=" + measurement.pass + " contender=" + measurement.contender.name +
                   " set=" + measurement.contender.set + " regime=" + measurement.shape.regime);
}

} // namespace

std::string Measurement::name() const {
    return pass + "/" + contender.name + "/" + contender.set + "/N:" + std::to_string(shape.rows) +
           "/D:" + std::to_string(shape.columns) + "/threads:" + std::to_string(threads) + "/" + shape.regime;
}

void Measurements::add(const Contender &contender, bool complete) {
    for (const Shape &shape : shapes_) {
        if (contender.slow && shape.regime == "memory" && !complete) {
            continue;
        }
        add(contender, shape, 1);
        if (all_threads() > 1) {
            add(contender, shape, all_threads());
        }
    }
}

void Measurements::add(const Contender &contender, const Shape &shape, int threads) {
    all_.push_back(std::make_unique<Measurement>(Measurement{"forward", contender, shape, threads}));
    Measurement &measurement = *all_.back();
    const std::string name = measurement.name();
#ifndef __clang_analyzer__ // which takes what the library keeps for a leak
    benchmark::RegisterBenchmark(name.c_str(),
                                 [this, &measurement](benchmark::State &state) { run(measurement, state); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
#endif
}

std::size_t Measurements::failures() const {
    return static_cast<std::size_t>(
        std::count_if(all_.begin(), all_.end(), [](const auto &measurement) { return !measurement->failure.empty(); }));
}

void Measurements::run(Measurement &measurement, benchmark::State &state) {
    if (measurement.failure.empty()) {
        show_progress(measurement.name());
        try {
            time(measurement, state);
        } catch (const std::exception &error) {
            measurement.failure = error.what();
            end_progress();
            std::cerr << measurement.name() << ": " << measurement.failure << std::endl;
        }
    }
    if (!measurement.failure.empty()) {
        state.SkipWithError(measurement.failure.c_str());
    }
}

void Measurements::time(Measurement &measurement, benchmark::State &state) {
    const Problem problem = workspace_.problem(measurement.shape, measurement.threads);
    if (!measurement.checked) {
        check_output(measurement, problem);
        measurement.checked = true;
    }
    const Call call = measurement.contender.prepare(problem);
    call.run(); // fills the caches and wakes the threads
    while (state.KeepRunning()) {
        call.run();
        benchmark::ClobberMemory();
    }
    report_facts(measurement, state);
}

} // namespace bench
