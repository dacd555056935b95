// The shapes that are measured, in regimes: what limits a call.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct CacheSizes; // machine.hpp

struct Shape {
    std::size_t rows;
    std::size_t columns;
    // Where x and y lie: "L1", "L2", "L3" or "memory". "call": so small that the cost of a call shows. "row": one long.
    std::string regime;

    std::size_t elements() const { return rows * columns; }
};

// All of them, or those that say most.
std::vector<Shape> forward_shapes(const CacheSizes &caches, bool all);

// A few small shapes that reach every path of the benchmark; their times mean nothing.
std::vector<Shape> smoke_shapes();

// The models whose rows have so many columns, as "BERT"; "" where none comes to mind.
std::string models_with(std::size_t columns);

} // namespace bench
