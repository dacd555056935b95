// Statistics and normalisation put together for a range of rows; the table that an instruction set exports.
#pragma once

#include "gradients.hpp"
#include "in_turns.hpp"
#include "kernel_table.hpp"
#include "normalize.hpp"
#include "overlapped.hpp"
#include "row_groups.hpp"
#include "row_statistics.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

template <class V, Traffic traffic, bool interleaved>
void layer_norm_eights(const LayerNormRows &range) {
    if (range.columns > quad_columns) {
        return layer_norm_overlapped<V, traffic, AnyBlock<V>, 8>(range);
    }
    with_vectors(range.columns, [&](auto vectors) {
        layer_norm_overlapped<V, traffic, ShortBlock<V, vectors>, 8, interleaved>(range);
    });
}

template <class V, Traffic traffic>
void layer_norm_grouped(const LayerNormRows &range) {
    if constexpr (V::width == 1) {
        layer_norm_groups<V, traffic, 1>(range); // nothing to share or to fill
    } else {
        switch (range.grouping) {
        case Grouping::interleaved_eights:
            return layer_norm_eights<V, traffic, V::interleaves>(range);
        case Grouping::overlapped_eights:
            return layer_norm_eights<V, traffic, false>(range);
        case Grouping::overlapped_fours:
            return layer_norm_overlapped<V, traffic, AnyBlock<V>, 4>(range);
        case Grouping::overlapped_pairs:
            return layer_norm_overlapped<V, traffic, AnyBlock<V>, 2>(range);
        case Grouping::overlapped_rows:
            return layer_norm_overlapped<V, traffic, AnyBlock<V>, 1>(range);
        case Grouping::fours_in_turns:
            return layer_norm_in_turns<V, traffic, 4>(range);
        case Grouping::pairs_in_turns:
            return layer_norm_in_turns<V, traffic, 2>(range);
        case Grouping::rows_in_turns:
            return layer_norm_in_turns<V, traffic, 1>(range);
        case Grouping::fours:
            return layer_norm_groups<V, traffic, 4>(range);
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
            block_moments<V>(RowStarts<1>{{x + begin}}, smaller(range.columns - begin, statistics_block), range.walk);
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
            Output<V, traffic>(part).put(part, Group<1>{0, statistics, {.to_fetched = ahead}});
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
void layer_norm_backward(const GradientRows &range, const ColumnSums &sums) {
    with_traffic<V>(range.traffic, [&](auto traffic) {
        if constexpr (traffic != Traffic::cached) {
            if (range.in_turns) {
                return backward_rows_in_turns<V, traffic>(range, sums);
            }
        }
        backward_rows<V, traffic>(range, sums);
    });
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
        VectorOutput<V, traffic> output(dx_at(range, group.first, begin));
        write_gradients<V, traffic>(range, group, begin, end, ahead, sums, output);
        output.finish();
    });
}

template <class V>
constexpr KernelTable kernel_table = {held_columns<V>,        layer_norm<V>,  measure_blocks<V>, normalize_blocks<V>,
                                      layer_norm_backward<V>, start_group<V>, sum_blocks<V>,     settle<V>,
                                      write_blocks<V>};

} // namespace
} // namespace simdnorm
