// Contenders times shapes times threads: what is registered with Google Benchmark.
#pragma once

#include "check.hpp"
#include "contender.hpp"
#include "workspace.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace bench {

// One row of the results.
struct Measurement {
    Pass pass;
    Contender contender;
    Shape shape;
    int threads;
    bool checked = false;     // the output has been seen to be right
    std::string failure = {}; // why there is no result; "" where all is well

    // As "forward/simdnorm/avx512/N:128/D:768/threads:1/L2".
    std::string name() const;

    std::size_t bytes() const { return bytes_per_element(pass) * shape.elements(); }
};

class Measurements {
  public:
    explicit Measurements(const ShapesOfPasses &shapes) : shapes_(shapes), workspace_(shapes) {}

    // Registers every shape of the passes that the contender has, with one thread and with all threads. Unless all are
    // wanted, a slow contender leaves out the shapes that lie in memory: its arithmetic holds it back there as in
    // cache, and each call takes long.
    void add(const Contender &contender, bool complete);

    const std::vector<std::unique_ptr<Measurement>> &all() const { return all_; }

    // How many ended in a wrong output or a call that failed.
    std::size_t failures() const;

  private:
    void add(Pass pass, const Contender &contender, const Shape &shape, int threads);
    void run(Measurement &measurement, benchmark::State &state);
    void time(Measurement &measurement, benchmark::State &state);

    // Passes have Problems of their own, and functions that prepare a call.
    template <class Problem>
    void check(Measurement &measurement, const Problem &problem, const Prepare<Problem> &prepare);
    template <class Problem>
    void time(Measurement &measurement, const Problem &problem, const Prepare<Problem> &prepare,
              benchmark::State &state);

    ShapesOfPasses shapes_;
    Workspace workspace_;
    Check check_;
    std::vector<std::unique_ptr<Measurement>> all_; // benchmarks refer to them
};

} // namespace bench
