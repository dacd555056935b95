// The shapes that are measured: columns from real models, times as many rows as fill a part of each cache.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct CacheSizes; // machine.hpp

struct Shape {
    std::size_t rows;
    std::size_t columns;
    std::string regime; // where x and y lie: "L1", "L2", "L3" or "memory"; "call" for one small call

    std::size_t elements() const { return rows * columns; }
};

std::vector<Shape> forward_shapes(const CacheSizes &caches);

// A few small shapes that reach every path of the benchmark; their times mean nothing.
std::vector<Shape> smoke_shapes();

// The models whose rows have so many columns, as "BERT"; "" where none comes to mind.
std::string models_with(std::size_t columns);

} // namespace bench
