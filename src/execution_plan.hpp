// Shape, cache sizes and threads -> who does which rows, and with which stores.
#pragma once

#include <simdnorm/simdnorm.h>

#include <cstddef>

namespace simdnorm {

struct ExecutionPlan {
    int threads;
    bool streaming;
};

ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args);

// The rows that one thread of a team does: neighbours, as evenly as whole rows allow.
struct RowRange {
    std::size_t first;
    std::size_t count;
};

constexpr RowRange rows_of_thread(std::size_t rows, int thread, int threads) {
    const auto t = static_cast<std::size_t>(thread);
    const std::size_t each = rows / static_cast<std::size_t>(threads);
    const std::size_t left_over = rows % static_cast<std::size_t>(threads);
    return {each * t + (t < left_over ? t : left_over), each + (t < left_over ? 1 : 0)};
}

} // namespace simdnorm
