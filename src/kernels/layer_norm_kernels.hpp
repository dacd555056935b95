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
    [[gnu::always_inline]] explicit Output(const LayerNormRows &) {}

    // Block by block of columns: a block of gamma and beta serves all rows of the group.
    template <std::size_t rows>
    [[gnu::always_inline]] void put(const LayerNormRows &range, const Group<rows> &group) {
        if constexpr (V::held_vectors > 0) {
            if (holds_columns<V, rows>(range.columns)) {
                VectorOutput<V, traffic> output(nullptr);
                return put_held(range, group, output);
            }
        }
        for (std::size_t begin = 0; begin < range.columns; begin += normalize_block) {
            for (std::size_t r = 0; r < rows; r += rows_of_pass<V, traffic, rows>) {
                put_block(range, group, r, begin);
            }
        }
    }

    template <std::size_t rows>
    [[gnu::always_inline]] void put_pass(const LayerNormRows &range, const Group<rows> &group, std::size_t r) {
        for (std::size_t begin = 0; begin < range.columns; begin += normalize_block) {
            put_block(range, group, r, begin);
        }
    }

    // Something else has written the rows up to `row`.
    [[gnu::always_inline]] void go_on_at(const LayerNormRows &, std::size_t) {}

  private:
    template <std::size_t rows>
    [[gnu::always_inline]] void put_block(const LayerNormRows &range, const Group<rows> &group, std::size_t r,
                                          std::size_t begin) {
        constexpr std::size_t pass = rows_of_pass<V, traffic, rows>;
        const Normalizer<V, pass> normalizer(group.statistics, r);
        normalizer.template columns<traffic>(segment_of<pass>(range, group.first + r, begin, group.ahead),
                                             smaller(range.columns - begin, normalize_block));
    }
};

template <class V>
class Output<V, Traffic::packed> {
  public:
    [[gnu::always_inline]] explicit Output(const LayerNormRows &range) : output_(range.y) {}
    [[gnu::always_inline]] ~Output() { output_.finish(); }
    Output(const Output &) = delete;
    Output &operator=(const Output &) = delete;

    template <std::size_t rows>
    [[gnu::always_inline]] void put(const LayerNormRows &range, const Group<rows> &group) {
        if constexpr (V::held_vectors > 0) {
            if (holds_columns<V, rows>(range.columns)) {
                return put_held(range, group, output_);
            }
        }
        for (std::size_t r = 0; r < rows; ++r) {
            put_pass(range, group, r);
        }
    }

    template <std::size_t rows>
    [[gnu::always_inline]] void put_pass(const LayerNormRows &range, const Group<rows> &group, std::size_t r) {
        const Normalizer<V, 1> normalizer(group.statistics, r);
        for (std::size_t begin = 0; begin < range.columns; begin += normalize_block) {
            pack(normalizer, segment_of<1>(range, group.first + r, begin, group.ahead),
                 smaller(range.columns - begin, normalize_block), output_.packer);
        }
        if (range.y_stride != range.columns) {
            go_on_at(range, group.first + r + 1);
        }
    }

    [[gnu::always_inline]] void go_on_at(const LayerNormRows &range, std::size_t row) {
        output_.go_on_at(range.y + row * range.y_stride);
    }

  private:
    VectorOutput<V, Traffic::packed> output_;
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

// The same where groups overlap, beyond those under way.
constexpr std::size_t overlapped_prefetch_lead = 2048;

// Groups of rows of one block each, some of them under way at once. The steps of one group wait for each other, and
// some of them are a longer chain of dependent operations than a CPU looks ahead: so a step of another group stands
// between them.
template <class V, Traffic traffic, class Block, std::size_t rows>
class Overlapped {
  public:
    [[gnu::always_inline]] explicit Overlapped(const LayerNormRows &range)
        : range_(range), groups_(range.rows / rows), block_(range.columns, range.walk), output_(range),
          ahead_(rows_ahead<traffic>(2 * rows + 1, overlapped_prefetch_lead, range.x_stride)) {}

    // Step by step, three groups under way. No store leaves the CPU before all older instructions are done, and
    // finish() is what waits longest: so it comes after normalize(), whose stores leave meanwhile, and for sums whose
    // lanes add() has added a turn before.
    [[gnu::always_inline]] void run() {
        choose(0);
        choose(1);
        choose(2);
        sum(0);
        add(0);
        sum(1);
        add(1);
        finish(0);
        for (std::size_t g = 0; g < groups_; ++g) {
            normalize(g);
            sum(g + 2);
            add(g + 2);
            finish(g + 1);
            choose(g + 3);
        }
    }

