// What every instruction set offers, as one struct of functions: the only thing that a kernel file exports.
#pragma once

#include <cstddef>

namespace simdnorm {

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
    bool streaming;
};

struct KernelTable {
    void (*layer_norm)(const LayerNormRows &);
};

// Each defined by the file of its name, where the build has it.
extern const KernelTable scalar_kernels;
extern const KernelTable neon_kernels;
extern const KernelTable avx2_kernels;
extern const KernelTable avx512_kernels;

} // namespace simdnorm
