// Groups of rows, each normalised in turns with the sums of the next one.
#pragma once

#include "block_sums.hpp"
#include "kernel_table.hpp"
#include "normalize.hpp"
#include "row_groups.hpp"
#include "row_statistics.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

// Where rows go in turns, x is asked for so many elements before it is summed.
constexpr std::size_t lead_in_turns = 1024;

// Columns [begin, begin + columns) of a group, no more than a block, and in turns with that the sums of the same
// columns of the next one.
template <class V, Traffic traffic, std::size_t rows>
[[gnu::noinline]] LaneSums<AnyBlock<V>, rows>
normalize_and_sum(const LayerNormRows &all, const Group<rows> &group, const RowStarts<rows> &next, std::size_t begin,
                  std::size_t columns, const Pivots<rows> &pivots, Output<V, traffic> &output) {
    const LayerNormRows range = all; // copies that stores to y cannot seem to change
    VectorOutput<V, traffic> to = output.vectors();
    const Normalizer<V, rows> normalizer(group.statistics, 0);
    const Segment<rows> s = segment_of<rows>(range, group.first, begin, group.ahead);
    normalizer.template ask_for_pages<traffic>(s, columns);
    std::size_t written = 0;
    const auto write = [&](std::size_t vectors) __attribute__((always_inline)) {
        for (std::size_t i = 0; i < vectors; ++i, written += V::width) {
            if (written % cache_line_floats == 0) {
                normalizer.template prefetch<traffic>(s, written);
            }
            normalizer.whole(s, written, to);
        }
    };
    LaneSums<AnyBlock<V>, rows> lanes;
    for (std::size_t r = 0; r < rows; ++r) {
        LongSums<V> sums;
        sums.template add<Walk::unrolled, false>(
            next.at[r], columns,
            pivots.of_row[r], [&]() __attribute__((always_inline)) { write(quad_vectors / rows); });
        lanes.of_row[r] = sums.fold();
    }
    write((columns - written) / V::width);
    if (written < columns) {
        if (written % cache_line_floats == 0) {
            normalizer.template prefetch<traffic>(s, written);
        }
        normalizer.part(s, written, columns - written, to);
    }
    output.vectors() = to;
    return lanes;
}

// Groups of rows of more than a quad, each normalised in turns with the sums of the next one: a few vectors of the one,
// and as many of the other. So loads of x and stores to y are under way together all the time.
template <class V, Traffic traffic, std::size_t rows>
class InTurns {
  public:
    [[gnu::always_inline]] explicit InTurns(const LayerNormRows &range)
        : range_(range), groups_(range.rows / rows), block_(smaller(range.columns, statistics_block), range.walk),
          output_(range) {}

    [[gnu::always_inline]] void run() {
        RowStatistics<rows> statistics[2];
        for (std::size_t g = 0; g < groups_; ++g) {
            if (g == 0) {
                row_statistics<V>(statistics[0], x(0), range_.columns, range_.epsilon, range_.walk);
            }
            const Group<rows> group = {g * rows, statistics[g % 2], {.to_fetched = to_fetched(g)}};
            if (g + 1 < groups_ && group.statistics.template are_ordinary<V>()) [[likely]] {
                normalize_and_sum_next(group, statistics[(g + 1) % 2]);
            } else {
                normalize_group(range_, group, output_);
                if (g + 1 < groups_) {
                    row_statistics<V>(statistics[(g + 1) % 2], x(g + 1), range_.columns, range_.epsilon, range_.walk);
                }
            }
        }
    }

  private:
    using Block = AnyBlock<V>;

    [[gnu::always_inline]] RowStarts<rows> x(std::size_t g) const { return row_starts<rows>(range_, g * rows); }

    // A little beyond the sums.
    [[gnu::always_inline]] std::size_t to_fetched(std::size_t g) const {
        return g + 2 < groups_ ? rows * range_.x_stride + lead_in_turns : 0;
    }

    [[gnu::always_inline]] void normalize_and_sum_next(const Group<rows> &group, RowStatistics<rows> &statistics) {
        Moments<rows> moments = normalize_and_sum_block(group, 0, block_);
        double per_element = block_.counts().per_element;
        if (range_.columns > statistics_block) {
            for (std::size_t begin = statistics_block; begin < range_.columns; begin += statistics_block) {
                const Block block(smaller(range_.columns - begin, statistics_block), range_.walk);
                merge<V>(moments, normalize_and_sum_block(group, begin, block));
            }
            per_element = 1.0 / moments.count;
        }
        output_.leave_row(range_, group.first + rows - 1);
        write_statistics(range_, group.first, group.statistics.mean, group.statistics.rstd);
        finish_rows<V>(statistics, moments, per_element, range_.epsilon);
    }

    // The columns of a block from `begin` on.
    [[gnu::always_inline]] Moments<rows> normalize_and_sum_block(const Group<rows> &group, std::size_t begin,
                                                                 const Block &block) {
        RowStarts<rows> x = row_starts<rows>(range_, group.first + rows);
        for (std::size_t r = 0; r < rows; ++r) {
            x.at[r] += begin;
        }
        Pivots<rows> pivots;
        choose_pivots<V>(pivots, x, block);
        LaneSums<Block, rows> lanes;
        if (block.columns() > quad_columns) {
            lanes = normalize_and_sum(range_, group, x, begin, block.columns(), pivots, output_);
        } else {
            output_.put_columns(range_, group, begin, block.columns());
            sum_lanes<V>(lanes, x, block, pivots);
        }
        return finish_block<V>(add_lanes<V, Block>(lanes), x, block, pivots);
    }

    const LayerNormRows range_; // a copy that stores to y cannot seem to change
    const std::size_t groups_;
    const Block block_; // the first, or only, one of a row
    Output<V, traffic> output_;
};

template <class V, Traffic traffic, std::size_t rows>
void layer_norm_in_turns(const LayerNormRows &range) {
    if constexpr (rows > V::rows_per_pass || (rows > 1 && traffic == Traffic::packed)) {
        layer_norm_in_turns<V, traffic, rows / 2>(range);
    } else {
        InTurns<V, traffic, rows>(range).run();
        if constexpr (rows > 1) {
            layer_norm_in_turns<V, traffic, rows / 2>(rest_of(range, range.rows / rows * rows));
        }
    }
}

} // namespace
} // namespace simdnorm
