// Rows -> their means and rstds, reading each row once.
//
// A row is cut into blocks. A block's statistics are sums of differences from a pivot close to the block's mean
// (block_sums.hpp). Blocks are merged by Welford's update in its form for blocks (Chan, Golub and LeVeque, "Updating
// Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979). docs/numerics.md proves what this promises,
// and where the constants here come from.
//
// Everything is done for `rows` rows at once: a row's sums end in a long chain of dependent additions, a square root
// and a division, and other rows fill the time that these take.
#pragma once

#include "block_sums.hpp"
#include "kernel_table.hpp"
#include "lanes.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

// The pivot is good if the block's offset from it has a square of at most 1/32 of the mean square.
constexpr double pivot_tolerance = 1.0 / 32;

// Variance plus epsilon outside these bounds may have suffered from squares that underflowed, or from a spread near
// float's range: such rows are done again in double.
constexpr double least_ordinary_variance = 0x1p-100;
constexpr double greatest_ordinary_variance = 0x1p+120;

// Count, mean and sum of squared deviations of some elements of each of `rows` rows. A mean is kept as a float and a
// double offset from it: as one double it would lose what tells a row of nearly equal elements from a constant one.
template <std::size_t rows>
struct Moments {
    double count;
    float pivot[rows];
    double offset[rows];
    double squares[rows];
};

// Welford's update for two sets of elements (Chan, Golub and LeVeque).
template <class V, std::size_t rows>
[[gnu::always_inline]] inline void merge(Moments<rows> &a, const Moments<rows> &b) {
    using R = typename V::template Rows<rows>;
    const double count = a.count + b.count;
    const auto weight = R::broadcast(b.count / count);
    const auto a_count = R::broadcast(a.count);
    for (std::size_t r = 0; r < rows; r += R::width) {
        const auto offset = R::load(a.offset + r);
        const auto distance = (R::load(b.pivot + r) - R::load(a.pivot + r)) + (R::load(b.offset + r) - offset);
        const auto shift = distance * weight;
        R::store(a.offset + r, offset + shift);
        R::store(a.squares + r, R::load(a.squares + r) + (R::load(b.squares + r) + distance * shift * a_count));
    }
    a.count = count;
}

// Where `rows` rows begin, or pieces of them.
template <std::size_t rows>
struct RowStarts {
    const float *at[rows];
};

template <std::size_t rows>
struct Pivots {
    float of_row[rows];
};

// Sums of the differences from the pivots and of their squares, as lanes not yet added together.
template <class Block, std::size_t rows>
struct LaneSums {
    BlockSums<typename Block::Lanes> of_row[rows];
};

template <std::size_t rows>
struct CentredSums {
    double differences[rows];
    double squares[rows];
};

// The statistics of a block in four steps: pivots, sums, the lanes of these added together, and moments. Each hands its
// result on through memory. A caller that has other rows at hand does something for them in between: the chain of
// dependent operations is long.
template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline void choose_pivots(Pivots<rows> &pivots, const RowStarts<rows> &x, const Block &block) {
    typename V::Double lanes[rows];
    for (std::size_t r = 0; r < rows; ++r) {
        lanes[r] = block.sample(x.at[r]);
    }
    double sums[rows];
    V::sum_rows(lanes, sums);
    using R = typename V::template Rows<rows>;
    const auto scale = R::broadcast(block.counts().per_sample);
    for (std::size_t r = 0; r < rows; r += R::width) {
        R::store(pivots.of_row + r, R::load(sums + r) * scale);
    }
}

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline void sum_lanes(LaneSums<Block, rows> &lanes, const RowStarts<rows> &x, const Block &block,
                                             const Pivots<rows> &pivots) {
    for (std::size_t r = 0; r < rows; ++r) {
        block.sum(lanes.of_row[r], x.at[r], pivots.of_row[r]);
    }
}

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline CentredSums<rows> add_lanes(const LaneSums<Block, rows> &lanes) {
    typename V::Double both[2 * rows];
    for (std::size_t r = 0; r < rows; ++r) {
        both[r] = Block::fold_lanes(lanes.of_row[r].differences);
        both[rows + r] = Block::fold_lanes(lanes.of_row[r].squares);
    }
    double sums_of_both[2 * rows];
    V::sum_rows(both, sums_of_both);
    CentredSums<rows> sums;
    __builtin_memcpy(sums.differences, sums_of_both, sizeof sums.differences);
    __builtin_memcpy(sums.squares, sums_of_both + rows, sizeof sums.squares);
    return sums;
}

template <class V, std::size_t rows>
[[gnu::always_inline]] inline Moments<rows> moments_of(const Counts &counts, const Pivots<rows> &pivots,
                                                       const CentredSums<rows> &sums) {
    using R = typename V::template Rows<rows>;
    Moments<rows> moments;
    moments.count = counts.count;
    const auto scale = R::broadcast(counts.per_element);
    for (std::size_t r = 0; r < rows; r += R::width) {
        const auto differences = R::load(sums.differences + r);
        const auto offset = differences * scale;
        R::store(moments.offset + r, offset);
        R::store(moments.squares + r, R::load(sums.squares + r) - differences * offset);
    }
    __builtin_memcpy(moments.pivot, pivots.of_row, sizeof moments.pivot);
    return moments;
}

// NaNs count as poor too; looking again does them no harm.
template <class V, std::size_t rows>
[[gnu::always_inline]] inline bool has_poor_pivot(const CentredSums<rows> &sums, double count) {
    using R = typename V::template Rows<rows>;
    const auto limit = R::broadcast(count * pivot_tolerance);
    bool good = true;
    for (std::size_t r = 0; r < rows; r += R::width) {
        const auto differences = R::load(sums.differences + r);
        good = good && R::all_at_most(differences * differences, limit * R::load(sums.squares + r));
    }
    return !good;
}

