// Shape, machine and threads -> who does which rows, and with which stores.
#pragma once

#include "kernels/kernel_table.hpp"

#include <simdnorm/simdnorm.h>

#include <cstddef>

namespace simdnorm {

struct Machine; // machine.hpp

// Rows are dealt out to the threads; or, where they are too few for that, the blocks of each row are.
struct Division {
    int threads;
    bool shares_rows;

    bool operator==(const Division &) const = default;
};

struct ExecutionPlan {
    Division division;
    Grouping grouping;
    Traffic traffic;
    std::size_t lines_at_once = any_number_of_lines;
    FetchInto fetch_into = FetchInto::l2;
    bool fetches_twice = false;
    bool asks_for_y = false;
    Walk walk = Walk::unrolled;

    bool operator==(const ExecutionPlan &) const = default;
};

ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args, const Machine &machine);

// With that grouping and traffic in place of what would be chosen, and all else as it goes with them.
ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args, Grouping grouping, Traffic traffic,
                              const Machine &machine);

// Sums over rows are cut by the shape alone, so that they have the same bits however many threads there are. Rows are
// in leaves of a binary tree: leaf l has the rows from l * rows_of_leaf on. In a leaf they are added batch by batch;
// then leaves 2k and 2k + 1 are added to each other, then pairs of pairs, and so on.
struct BackwardPlan {
    std::size_t rows_of_leaf;
    std::size_t leaves;
    Division division;
    std::size_t rows_of_group;
    Traffic traffic;
    std::size_t lines_at_once = any_number_of_lines;
    std::size_t prefetch_lead = 0;
    bool in_turns = false; // only where can_take_turns, and dx is wanted
    FetchInto fetch_into = FetchInto::l2;
    Walk walk = Walk::unrolled;
    bool merges_together = false; // threads that have leaves of their own merge these sums together, or one for all

    bool operator==(const BackwardPlan &) const = default;
};

BackwardPlan plan_layer_norm_backward(const simdnorm_layer_norm_backward_args &args, const Machine &machine);

// Likewise with so many rows to a group, and that traffic.
BackwardPlan plan_layer_norm_backward(const simdnorm_layer_norm_backward_args &args, std::size_t rows_of_group,
                                      Traffic traffic, const Machine &machine);

// Of rows that lie in the caches, and of rows that lie in memory; whether each of them fills whole lines of y.
Grouping grouping_in_cache(std::size_t columns, bool rows_fill_lines, const Machine &machine);
Grouping grouping_in_memory(std::size_t columns, bool rows_fill_lines, const Machine &machine);

// Of such rows, how many lines of y are written past the caches before the loads for them are waited for.
std::size_t lines_at_once_in_memory(std::size_t columns, Traffic traffic, const Machine &machine);

// The same of the backward pass: how many rows go through the steps together.
std::size_t gradient_rows_in_memory(std::size_t columns, const Machine &machine);

// And how many lines of dx are written past the caches before the loads for them are waited for.
std::size_t gradient_lines_at_once_in_memory(std::size_t columns, Traffic traffic, const Machine &machine);

// Whether dx of such rows may be written in turns with the sums of the next ones.
bool can_take_turns(std::size_t columns, std::size_t rows_of_group, Traffic traffic);

// Of a matrix of that shape, dealt out in pieces of so many rows; threads that share rows meet once for
// `rows_of_group`.
Division divide(std::size_t rows, std::size_t columns, std::size_t rows_of_piece, std::size_t rows_of_group,
                int threads, const Machine &machine);

// So many times b make a or more.
constexpr std::size_t quotient_rounded_up(std::size_t a, std::size_t b) {
    return a / b + (a % b != 0 ? 1 : 0);
}

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
