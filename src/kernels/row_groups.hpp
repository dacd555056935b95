// Groups of rows: normalised together once their statistics are known, and one after the other.
#pragma once

#include "extreme_row.hpp"
#include "kernel_table.hpp"
#include "normalize.hpp"
#include "row_statistics.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

template <std::size_t rows>
[[gnu::always_inline]] inline void write_statistics(const LayerNormRows &range, std::size_t first,
                                                    const float (&mean)[rows], const float (&rstd)[rows]) {
    if (range.mean != nullptr) {
        __builtin_memcpy(range.mean + first, mean, sizeof mean);
    }
    if (range.rstd != nullptr) {
        __builtin_memcpy(range.rstd + first, rstd, sizeof rstd);
    }
}

template <std::size_t rows>
[[gnu::always_inline]] inline RowStarts<rows> row_starts(const LayerNormRows &range, std::size_t first) {
    RowStarts<rows> x;
    const float *row = range.x + first * range.x_stride;
    for (std::size_t r = 0; r < rows; ++r, row += range.x_stride) {
        x.at[r] = row;
    }
    return x;
}

// Rows that are normalised together.
template <std::size_t rows>
struct Group {
    std::size_t first;
    const RowStatistics<rows> &statistics;
    Lookahead ahead;
};

// The columns from `begin` on, no more than normalize_block of them, of rows from `first` on.
template <std::size_t rows>
[[gnu::always_inline]] inline Segment<rows> segment_of(const LayerNormRows &range, std::size_t first, std::size_t begin,
                                                       Lookahead ahead) {
    Segment<rows> segment;
    const float *x = range.x + first * range.x_stride + begin;
    float *y = range.y + first * range.y_stride + begin;
    for (std::size_t r = 0; r < rows; ++r, x += range.x_stride, y += range.y_stride) {
        segment.x[r] = x;
        segment.y[r] = y;
    }
    segment.gamma = range.gamma != nullptr ? range.gamma + begin : ones.of_columns;
    segment.beta = range.beta != nullptr ? range.beta + begin : zeros.of_columns;
    segment.ahead = ahead;
    segment.lines_at_once = range.lines_at_once;
    segment.fetch_into = range.fetch_into;
    segment.asks_for_y = range.asks_for_y;
    return segment;
}

// How many rows of a group are normalised at once: as many as the registers hold. In memory one by one: there the
// caches' own prefetching counts, which follows one row after the other best.
template <class V, Traffic traffic, std::size_t rows>
constexpr std::size_t rows_of_pass = traffic == Traffic::cached ? smaller(rows, V::rows_per_pass) : 1;

// Rows so short that their gamma and beta stay in registers while the rows of a group go by, one after the other.
template <class V, Traffic traffic, class Held, std::size_t rows>
[[gnu::noinline]] void normalize_held_columns(const LayerNormRows &all, const Group<rows> &group, const Held &columns,
                                              VectorOutput<V, traffic> &output) {
    const LayerNormRows range = all; // copies that stores to y cannot seem to change
    const Held held = columns;
    VectorOutput<V, traffic> out = output;
    typename V::Floats gamma[Held::vectors];
    typename V::Floats beta[Held::vectors];
    const float *gamma_from = range.gamma != nullptr ? range.gamma : ones.of_columns;
    const float *beta_from = range.beta != nullptr ? range.beta : zeros.of_columns;
    held.for_each([&](auto i, std::size_t j, auto vector) __attribute__((always_inline)) {
        const typename V::Floats zero = V::broadcast(0.0F);
        gamma[i] = vector.load(gamma_from + j, zero);
        beta[i] = vector.load(beta_from + j, zero);
    });
    for (std::size_t r = 0; r < rows; ++r) {
        const Segment<1> s = segment_of<1>(range, group.first + r, 0, group.ahead);
        const Normalizer<V, 1> normalizer(group.statistics, r);
        ask_for_page<V, traffic>(s.y[0], range.columns);
        held.for_each([&](auto i, std::size_t j, auto vector) __attribute__((always_inline)) {
            if (j % cache_line_floats == 0) {
                normalizer.template prefetch<traffic>(s, j);
            }
            const typename V::Floats x = vector.load(s.x[0] + j, normalizer.mean[0]);
            held.put(out, vector, s.y[0] + j, normalizer.apply(0, x, gamma[i], beta[i]));
        });
        if (range.y_stride != range.columns) {
            out.go_on_at(s.y[0] + range.y_stride);
        }
    }
    output = out;
}

// Whether a group goes so: in cache the rows of one pass share what is loaded of gamma and beta in any case. Groups of
// fewer rows in memory were not measured.
template <class V, std::size_t rows>
[[gnu::always_inline]] inline bool holds_columns(std::size_t columns) {
    return rows > V::rows_per_pass && columns <= held_columns<V>;
}

template <class V, Traffic traffic, std::size_t rows>
[[gnu::always_inline]] inline void put_held(const LayerNormRows &range, const Group<rows> &group,
                                            VectorOutput<V, traffic> &output) {
    with_held_columns<V, traffic>(
        range.columns, [&](const auto &columns) { normalize_held_columns<V, traffic>(range, group, columns, output); });
}

// Where rows go, one group after the other: put takes a group, put_pass the rows of one pass over it from row r on.
template <class V, Traffic traffic>
class Output {
  public:
    [[gnu::always_inline]] explicit Output(const LayerNormRows &range) : vectors_(range.y) {}
    [[gnu::always_inline]] ~Output() { vectors_.finish(); }
    Output(const Output &) = delete;
    Output &operator=(const Output &) = delete;

