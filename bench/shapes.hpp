// The shapes that are measured, in regimes: what limits a call.
#pragma once

#include "pass.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace bench {

struct CacheSizes; // machine.hpp

struct Shape {
    std::size_t rows;
    std::size_t columns;
    // Where the matrices lie: "L1", "L2", "L3" or "memory". "call": so small that the cost of a call shows. "row": long
    // ones, and no more than two. "column": long ones, and few.
    std::string regime;

    std::size_t elements() const { return rows * columns; }
};

using ShapesOfPasses = std::map<Pass, std::vector<Shape>>;

// All of them, or those that say most.
ShapesOfPasses shapes_for(const CacheSizes &caches, bool all);

// Matrices alone, of more numbers of columns.
ShapesOfPasses shapes_of_plans(const CacheSizes &caches);

// A few small shapes that reach every path of the benchmark; their times mean nothing.
ShapesOfPasses smoke_shapes();

// The models whose rows have so many columns, as "BERT"; "" where none comes to mind.
std::string models_with(std::size_t columns);

} // namespace bench
