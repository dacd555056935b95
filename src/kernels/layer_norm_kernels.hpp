// Statistics and normalisation put together for a range of rows; the table that an instruction set exports.
#pragma once

#include "extreme_row.hpp"
#include "gradients.hpp"
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

// Rows that are normalised together. `ahead`: how many elements further lies what will be wanted next of x, where x is
// asked for.
template <std::size_t rows>
struct Group {
    std::size_t first;
    const RowStatistics<rows> &statistics;
    std::size_t ahead;
};

// The columns from `begin` on, no more than normalize_block of them, of rows from `first` on. The first row goes to y,
// each other one y_stride further.
template <std::size_t rows>
[[gnu::always_inline]] inline Segment<rows> segment_of(const LayerNormRows &range, std::size_t first, std::size_t begin,
                                                       float *y, std::size_t y_stride, std::size_t ahead) {
    Segment<rows> segment;
    const float *x = range.x + first * range.x_stride + begin;
    for (std::size_t r = 0; r < rows; ++r, x += range.x_stride, y += y_stride) {
        segment.x[r] = x;
        segment.y[r] = y;
    }
    segment.gamma = range.gamma != nullptr ? range.gamma + begin : ones.of_columns;
    segment.beta = range.beta != nullptr ? range.beta + begin : zeros.of_columns;
    segment.ahead = ahead;
    return segment;
}

// As many rows at once as the registers hold.
template <class V, Traffic traffic, std::size_t rows>
[[gnu::always_inline]] inline void normalize_segment(const LayerNormRows &range, const Group<rows> &group,
                                                     std::size_t begin, std::size_t columns, float *y,
                                                     std::size_t y_stride) {
    // In memory one by one: there the caches' own prefetching counts, which follows one row after the other best.
    constexpr std::size_t pass = traffic == Traffic::cached ? smaller(rows, V::rows_per_pass) : 1;
    for (std::size_t r = 0; r < rows; r += pass) {
        const Normalizer<V, pass> normalizer(group.statistics, r);
        normalizer.template columns<traffic>(
            segment_of<pass>(range, group.first + r, begin, y + r * y_stride, y_stride, group.ahead), columns);
    }
}

// The columns from `begin` on, straight to y.
template <class V, Traffic traffic, std::size_t rows>
[[gnu::always_inline]] inline void normalize_columns(const LayerNormRows &range, const Group<rows> &group,
                                                     std::size_t begin) {
    float *y = range.y + group.first * range.y_stride;
    for (; begin < range.columns; begin += normalize_block) {
        normalize_segment<V, traffic>(range, group, begin, smaller(range.columns - begin, normalize_block), y + begin,
                                      range.y_stride);
    }
}

// Rows of which at least one is beyond single precision, one by one.
template <class V>
[[gnu::noinline, gnu::cold]] void layer_norm_one_by_one(LayerNormRows range, std::size_t first, std::size_t rows) {
    for (std::size_t row = first; row < first + rows; ++row) {
        RowStatistics<1> statistics;
        row_statistics<V, 1>(statistics, row_starts<1>(range, row), range.columns, range.epsilon);
        if (statistics.template are_ordinary<V>()) {
            normalize_columns<V, Traffic::cached>(range, Group<1>{row, statistics, 0}, 0);
            write_statistics(range, row, statistics.mean, statistics.rstd);
        } else {
            const MeanAndRstd extreme = normalize_extreme_row(range, row);
            write_statistics<1>(range, row, {extreme.mean}, {extreme.rstd});
        }
    }
}

// Where rows go, one group after the other.
template <class V, Traffic traffic>
class Output {
  public:
    [[gnu::always_inline]] explicit Output(const LayerNormRows &) {}

    template <std::size_t rows>
    [[gnu::always_inline]] void put(const LayerNormRows &range, const Group<rows> &group) {
        normalize_columns<V, traffic>(range, group, 0);
    }

    // Something else has written the rows up to `row`.
    [[gnu::always_inline]] void go_on_at(const LayerNormRows &, std::size_t) {}
};

template <class V>
class Output<V, Traffic::packed> {
  public:
    [[gnu::always_inline]] explicit Output(const LayerNormRows &range) : packer_(range.y) {}
    [[gnu::always_inline]] ~Output() { packer_.finish(); }
    Output(const Output &) = delete;
    Output &operator=(const Output &) = delete;

    template <std::size_t rows>
    [[gnu::always_inline]] void put(const LayerNormRows &range, const Group<rows> &group) {
        for (std::size_t r = 0; r < rows; ++r) {
            const Normalizer<V, 1> normalizer(group.statistics, r);
            for (std::size_t begin = 0; begin < range.columns; begin += normalize_block) {
                pack(normalizer, segment_of<1>(range, group.first + r, begin, nullptr, 0, group.ahead),
                     smaller(range.columns - begin, normalize_block), packer_);
            }
            if (range.y_stride != range.columns) {
                go_on_at(range, group.first + r + 1);
            }
        }
    }

