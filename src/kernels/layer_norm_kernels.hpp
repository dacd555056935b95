// Statistics and normalisation put together for a range of rows; the table that an instruction set exports.
#pragma once

#include "extreme_row.hpp"
#include "kernel_table.hpp"
#include "normalize.hpp"
#include "row_statistics.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

inline void write_statistics(const LayerNormRows &range, std::size_t row, float mean, float rstd) {
    if (range.mean != nullptr) {
        range.mean[row] = mean;
    }
    if (range.rstd != nullptr) {
        range.rstd[row] = rstd;
    }
}

// The block of columns from `begin` on of `rows` rows from `first` on; the rows wanted next lie `ahead` rows further.
template <std::size_t rows>
[[gnu::always_inline]] inline Segment<rows> segment_of(const LayerNormRows &range, std::size_t first, std::size_t ahead,
                                                       std::size_t begin) {
    Segment<rows> segment;
    for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t row = first + r;
        segment.x[r] = range.x + row * range.x_stride + begin;
        segment.y[r] = range.y + row * range.y_stride + begin;
        segment.next[r] = range.x + smaller(row + ahead, range.rows - 1) * range.x_stride + begin;
    }
    segment.gamma = range.gamma != nullptr ? range.gamma + begin : ones.of_columns;
    segment.beta = range.beta != nullptr ? range.beta + begin : zeros.of_columns;
    return segment;
}

// A group of rows whose statistics are known, `pass` rows at a time.
template <class V, class Data, std::size_t pass, std::size_t rows>
[[gnu::always_inline]] inline void normalize_group(const LayerNormRows &range, std::size_t first,
                                                   const RowStatistics<rows> &statistics) {
    for (std::size_t begin = 0; begin < range.columns; begin += normalize_block) {
        const std::size_t columns = smaller(range.columns - begin, normalize_block);
        for (std::size_t r = 0; r < rows; r += pass) {
            normalize<V, Data, pass>(segment_of<pass>(range, first + r, rows, begin), columns,
                                     Normalizer<V, pass>(statistics, r));
        }
    }
    for (std::size_t r = 0; r < rows; ++r) {
        write_statistics(range, first + r, statistics.mean[r], statistics.rstd[r]);
    }
}

// A group with a row that single precision cannot hold: all its rows one by one.
template <class V>
[[gnu::noinline, gnu::cold]] void layer_norm_one_by_one(const LayerNormRows &range, std::size_t first,
                                                        std::size_t rows) {
    for (std::size_t row = first; row < first + rows; ++row) {
        const RowStarts<1> x = {{range.x + row * range.x_stride}};
        const RowStatistics<1> statistics = row_statistics<V, AnyBlock<V>>(x, range.columns, range.epsilon);
        if (statistics.template are_ordinary<V>()) {
            normalize_group<V, InCache, 1>(range, row, statistics);
        } else {
            const MeanAndRstd extreme = normalize_extreme_row(range, row);
            write_statistics(range, row, extreme.mean, extreme.rstd);
        }
    }
}

template <class V, class Data, class Block, std::size_t rows>
[[gnu::always_inline]] inline void layer_norm_group(const LayerNormRows &range, std::size_t first) {
    RowStarts<rows> x;
    for (std::size_t r = 0; r < rows; ++r) {
        x.at[r] = range.x + (first + r) * range.x_stride;
    }
    const RowStatistics<rows> statistics = row_statistics<V, Block>(x, range.columns, range.epsilon);
    if (statistics.template are_ordinary<V>()) [[likely]] {
        normalize_group<V, Data, Data::streaming ? 1 : smaller(rows, V::rows_per_pass)>(range, first, statistics);
    } else {
        layer_norm_one_by_one<V>(range, first, rows);
    }
}

template <class V, class Data, class Block, std::size_t rows>
void layer_norm_groups(const LayerNormRows &range) {
    std::size_t row = 0;
    for (; range.rows - row >= rows; row += rows) {
        layer_norm_group<V, Data, Block, rows>(range, row);
    }
    for (; row < range.rows; ++row) {
        layer_norm_group<V, Data, AnyBlock<V>, 1>(range, row);
    }
}

// Rows of up to so many columns go eight, four or two at once: short rows gain from each other's latency, longer ones
// from sharing gamma and beta, as long as the rows of a group lie in L1 (16 KiB) or, for two, in L2 (128 KiB).
constexpr std::size_t columns_of_eight_rows = 512;
constexpr std::size_t columns_of_four_rows = 1024;
constexpr std::size_t columns_of_two_rows = 16384;

template <class V, class Data>
void layer_norm_by_width(const LayerNormRows &range) {
    if constexpr (V::width == 1) {
        layer_norm_groups<V, Data, AnyBlock<V>, 1>(range); // nothing to share or to fill
    } else if (range.columns <= quad_columns) {
        with_vectors(range.columns,
                     [&](auto vectors) { layer_norm_groups<V, Data, ShortBlock<V, vectors>, 8>(range); });
    } else if (range.columns <= columns_of_eight_rows) {
        layer_norm_groups<V, Data, AnyBlock<V>, 8>(range);
    } else if (range.columns <= columns_of_four_rows) {
        layer_norm_groups<V, Data, AnyBlock<V>, 4>(range);
    } else if (range.columns <= columns_of_two_rows) {
        layer_norm_groups<V, Data, AnyBlock<V>, 2>(range);
    } else {
        layer_norm_groups<V, Data, AnyBlock<V>, 1>(range);
    }
}

template <class V>
void layer_norm(const LayerNormRows &range) {
    if (range.streaming) {
        layer_norm_by_width<V, InMemory>(range);
        V::fence();
    } else {
        layer_norm_by_width<V, InCache>(range);
    }
}

template <class V>
constexpr KernelTable kernel_table = {layer_norm<V>};

} // namespace
} // namespace simdnorm
