// The vector operations of vector.hpp for any CPU: a vector of one lane, in plain C++. What it computes is what every
// other instruction set must reproduce to the bit.
#pragma once

#include "kernel_table.hpp"
#include "lanes.hpp"

#include <cmath>
#include <cstddef>

namespace simdnorm {
namespace {

struct ScalarVector {
    using Floats = float;
    using Mask = bool;
    using Doubles = double;
    using Double = double;
    static constexpr std::size_t width = 1;
    static constexpr std::size_t rows_per_pass = 1;
    static constexpr std::size_t held_vectors = 0;
    static constexpr std::size_t held_columns_in_cache = 0;
    static constexpr bool masks_are_free = true;

    template <std::size_t rows>
    using Rows = OneRow;

    static Floats broadcast(float value) { return value; }
    static Floats load(const float *from) { return *from; }
    static Mask first(std::size_t count) { return count > 0; }
    static Floats load_first(const float *from, Mask mask, Floats otherwise) { return mask ? *from : otherwise; }
    static void store(float *to, Floats value) { *to = value; }
    static void store_first(float *to, Mask mask, Floats value) {
        if (mask) {
            *to = value;
        }
    }
    static constexpr bool streams = false;
    static void prefetch(const float *, FetchInto) {}
    static void prefetch_page(const void *) {}
    static void prefetch_output(const float *) {}

    static Floats multiply_add(Floats a, Floats b, Floats c) { return std::fma(a, b, c); }

    static Floats subtract(Floats a, Floats b) { return a - b; }

    static Doubles widen(Floats value) { return value; }
    static Double load_widened(const float *from) { return *from; }
    static void store_widened(double *to, Floats value) { *to = value; }
    static void add_widened(double *to, Floats value) { *to += value; }
    static Doubles add(Doubles a, Doubles b) { return a + b; }
    static Double fold(Doubles value) { return value; }

    template <std::size_t rows>
    static void sum_rows(const Double (&lanes)[rows], double (&sums)[rows]) {
        for (std::size_t r = 0; r < rows; ++r) {
            sums[r] = lanes[r];
        }
    }
};

} // namespace
} // namespace simdnorm
