// Statistics and normalisation put together for a range of rows; the table that
// an instruction set exports.
#pragma once

#include "extreme_row.hpp"
#include "kernel_table.hpp"
#include "normalize.hpp"
#include "row_statistics.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

inline void write_statistics(const LayerNormRows &range, std::size_t row,
                             float mean, float rstd) {
  if (range.mean != nullptr) {
    range.mean[row] = mean;
  }
  if (range.rstd != nullptr) {
    range.rstd[row] = rstd;
  }
}

// Columns [begin, begin + columns) of `rows` rows from row `first` on; rows
// that come after are `ahead` rows further.
template <class V, class Data, std::size_t rows>
[[gnu::always_inline]] inline void
normalize_columns(const LayerNormRows &range, std::size_t first,
                  std::size_t ahead, std::size_t begin, std::size_t columns,
                  const RowStatistics *statistics) {
  Segment<rows> segment;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t row = first + r;
    segment.x[r] = range.x + row * range.x_stride + begin;
    segment.y[r] = range.y + row * range.y_stride + begin;
    segment.next[r] =
        range.x + smaller(row + ahead, range.rows - 1) * range.x_stride + begin;
  }
  segment.gamma =
      range.gamma != nullptr ? range.gamma + begin : ones.of_columns;
  segment.beta = range.beta != nullptr ? range.beta + begin : zeros.of_columns;
  normalize<V, Data, rows>(segment, columns, statistics);
}

// Where a row of a group is too extreme for single precision: one row after
// another.
template <class V>
[[gnu::noinline, gnu::cold]] void
finish_mixed_group(const LayerNormRows &range, std::size_t first,
                   std::size_t rows, const RowStatistics *statistics) {
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t row = first + r;
    if (!statistics[r].ordinary) {
      const MeanAndRstd extreme = normalize_extreme_row(range, row);
      write_statistics(range, row, extreme.mean, extreme.rstd);
      continue;
    }
    for (std::size_t begin = 0; begin < range.columns; begin += column_block) {
      normalize_columns<V, InCache, 1>(
          range, row, 0, begin, smaller(range.columns - begin, column_block),
          statistics + r);
    }
    write_statistics(range, row, statistics[r].mean, statistics[r].rstd);
  }
}

template <class V, class Data, std::size_t rows>
[[gnu::always_inline]] inline void
finish_group(const LayerNormRows &range, std::size_t first,
             const RowStatistics *statistics) {
  constexpr std::size_t pass =
      Data::streaming ? 1 : smaller(rows, V::rows_per_pass);
  for (std::size_t begin = 0; begin < range.columns; begin += column_block) {
    const std::size_t columns = smaller(range.columns - begin, column_block);
    for (std::size_t r = 0; r < rows; r += pass) {
      normalize_columns<V, Data, pass>(range, first + r, rows, begin, columns,
                                       statistics + r);
    }
  }
  for (std::size_t r = 0; r < rows; ++r) {
    write_statistics(range, first + r, statistics[r].mean, statistics[r].rstd);
  }
}

template <class V, class Data, std::size_t rows>
[[gnu::always_inline]] inline void layer_norm_group(const LayerNormRows &range,
                                                    std::size_t first) {
  RowStarts<rows> x;
  for (std::size_t r = 0; r < rows; ++r) {
    x.at[r] = range.x + (first + r) * range.x_stride;
  }
  RowStatistics statistics[rows];
  row_statistics<V>(x, range.columns, range.epsilon, statistics);
  bool ordinary = true;
  for (std::size_t r = 0; r < rows; ++r) {
    ordinary = ordinary && statistics[r].ordinary;
  }
  if (ordinary) [[likely]] {
    finish_group<V, Data, rows>(range, first, statistics);
  } else {
    finish_mixed_group<V>(range, first, rows, statistics);
  }
}

template <class V, class Data, std::size_t rows>
void layer_norm_groups(const LayerNormRows &range) {
  std::size_t row = 0;
  for (; range.rows - row >= rows; row += rows) {
    layer_norm_group<V, Data, rows>(range, row);
  }
  for (; row < range.rows; ++row) {
    layer_norm_group<V, Data, 1>(range, row);
  }
}

// As many rows at once as leave room in L1: short rows gain from each other's
// latency, long ones from sharing gamma and beta, and the longest fill the
// caches alone.
template <class V, class Data>
void layer_norm_by_width(const LayerNormRows &range) {
  if (range.columns <= 512) {
    layer_norm_groups<V, Data, 8>(range);
  } else if (range.columns <= 1024) {
    layer_norm_groups<V, Data, 4>(range);
  } else if (range.columns <= 16384) {
    layer_norm_groups<V, Data, 2>(range);
  } else {
    layer_norm_groups<V, Data, 1>(range);
  }
}

template <class V> void layer_norm(const LayerNormRows &range) {
  if (range.streaming) {
    layer_norm_by_width<V, InMemory>(range);
    V::fence();
  } else {
    layer_norm_by_width<V, InCache>(range);
  }
}

template <class V> constexpr KernelTable kernel_table = {layer_norm<V>};

} // namespace
} // namespace simdnorm
