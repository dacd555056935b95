// Shape, cache sizes and threads -> who does which rows, and with which stores.
#pragma once

#include "kernels/kernel_table.hpp"

#include <simdnorm/simdnorm.h>

#include <cstddef>

namespace simdnorm {

// Rows are dealt out to the threads; or, where they are too few for that, the blocks of each row are.
struct Division {
    int threads;
    bool shares_rows;
};

struct ExecutionPlan {
    Division division;
    Grouping grouping;
    Traffic traffic;
};

ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args);

// Of rows that lie in memory, on a CPU with an L1 of so many bytes.
Grouping grouping_in_memory(std::size_t columns, std::size_t l1d);

// Of a matrix of that shape, of which `pieces` can be dealt out.
Division divide(std::size_t rows, std::size_t columns, std::size_t pieces, int threads);

// What one thread of a team does of `count` rows, or blocks: neighbours, and no thread more than one above another.
struct Share {
    std::size_t first;
    std::size_t count;
};

constexpr Share share_of_thread(std::size_t count, int thread, int threads) {
    const auto t = static_cast<std::size_t>(thread);
    const std::size_t each = count / static_cast<std::size_t>(threads);
    const std::size_t left_over = count % static_cast<std::size_t>(threads);
    return {each * t + (t < left_over ? t : left_over), each + (t < left_over ? 1 : 0)};
}

} // namespace simdnorm
