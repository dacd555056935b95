// What every instruction set offers, as one struct of functions: the only thing that a kernel file exports.
#pragma once

#include <cstddef>

namespace simdnorm {

// Elements in a line of the caches, of any CPU that simdnorm has a kernel for.
constexpr std::size_t cache_line_floats = 64 / sizeof(float);

// Which rows are under way at the same time: several share gamma and beta, and fill the time that the steps of one wait
// for each other. Overlapped: the statistics of the groups after it are taken while a group is normalised; for
// rows of one block alone. The bits do not depend on it.
enum class Grouping { overlapped_eights, overlapped_pairs, overlapped_rows, pairs, rows };

// Where the data lies, and how y gets there. Of the bits, none depends on it.
enum class Traffic {
    cached,   // in the caches
    fetched,  // in memory: x is asked for ahead, y written by ordinary stores
    streamed, // in memory: x is asked for ahead, y written past the caches; each of its rows fills whole lines
    packed,   // the same for other rows: elements are held back until they fill a vector
};

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
};

// Statistics are taken block by block of so many columns: a block lies in L1, so that the rare second look at it costs
// no memory traffic.
constexpr std::size_t statistics_block = 4096;

namespace {

// In a row. Unnamed, as all functions that kernel files see are.
[[maybe_unused]] constexpr std::size_t blocks_of(std::size_t columns) {
    return (columns + statistics_block - 1) / statistics_block;
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

// Rows of the backward pass: what is known of them, and where dx goes.
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
};

// Rows of the backward pass go through the steps together in batches of at most so many: gradients of gamma and beta
// are added in single precision over the rows of a batch, and in double from there.
constexpr std::size_t greatest_batch = 16;

// What the steps know of a batch: for each row, v = (scale * x - scale * mean) * rstd + shift.
struct GradientBatch {
    std::size_t first;
    std::size_t rows;
    float mean[greatest_batch];          // the caller's, until the row's own sum shows that it is off
    float scale[greatest_batch];         // a power of two, 1 for all but extreme rows
    float rstd[greatest_batch];          // the caller's, by scale
    float shift[greatest_batch];         // what of the mean a float does not hold, times -rstd
    float mean_gradient[greatest_batch]; // of g = dy * gamma
    float mean_product[greatest_batch];  // of g * v, negative
    float factor[greatest_batch];        // the caller's rstd
};

// Of a block of a row: sums of scaled differences from the mean, of g, and of their products.
struct GradientSums {
    double differences;
    double gradients;
    double products;
};

// A thread has rows of its own, and calls layer_norm; or a row is shared by threads. Then each of them calls
// measure_blocks for its part of the blocks of the row, and when all have, normalize_blocks for the same part.
// `moments` has room for all blocks of the row, and is the same for all threads.
struct KernelTable {
    void (*layer_norm)(const LayerNormRows &);
    void (*measure_blocks)(const LayerNormRows &, std::size_t row, BlockRange, BlockMoments *moments);
    void (*normalize_blocks)(const LayerNormRows &, std::size_t row, BlockRange, const BlockMoments *moments);

    // Backward: the sums of some blocks of a batch's rows, at sums[row * blocks of a row + block]; and, when all blocks
    // of the rows are summed and the batch is finished, their dx, and their parts of dgamma and dbeta added to columns
    // of doubles, which may both be nullptr.
    void (*sum_gradients)(const GradientRows &, const GradientBatch &, BlockRange, GradientSums *sums);
    void (*write_gradients)(const GradientRows &, const GradientBatch &, BlockRange, double *dgamma, double *dbeta);
};

// Each defined by the file of its name, where the build has it.
extern const KernelTable scalar_kernels;
extern const KernelTable neon_kernels;
extern const KernelTable avx2_kernels;
extern const KernelTable avx512_kernels;

} // namespace simdnorm
