// The memory that all measurements share: allocated once, touched before anything is timed.
#pragma once

#include "contender.hpp"

#include <cstddef>
#include <cstdlib>
#include <memory>
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
    explicit Workspace(const std::vector<Shape> &shapes);

    // The first rows x columns elements, for any shape that fits.
    Problem problem(const Shape &shape, int threads);

  private:
    Array x_, y_, gamma_, beta_, mean_, rstd_;
};

} // namespace bench