// Sums again those rows whose pivot turned out poor, around the mean that the first sums tell.
template <class V, std::size_t rows>
[[gnu::noinline, gnu::cold]] Moments<rows> mend_poor_pivots(RowStarts<rows> x, std::size_t columns,
                                                            CentredSums<rows> sums, Moments<rows> moments) {
    using Block = AnyBlock<V>;
    const Block block(columns, Walk::unrolled);
    for (std::size_t r = 0; r < rows; ++r) {
        const CentredSums<1> sum = {{sums.differences[r]}, {sums.squares[r]}};
        if (!has_poor_pivot<V, 1>(sum, moments.count)) {
            continue;
        }
        const Pivots<1> pivot = {{static_cast<float>(moments.pivot[r] + moments.offset[r])}};
        LaneSums<Block, 1> lanes;
        sum_lanes<V>(lanes, {{x.at[r]}}, block, pivot);
        const Moments<1> again = moments_of<V>(block.counts(), pivot, add_lanes<V, Block>(lanes));
        moments.pivot[r] = again.pivot[0];
        moments.offset[r] = again.offset[0];
        moments.squares[r] = again.squares[0];
    }
    return moments;
}

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline Moments<rows> finish_block(const CentredSums<rows> &sums, const RowStarts<rows> &x,
                                                         const Block &block, const Pivots<rows> &pivots) {
    Moments<rows> moments = moments_of<V>(block.counts(), pivots, sums);
    if (has_poor_pivot<V>(sums, moments.count)) [[unlikely]] {
        moments = mend_poor_pivots<V, rows>(x, block.columns(), sums, moments);
    }
    return moments;
}

template <class V, std::size_t rows>
[[gnu::always_inline]] inline Moments<rows> block_moments(const RowStarts<rows> &x, std::size_t columns, Walk walk) {
    using Block = AnyBlock<V>;
    const Block block(columns, walk);
    Pivots<rows> pivots;
    choose_pivots<V>(pivots, x, block);
    LaneSums<Block, rows> lanes;
    sum_lanes<V>(lanes, x, block, pivots);
    return finish_block<V>(add_lanes<V, Block>(lanes), x, block, pivots);
}

// A row's moments so far and those of its next block.
template <class V, std::size_t rows>
[[gnu::always_inline]] inline void add_block(Moments<rows> &row, const Moments<rows> &block, bool first) {
    if (first) {
        row = block;
    } else {
        merge<V>(row, block);
    }
}

template <class V, std::size_t rows>
[[gnu::always_inline]] inline Moments<rows> row_moments(RowStarts<rows> x, std::size_t columns, Walk walk) {
    Moments<rows> moments;
    for (std::size_t done = 0; done < columns; done += statistics_block) {
        add_block<V>(moments, block_moments<V>(x, smaller(columns - done, statistics_block), walk), done == 0);
        for (std::size_t r = 0; r < rows; ++r) {
            x.at[r] += statistics_block;
        }
    }
    return moments;
}

// What normalising `rows` rows needs. A mean is `mean` + an offset too small for a float beside it, which enters as
// `shift` = -offset * rstd: at a large mean it is all that keeps v right.
template <std::size_t rows>
struct RowStatistics {
    float mean[rows]; // hi in docs/numerics.md; the mean that the caller gets
    float rstd[rows];
    float shift[rows];
    double variance[rows]; // with epsilon

    // Whether single precision can hold all the rows: finite, squares that did not underflow, a moderate spread.
    template <class V>
    [[gnu::always_inline]] bool are_ordinary() const {
        using R = typename V::template Rows<rows>;
        bool ordinary = true;
        for (std::size_t r = 0; r < rows; r += R::width) {
            const auto value = R::load(variance + r);
            ordinary = ordinary && R::all_at_most(R::broadcast(least_ordinary_variance), value) &&
                       R::all_at_most(value, R::broadcast(greatest_ordinary_variance));
        }
        return ordinary;
    }
};

template <class V, std::size_t rows>
[[gnu::always_inline]] inline void finish_rows(RowStatistics<rows> &statistics, const Moments<rows> &moments,
                                               double per_element, double epsilon) {
    using R = typename V::template Rows<rows>;
    const auto scale = R::broadcast(per_element);
    for (std::size_t r = 0; r < rows; r += R::width) {
        const auto variance = R::load(moments.squares + r) * scale + R::broadcast(epsilon);
        R::store(statistics.variance + r, variance);
        R::store(statistics.rstd + r, R::broadcast(1.0) / R::square_root(variance));

        const auto pivot = R::load(moments.pivot + r);
        const auto offset = R::load(moments.offset + r);
        R::store(statistics.mean + r, pivot + offset);
        const auto negative_low = (R::load(statistics.mean + r) - pivot) - offset;
        R::store(statistics.shift + r, negative_low * R::load(statistics.rstd + r));
    }
}

template <class V, std::size_t rows>
[[gnu::always_inline]] inline void row_statistics(RowStatistics<rows> &statistics, const RowStarts<rows> &x,
                                                  std::size_t columns, double epsilon, Walk walk) {
    const Moments<rows> moments = row_moments<V>(x, columns, walk);
    finish_rows<V>(statistics, moments, 1.0 / moments.count, epsilon);
}

} // namespace
} // namespace simdnorm
