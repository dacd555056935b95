// Statistics and normalisation put together for a range of rows; the table that an instruction set exports.
#pragma once

#include "extreme_row.hpp"
#include "kernel_table.hpp"
#include "normalize.hpp"
#include "row_statistics.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

template <class V, class Gamma, class Beta>
void layer_norm_rows(const LayerNormRows &range, Gamma gamma, Beta beta) {
    for (std::size_t i = 0; i < range.rows; ++i) {
        const float *x = range.x + i * range.x_stride;
        const RowStatistics statistics = row_statistics(row_moments<V>(x, range.columns), range.epsilon);
        if (!statistics.ordinary) [[unlikely]] {
            normalize_extreme_row(range, i);
            continue;
        }
        normalize_row<V>(x, range.y + i * range.y_stride, range.columns, statistics, gamma, beta, range.streaming);
        write_statistics(range, i, statistics.mean, statistics.rstd);
    }
    if (range.streaming) {
        V::fence();
    }
}

template <class V, class Gamma>
void layer_norm_with_gamma(const LayerNormRows &range, Gamma gamma) {
    if (range.beta != nullptr) {
        layer_norm_rows<V>(range, gamma, ColumnArray<V>{range.beta});
    } else {
        layer_norm_rows<V>(range, gamma, ColumnConstant<V>{V::broadcast(0.0F)});
    }
}

template <class V>
void layer_norm(const LayerNormRows &range) {
    if (range.gamma != nullptr) {
        layer_norm_with_gamma<V>(range, ColumnArray<V>{range.gamma});
    } else {
        layer_norm_with_gamma<V>(range, ColumnConstant<V>{V::broadcast(1.0F)});
    }
}

template <class V>
constexpr KernelTable kernel_table = {layer_norm<V>};

} // namespace
} // namespace simdnorm
