// What every instruction set offers, as one struct: the only thing that a kernel file exports.
#pragma once

#include <cstddef>

namespace simdnorm {

// Elements in a line of the caches, of any CPU that simdnorm has a kernel for.
constexpr std::size_t cache_line_floats = 64 / sizeof(float);

// Which rows are under way at the same time: several share gamma and beta, and fill the time that the steps of one wait
// for each other. Overlapped: a step of one group, then one of another, three or four of them under way; for rows of
// one block alone. Interleaved: that in turns of a few rows, where the CPU gains by it. In turns: a few vectors of a
// group are normalised, then a few of the next one are summed. The others go one group after the other. The bits do not
// depend on it.
enum class Grouping {
    interleaved_eights,
    overlapped_eights,
    overlapped_fours,
    overlapped_pairs,
    overlapped_rows,
    fours_in_turns,
    pairs_in_turns,
    rows_in_turns,
    fours,
    rows
};

// Where the data lies, and how y gets there. Of the bits, none depends on it.
enum class Traffic {
    cached,   // in the caches; or in memory, but of rows too short for anything else to pay on that CPU
    fetched,  // in memory: x is asked for ahead, y written by ordinary stores
    streamed, // in memory: x is asked for ahead, y written past the caches; each of its rows fills whole lines
    packed,   // the same for other rows: elements are held back until they fill a vector
};

// Which cache is asked for x, and for dy, where they lie in memory.
enum class FetchInto { l1, l2 };

// How the sums of a row of more than a quad go over its lines. Unrolled, each load instruction goes on by 1 KiB from
// turn to turn, which some CPUs take for a stride: they fetch from memory into L1 what lies as far ahead. In loops over
// the groups of lanes an instruction serves neighbours in turn, so that it keeps no distance.
enum class Walk { unrolled, in_loops };

// Rows of no more columns are summed at once, longer ones in a loop over chunks of them.
constexpr std::size_t longest_short_row = 128;

// Lines written past the caches: no limit to how many of them are under way.
constexpr std::size_t any_number_of_lines = static_cast<std::size_t>(-1) / cache_line_floats;

// A range of rows to normalise: plain pointers to its first row, checked and decided on by the caller.
struct LayerNormRows {
    std::size_t rows;
    std::size_t columns;
    const float *x;
    std::size_t x_stride;
    const float *gamma; // or nullptr: 1
    const float *beta;  // or nullptr: +0
    double epsilon;
    float *y;
    std::size_t y_stride;
    float *mean; // or nullptr: not wanted
    float *rstd; // or nullptr: not wanted
    Grouping grouping;
    Traffic traffic;
    std::size_t lines_at_once; // of y past the caches, before the loads for them are waited for
    FetchInto fetch_into;
    bool fetches_twice; // x in memory, of groups that overlap step by step: once more into L1, just before its sums
    bool asks_for_y;    // line by line, before it is written by ordinary stores
    Walk walk;
};

// Statistics are taken block by block of so many columns: a block lies in L1, or those of a group in L2, so that the
// rare second look at it costs no memory traffic.
constexpr std::size_t statistics_block = 4096;

namespace {

// In a row. Unnamed, as all functions that kernel files see are.
[[maybe_unused]] constexpr std::size_t blocks_of(std::size_t columns) {
    return (columns + statistics_block - 1) / statistics_block;
}

[[maybe_unused]] constexpr bool is_overlapped(Grouping grouping) {
    switch (grouping) {
    case Grouping::interleaved_eights:
    case Grouping::overlapped_eights:
    case Grouping::overlapped_fours:
    case Grouping::overlapped_pairs:
    case Grouping::overlapped_rows:
        return true;
    default:
        return false;
    }
}

// Whether y, or dx, goes past the caches.
[[maybe_unused]] constexpr bool passes_caches(Traffic traffic) {
    return traffic == Traffic::streamed || traffic == Traffic::packed;
}

} // namespace

// Neighbouring blocks of a row.
struct BlockRange {
    std::size_t first;
    std::size_t count;
};

// Of one block: how many elements, and their mean (pivot + offset) and sum of squared deviations from it.
struct BlockMoments {
    double count;
    float pivot;
    double offset;
    double squares;
};

// Rows of the backward pass: plain pointers to the first of them, and where dx goes.
struct GradientRows {
    std::size_t rows;
    std::size_t columns;
    const float *dy;
    std::size_t dy_stride;
    const float *x;
    std::size_t x_stride;
    const float *gamma; // or nullptr: 1
    const float *mean;
    const float *rstd;
    float *dx; // or nullptr: not wanted
    std::size_t dx_stride;
    std::size_t rows_of_group; // 1, 2, 4 or 8: how many go through the steps together
    Traffic traffic;           // of x and dy; and of dx, as the forward pass has it of y
    std::size_t lines_at_once; // of dx past the caches, before the loads for them are waited for
    std::size_t prefetch_lead; // what is asked for of x and dy lies so far beyond the next group, in elements
    // A group's dx in turns with the next one's sums, whatever lines_at_once and walk are: only of groups of one row or
    // two, in memory and longer than longest_short_row, and with dx. What is packed goes singly all the same, as does
    // the scalar set.
    bool in_turns;
    FetchInto fetch_into;
    Walk walk;
};

// Gradients of gamma and beta are added in single precision over a batch of so many rows, and in double from there.
// Batches are counted from the first row of a leaf; its last one may be shorter.
constexpr std::size_t rows_of_batch = 16;

// Rows go through the steps of the backward pass in groups of at most so many.
constexpr std::size_t most_rows_of_group = rows_of_batch / 2;

// What the steps know of a group of rows. For each, v = (scale * x - scale * mean) * rstd + shift.
struct GradientGroup {
    std::size_t first;
    std::size_t rows;
    bool scaled;                             // some scale is not 1
    float mean[most_rows_of_group];          // the caller's, until the row's own sum shows that it is off
    float scale[most_rows_of_group];         // a power of two, 1 for all but unusual rows
    float rstd[most_rows_of_group];          // the caller's, by scale
    float shift[most_rows_of_group];         // what of the mean a float does not hold, times -rstd
    float mean_gradient[most_rows_of_group]; // of g = dy * gamma
    float mean_product[most_rows_of_group];  // of g * v, negative
    float factor[most_rows_of_group];        // the caller's rstd
};

// Of a row, or of a block of it: sums of scaled differences from the mean, of g, and of their products.
struct GradientSums {
    double differences;
    double gradients;
    double products;
};

// Sums over the `rows` rows from `first` on, a leaf, of all columns: of the batch under way, and of all batches before
// it: the first batch is stored there, whatever was there, the others are added. Without `dgamma` and `dbeta` there is
// one batch alone, or nobody wants the sums.
struct ColumnSums {
    std::size_t first = 0;
    std::size_t rows = 0;
    float *batch_dgamma = nullptr;
    float *batch_dbeta = nullptr;
    double *dgamma = nullptr;
    double *dbeta = nullptr;
};

// Forward: a thread has rows of its own, and calls layer_norm; or a row is shared by threads. Then each of them calls
// measure_blocks for its part of the blocks of the row, and when all have, normalize_blocks for the same part.
// `moments` has room for all blocks of the row, and is the same for all threads.
//
// Backward: a thread has leaves of its own, and calls layer_norm_backward for each; or groups of rows are shared. Then
// each thread starts the group and calls sum_blocks for its part of the blocks, which leaves the sums of row r and
// block b at sums[r * blocks of a row + b]; when all have, settle; as often as that is false, and at last write_blocks
// for the same part.
struct KernelTable {
    std::size_t held_columns; // rows of no more may have what belongs to their columns in registers

    void (*layer_norm)(const LayerNormRows &);
    void (*measure_blocks)(const LayerNormRows &, std::size_t row, BlockRange, BlockMoments *moments);
    void (*normalize_blocks)(const LayerNormRows &, std::size_t row, BlockRange, const BlockMoments *moments);

    void (*layer_norm_backward)(const GradientRows &, const ColumnSums &);
    GradientGroup (*start_group)(const GradientRows &, std::size_t first, std::size_t rows);
    void (*sum_blocks)(const GradientRows &, const GradientGroup &, BlockRange, GradientSums *sums);
    bool (*settle)(const GradientRows &, GradientGroup &, const GradientSums *sums, int round);
    void (*write_blocks)(const GradientRows &, const GradientGroup &, BlockRange, const ColumnSums &);
};

// Each defined by the file of its name, where the build has it.
extern const KernelTable scalar_kernels;
extern const KernelTable neon_kernels;
extern const KernelTable avx2_kernels;
extern const KernelTable avx512_kernels;

} // namespace simdnorm