    // Block by block of columns: a block of gamma and beta serves all rows of the group. What is packed knows one order
    // alone, row by row.
    template <std::size_t rows>
    [[gnu::always_inline]] void put(const LayerNormRows &range, const Group<rows> &group) {
        if constexpr (V::held_vectors > 0) {
            if (holds_columns<V, rows>(range.columns)) {
                return put_held(range, group, vectors_);
            }
        }
        if constexpr (traffic == Traffic::packed) {
            for (std::size_t r = 0; r < rows; ++r) {
                put_pass(range, group, r);
            }
        } else {
            for (std::size_t begin = 0; begin < range.columns; begin += normalize_block) {
                for (std::size_t r = 0; r < rows; r += rows_of_pass<V, traffic, rows>) {
                    put_block(range, group, r, begin);
                }
            }
        }
    }

    template <std::size_t rows>
    [[gnu::always_inline]] void put_pass(const LayerNormRows &range, const Group<rows> &group, std::size_t r) {
        for (std::size_t begin = 0; begin < range.columns; begin += normalize_block) {
            put_block(range, group, r, begin);
        }
        leave_row(range, group.first + r);
    }

    // A row has been written.
    [[gnu::always_inline]] void leave_row(const LayerNormRows &range, std::size_t row) {
        if (range.y_stride != range.columns) {
            go_on_at(range, row + 1);
        }
    }

    // Something else has written the rows up to `row`.
    [[gnu::always_inline]] void go_on_at(const LayerNormRows &range, std::size_t row) {
        vectors_.go_on_at(range.y + row * range.y_stride);
    }

    [[gnu::always_inline]] VectorOutput<V, traffic> &vectors() { return vectors_; }

    // Columns of all rows of a group, no more than normalize_block.
    template <std::size_t rows>
    [[gnu::always_inline]] void put_columns(const LayerNormRows &range, const Group<rows> &group, std::size_t begin,
                                            std::size_t columns) {
        const Normalizer<V, rows> normalizer(group.statistics, 0);
        normalizer.columns(segment_of<rows>(range, group.first, begin, group.ahead), columns, vectors_);
    }

  private:
    template <std::size_t rows>
    [[gnu::always_inline]] void put_block(const LayerNormRows &range, const Group<rows> &group, std::size_t r,
                                          std::size_t begin) {
        constexpr std::size_t pass = rows_of_pass<V, traffic, rows>;
        const Normalizer<V, pass> normalizer(group.statistics, r);
        normalizer.columns(segment_of<pass>(range, group.first + r, begin, group.ahead),
                           smaller(range.columns - begin, normalize_block), vectors_);
    }

    VectorOutput<V, traffic> vectors_;
};

// Rows of which at least one is beyond single precision, one by one.
template <class V>
[[gnu::noinline, gnu::cold]] void layer_norm_one_by_one(LayerNormRows range, std::size_t first, std::size_t rows) {
    for (std::size_t row = first; row < first + rows; ++row) {
        RowStatistics<1> statistics;
        row_statistics<V>(statistics, row_starts<1>(range, row), range.columns, range.epsilon, range.walk);
        if (statistics.template are_ordinary<V>()) {
            Output<V, Traffic::cached>(range).put(range, Group<1>{row, statistics, {}});
            write_statistics(range, row, statistics.mean, statistics.rstd);
        } else {
            const MeanAndRstd extreme = normalize_extreme_row(range, row);
            write_statistics<1>(range, row, {extreme.mean}, {extreme.rstd});
        }
    }
}

// A group whose statistics are known.
template <class V, Traffic traffic, std::size_t rows>
[[gnu::always_inline]] inline void normalize_group(const LayerNormRows &range, const Group<rows> &group,
                                                   Output<V, traffic> &output) {
    if (group.statistics.template are_ordinary<V>()) [[likely]] {
        output.put(range, group);
        write_statistics(range, group.first, group.statistics.mean, group.statistics.rstd);
    } else {
        layer_norm_one_by_one<V>(range, group.first, rows);
        output.go_on_at(range, group.first + rows);
    }
}

// The rows from `first` on.
[[gnu::always_inline]] inline LayerNormRows rest_of(LayerNormRows range, std::size_t first) {
    range.rows -= first;
    range.x += first * range.x_stride;
    range.y += first * range.y_stride;
    range.mean += range.mean != nullptr ? first : 0;
    range.rstd += range.rstd != nullptr ? first : 0;
    return range;
}

// x is asked for so many elements before it is looked at first. Measured on Zen 4.
constexpr std::size_t prefetch_lead = 4096;

// How many rows that is. In cache nothing is asked for: a division less.
template <Traffic traffic>
[[gnu::always_inline]] inline std::size_t rows_ahead(std::size_t under_way, std::size_t lead, std::size_t x_stride) {
    return traffic == Traffic::cached ? under_way : under_way + lead / x_stride;
}

// Groups of rows one after the other.
template <class V, Traffic traffic, std::size_t rows>
void layer_norm_groups(const LayerNormRows &all) {
    const LayerNormRows range = all; // a copy that stores to y cannot seem to change
    Output<V, traffic> output(range);
    const std::size_t ahead = rows_ahead<traffic>(rows, prefetch_lead, range.x_stride);
    std::size_t row = 0;
    for (; range.rows - row >= rows; row += rows) {
        RowStatistics<rows> statistics;
        row_statistics<V>(statistics, row_starts<rows>(range, row), range.columns, range.epsilon, range.walk);
        const bool more = row + ahead + rows <= range.rows;
        normalize_group(range, Group<rows>{row, statistics, {.to_fetched = more ? ahead * range.x_stride : 0}}, output);
    }
    if constexpr (rows > 1) {
        layer_norm_groups<V, traffic, rows / 2>(rest_of(range, row));
    }
}

} // namespace
} // namespace simdnorm