    [[gnu::always_inline]] void go_on_at(const LayerNormRows &range, std::size_t row) {
        packer_.restart(range.y + row * range.y_stride);
    }

  private:
    Packer<V> packer_;
};

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

// Groups of rows one after the other.
template <class V, Traffic traffic, std::size_t rows>
void layer_norm_groups(const LayerNormRows &all) {
    const LayerNormRows range = all; // a copy that stores to y cannot seem to change
    Output<V, traffic> output(range);
    std::size_t row = 0;
    for (; range.rows - row >= rows; row += rows) {
        RowStatistics<rows> statistics;
        row_statistics<V, rows>(statistics, row_starts<rows>(range, row), range.columns, range.epsilon);
        const bool more = range.rows - row >= 2 * rows;
        normalize_group(range, Group<rows>{row, statistics, more ? rows * range.x_stride : 0}, output);
    }
    if constexpr (rows > 1) {
        layer_norm_groups<V, traffic, 1>(rest_of(range, row));
    }
}

// What is known of a group of rows between the steps of its statistics.
template <class V, std::size_t rows>
struct InFlight {
    Pivots<rows> pivots;
    LaneSums<V, rows> lanes;
    RowStatistics<rows> statistics;
};

// x is asked for so many elements before it is looked at first.
constexpr std::size_t prefetch_lead = 2048;

// Groups of rows of one block each, three of them under way at once. The steps of one group wait for each other, and
// each of them is a longer chain of dependent operations than a CPU looks ahead: so a step of another group stands
// between any two.
template <class V, Traffic traffic, class Block, std::size_t rows>
void layer_norm_overlapped(const LayerNormRows &all) {
    const LayerNormRows range = all; // a copy that stores to y cannot seem to change
    const Block block(range.columns);
    const std::size_t groups = range.rows / rows;
    InFlight<V, rows> flight[3];
    const auto choose = [&](std::size_t g) __attribute__((always_inline)) {
        if (g < groups) {
            choose_pivots<V>(flight[g % 3].pivots, row_starts<rows>(range, g * rows), block);
        }
    };
    const auto sum = [&](std::size_t g) __attribute__((always_inline)) {
        if (g < groups) {
            sum_lanes<V>(flight[g % 3].lanes, row_starts<rows>(range, g * rows), block, flight[g % 3].pivots);
        }
    };
    const auto finish = [&](std::size_t g) __attribute__((always_inline)) {
        if (g < groups) {
            const Moments<rows> moments =
                finish_block<V>(flight[g % 3].lanes, row_starts<rows>(range, g * rows), block, flight[g % 3].pivots);
            finish_rows<V>(flight[g % 3].statistics, moments, block.counts().per_element, range.epsilon);
        }
    };
    const std::size_t ahead = 2 * rows + prefetch_lead / range.x_stride + 1;
    Output<V, traffic> output(range);
    choose(0);
    choose(1);
    sum(0);
    finish(0);
    sum(1);
    for (std::size_t g = 0; g < groups; ++g) {
        choose(g + 2);
        finish(g + 1);
        const std::size_t row = g * rows;
        const bool more = row + ahead + rows <= range.rows;
        normalize_group(range, Group<rows>{row, flight[g % 3].statistics, more ? ahead * range.x_stride : 0}, output);
        sum(g + 2);
    }
    if constexpr (rows > 1) {
        layer_norm_overlapped<V, traffic, AnyBlock<V>, 1>(rest_of(range, groups * rows));
    }
}

template <class V, Traffic traffic>
void layer_norm_grouped(const LayerNormRows &range) {
    if constexpr (V::width == 1) {
        layer_norm_groups<V, traffic, 1>(range); // nothing to share or to fill
    } else {
        switch (range.grouping) {
        case Grouping::overlapped_eights:
            if (range.columns > quad_columns) {
                return layer_norm_overlapped<V, traffic, AnyBlock<V>, 8>(range);
            }
            return with_vectors(range.columns, [&](auto vectors) {
                layer_norm_overlapped<V, traffic, ShortBlock<V, vectors>, 8>(range);
            });
        case Grouping::overlapped_pairs:
            return layer_norm_overlapped<V, traffic, AnyBlock<V>, 2>(range);
        case Grouping::overlapped_rows:
            return layer_norm_overlapped<V, traffic, AnyBlock<V>, 1>(range);
        case Grouping::pairs:
            return layer_norm_groups<V, traffic, 2>(range);
        case Grouping::rows:
            return layer_norm_groups<V, traffic, 1>(range);
        }
    }
}

