// Groups of rows of one block each that overlap: the steps of one stand between those of another.
#pragma once

#include "block_sums.hpp"
#include "kernel_table.hpp"
#include "row_groups.hpp"
#include "row_statistics.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

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

} // namespace
} // namespace simdnorm
