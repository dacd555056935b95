// The memory that all measurements share: allocated once, touched before anything is timed.
#pragma once

#include "contender.hpp"

#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace bench {

struct Free {
    void operator()(float *memory) const { std::free(memory); }
};
using Array = std::unique_ptr<float[], Free>;

// Zeros, from the start of a page on: ggml takes no memory that is aligned to less than a vector.
Array allocate(std::size_t elements);

class Workspace {
  public:
    // Large enough for each of these shapes.
    explicit Workspace(const ShapesOfPasses &shapes);

    // The first rows x columns elements, for any shape of the pass.
    ForwardProblem forward(const Shape &shape, int threads);

    // Likewise. Each shape has a mean and a rstd of its own, which are made when it is first asked for.
    BackwardProblem backward(const Shape &shape, int threads);

  private:
    struct Statistics {
        Array mean, rstd;
    };

    const Statistics &statistics_of(const Shape &shape);

    Array x_, dy_, y_or_dx_, gamma_, beta_, mean_, rstd_, dgamma_, dbeta_;
    std::map<std::pair<std::size_t, std::size_t>, Statistics> statistics_; // by rows and columns
};

} // namespace bench