// Calls use(traffic) with the traffic as a constant.
template <class V, class Use>
[[gnu::always_inline]] inline void with_traffic(Traffic traffic, const Use &use) {
    if (traffic == Traffic::cached) {
        return use(std::integral_constant<Traffic, Traffic::cached>());
    }
    if constexpr (V::streams) {
        if (traffic == Traffic::streamed) {
            use(std::integral_constant<Traffic, Traffic::streamed>());
            return V::fence();
        }
        if (traffic == Traffic::packed) {
            use(std::integral_constant<Traffic, Traffic::packed>());
            return V::fence();
        }
    }
    use(std::integral_constant<Traffic, Traffic::fetched>());
}

template <class V>
void layer_norm(const LayerNormRows &range) {
    with_traffic<V>(range.traffic, [&](auto traffic) { layer_norm_grouped<V, traffic>(range); });
}

template <class V>
void measure_blocks(const LayerNormRows &range, std::size_t row, BlockRange blocks, BlockMoments *moments) {
    const float *x = range.x + row * range.x_stride;
    for (std::size_t b = blocks.first; b < blocks.first + blocks.count; ++b) {
        const std::size_t begin = b * statistics_block;
        const Moments<1> block =
            block_moments<V>(RowStarts<1>{{x + begin}}, smaller(range.columns - begin, statistics_block));
        moments[b] = {block.count, block.pivot[0], block.offset[0], block.squares[0]};
    }
}

// In the order of row_moments.
template <class V>
[[gnu::always_inline]] inline RowStatistics<1> merge_blocks(const LayerNormRows &range, const BlockMoments *moments) {
    Moments<1> row{};
    for (std::size_t begin = 0; begin < range.columns; begin += statistics_block, ++moments) {
        add_block<V>(row, Moments<1>{moments->count, {moments->pivot}, {moments->offset}, {moments->squares}},
                     begin == 0);
    }
    RowStatistics<1> statistics;
    finish_rows<V>(statistics, row, 1.0 / row.count, range.epsilon);
    return statistics;
}

// Some columns of one row, as a row of their own.
inline LayerNormRows columns_of_row(LayerNormRows range, std::size_t row, BlockRange blocks) {
    const std::size_t begin = blocks.first * statistics_block;
    range.rows = 1;
    range.columns = smaller(range.columns - begin, blocks.count * statistics_block);
    range.x += row * range.x_stride + begin;
    range.y += row * range.y_stride + begin;
    range.gamma += range.gamma != nullptr ? begin : 0;
    range.beta += range.beta != nullptr ? begin : 0;
    return range;
}

template <class V>
void normalize_blocks(const LayerNormRows &range, std::size_t row, BlockRange blocks, const BlockMoments *moments) {
    const RowStatistics<1> statistics = merge_blocks<V>(range, moments);
    const bool ordinary = statistics.are_ordinary<V>();
    if (ordinary) [[likely]] {
        const LayerNormRows part = columns_of_row(range, row, blocks);
        const std::size_t ahead = row + 1 < range.rows ? range.x_stride : 0;
        with_traffic<V>(range.traffic, [&](auto traffic) {
            Output<V, traffic>(part).put(part, Group<1>{0, statistics, ahead});
        });
    }
    if (blocks.first == 0) {
        if (ordinary) [[likely]] {
            write_statistics(range, row, statistics.mean, statistics.rstd);
        } else {
            layer_norm_one_by_one<V>(range, row, 1);
        }
    }
}

template <class V>
void layer_norm_backward(const GradientRows &range, std::size_t first, std::size_t rows, const ColumnSums &sums) {
    with_traffic<V>(range.traffic, [&](auto traffic) { backward_rows<V, traffic>(range, first, rows, sums); });
}

template <class V>
void write_blocks(const GradientRows &range, const GradientGroup &group, BlockRange blocks, const ColumnSums &sums) {
    if (blocks.count == 0) {
        return; // more threads than blocks
    }
    const std::size_t begin = blocks.first * statistics_block;
    const std::size_t end = smaller(range.columns, begin + blocks.count * statistics_block);
    const std::size_t ahead = group.first + 2 * group.rows <= range.rows ? group.rows : 0;
    with_traffic<V>(range.traffic, [&](auto traffic) {
        GradientOutput<V, traffic> output(dx_at(range, group.first, begin));
        write_gradients<V, traffic>(range, group, begin, end, ahead, sums, output);
        output.finish();
    });
}

template <class V>
constexpr KernelTable kernel_table = {layer_norm<V>,  measure_blocks<V>, normalize_blocks<V>, layer_norm_backward<V>,
                                      start_group<V>, sum_blocks<V>,     settle<V>,           write_blocks<V>};

} // namespace
} // namespace simdnorm