    // The sums of one group beside the normalising of another, a few rows of each in turn: they need different units
    // of the CPU. Four groups under way.
    [[gnu::always_inline]] void run_interleaved() {
        choose(0);
        choose(1);
        choose(2);
        sum(0);
        add(0);
        finish(0);
        sum(1);
        add(1);
        finish(1);
        for (std::size_t g = 0; g < groups_; ++g) {
            choose(g + 3);
            if (g + 2 < groups_ && flight(g).statistics.template are_ordinary<V>()) [[likely]] {
                sum_and_normalize(g + 2, g);
            } else {
                normalize(g);
                sum(g + 2);
            }
            add(g + 2);
            finish(g + 2);
        }
    }

  private:
    static constexpr std::size_t most_under_way = 4;

    // What is known of a group between the steps of its statistics.
    struct InFlight {
        Pivots<rows> pivots;
        LaneSums<Block, rows> lanes;
        CentredSums<rows> sums;
        RowStatistics<rows> statistics;
    };

    [[gnu::always_inline]] InFlight &flight(std::size_t g) { return flight_[g % most_under_way]; }
    [[gnu::always_inline]] RowStarts<rows> x(std::size_t g) const { return row_starts<rows>(range_, g * rows); }

    [[gnu::always_inline]] Group<rows> group(std::size_t g, std::size_t to_summed) {
        const std::size_t row = g * rows;
        const bool more = row + ahead_ + rows <= range_.rows;
        return {row, flight(g).statistics, {.to_fetched = more ? ahead_ * range_.x_stride : 0, .to_summed = to_summed}};
    }

    [[gnu::always_inline]] void choose(std::size_t g) {
        if (g < groups_) {
            choose_pivots<V>(flight(g).pivots, x(g), block_);
        }
    }

    [[gnu::always_inline]] void sum(std::size_t g) {
        if (g < groups_) {
            sum_lanes<V>(flight(g).lanes, x(g), block_, flight(g).pivots);
        }
    }

    [[gnu::always_inline]] void add(std::size_t g) {
        if (g < groups_) {
            flight(g).sums = add_lanes<V, Block>(flight(g).lanes);
        }
    }

    [[gnu::always_inline]] void finish(std::size_t g) {
        if (g < groups_) {
            const Moments<rows> moments = finish_block<V>(flight(g).sums, x(g), block_, flight(g).pivots);
            finish_rows<V>(flight(g).statistics, moments, block_.counts().per_element, range_.epsilon);
        }
    }

    // Step by step, the sums of the group after the next one follow.
    [[gnu::always_inline]] void normalize(std::size_t g) {
        const bool asks = range_.fetches_twice && g + 2 < groups_;
        normalize_group(range_, group(g, asks ? 2 * rows * range_.x_stride : 0), output_);
    }

    // Of two groups, one whose rows are all ordinary.
    [[gnu::always_inline]] void sum_and_normalize(std::size_t summed, std::size_t normalized) {
        constexpr std::size_t pass = rows_of_pass<V, traffic, rows>;
        const RowStarts<rows> starts = x(summed);
        const Group<rows> ready = group(normalized, 0);
        for (std::size_t first = 0; first < rows; first += pass) {
            for (std::size_t r = first; r < first + pass; ++r) {
                block_.sum(flight(summed).lanes.of_row[r], starts.at[r], flight(summed).pivots.of_row[r]);
            }
            output_.put_pass(range_, ready, first);
        }
        write_statistics(range_, ready.first, ready.statistics.mean, ready.statistics.rstd);
    }

    const LayerNormRows range_; // a copy that stores to y cannot seem to change
    const std::size_t groups_;
    const Block block_;
    Output<V, traffic> output_;
    const std::size_t ahead_;
    InFlight flight_[most_under_way];
};

template <class V, Traffic traffic, class Block, std::size_t rows, bool interleaved = false>
void layer_norm_overlapped(const LayerNormRows &range) {
    Overlapped<V, traffic, Block, rows> groups(range);
    if constexpr (interleaved) {
        groups.run_interleaved();
    } else {
        groups.run();
    }
    if constexpr (rows > 1) {
        layer_norm_overlapped<V, traffic, AnyBlock<V>, 1>(rest_of(range, range.rows / rows * rows));
    }
}

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
