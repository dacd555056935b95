#include "measurements.hpp"

#include "machine.hpp"
#include "progress.hpp"

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <stdexcept>

namespace bench {

namespace {

bool takes_long(const Shape &shape) {
    return shape.regime == "memory" || shape.regime == "column";
}

// Those who read the JSON find every fact here or in a counter, and need not take names apart. Google Benchmark's own
// field "threads" counts its threads: ours is num_threads.
void report_facts(const Measurement &measurement, benchmark::State &state) {
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(measurement.bytes()));
    state.counters["N"] = static_cast<double>(measurement.shape.rows);
    state.counters["D"] = static_cast<double>(measurement.shape.columns);
    state.counters["num_threads"] = measurement.threads;
    state.SetLabel("pass=" + std::string(name_of(measurement.pass)) + " contender=" + measurement.contender.name +
                   " set=" + measurement.contender.set + " regime=" + measurement.shape.regime);
}

} // namespace

std::string Measurement::name() const {
    return std::string(name_of(pass)) + "/" + contender.name + "/" + contender.set +
           "/N:" + std::to_string(shape.rows) + "/D:" + std::to_string(shape.columns) +
           "/threads:" + std::to_string(threads) + "/" + shape.regime;
}

void Measurements::add(const Contender &contender, bool complete) {
    for (const auto &[pass, shapes] : shapes_) {
        for (const Shape &shape : shapes) {
            if (!contender.has(pass, shape) || (contender.slow && takes_long(shape) && !complete)) {
                continue;
            }
            add(pass, contender, shape, 1);
            if (all_threads() > 1) {
                add(pass, contender, shape, all_threads());
            }
        }
    }
}

void Measurements::add(Pass pass, const Contender &contender, const Shape &shape, int threads) {
    all_.push_back(std::make_unique<Measurement>(Measurement{pass, contender, shape, threads}));
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
    const Contender &contender = measurement.contender;
    if (measurement.pass == Pass::forward) {
        time(measurement, workspace_.forward(measurement.shape, measurement.threads), contender.forward, state);
    } else {
        time(measurement, workspace_.backward(measurement.shape, measurement.threads), contender.backward, state);
    }
}

template <class Problem>
void Measurements::check(Measurement &measurement, const Problem &problem, const Prepare<Problem> &prepare) {
    spoil_outputs(problem);
    const Call call = prepare(problem);
    call.run();
    if (call.deliver) {
        call.deliver();
    }
    if (const auto mismatch = check_.find_mismatch(problem, measurement.contender.kind)) {
        throw std::runtime_error("wrong output: " + describe(*mismatch));
    }
    measurement.checked = true;
}

template <class Problem>
void Measurements::time(Measurement &measurement, const Problem &problem, const Prepare<Problem> &prepare,
                        benchmark::State &state) {
    if (!measurement.checked) {
        check(measurement, problem, prepare);
    }
    const Call call = prepare(problem);
    call.run(); // fills the caches and wakes the threads
    while (state.KeepRunning()) {
        call.run();
        benchmark::ClobberMemory();
    }
    report_facts(measurement, state);
}

} // namespace bench
