// Rows -> their means and rstds, reading each row once.
//
// A row is cut into blocks. A block's statistics are sums of differences from a pivot close to the block's mean, in
// single precision over at most four levels of additions, then in double. Blocks are merged by Welford's update in its
// form for blocks (Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
// Variances", 1979). docs/numerics.md proves what this promises, and where the constants here come from.
//
// Everything is done for `rows` rows at once: a row's sums end in a long chain of dependent additions, a square root
// and a division, and other rows fill the time that these take.
#pragma once

#include "lanes.hpp"

#include <cmath>
#include <cstddef>
#include <type_traits>

namespace simdnorm {
namespace {

// A block lies in L1, so that the rare second look at it costs no memory traffic.
constexpr std::size_t block_columns = 4096;

// Four vectors of 32 lanes are added in two levels, and four of those quads in two more: a chunk.
constexpr std::size_t quad_vectors = 4;
constexpr std::size_t quad_columns = quad_vectors * lane_count;
constexpr std::size_t chunk_quads = 4;
constexpr std::size_t chunk_columns = chunk_quads * quad_columns;

// The pivot is good if the block's offset from it has a square below 1/32 of the mean square.
constexpr double pivot_tolerance = 32;

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

// Part of 128 columns of one group of lanes: up to four vectors, of which the last may be a part.
template <class V, std::size_t vectors>
struct Quad {
    typename V::Floats vector[vectors];

    // The last vector holds `last_count` elements, and `otherwise` beyond.
    [[gnu::always_inline]] static Quad load(const float *from, std::size_t last_count, typename V::Floats otherwise) {
        Quad quad;
        for (std::size_t i = 0; i + 1 < vectors; ++i) {
            quad.vector[i] = V::load(from + i * lane_count);
        }
        quad.vector[vectors - 1] = V::load_first(from + (vectors - 1) * lane_count, last_count, otherwise);
        return quad;
    }

    // `step` floats from the start of a vector to the next one's.
    [[gnu::always_inline]] static Quad load_whole(const float *from, std::size_t step) {
        Quad quad;
        for (std::size_t i = 0; i < vectors; ++i) {
            quad.vector[i] = V::load(from + i * step);
        }
        return quad;
    }

    [[gnu::always_inline]] Quad operator-(typename V::Floats pivot) const {
        Quad result;
        for (std::size_t i = 0; i < vectors; ++i) {
            result.vector[i] = vector[i] - pivot;
        }
        return result;
    }

    [[gnu::always_inline]] typename V::Floats sum() const {
        if constexpr (vectors == 1) {
            return vector[0];
        } else if constexpr (vectors == 2) {
            return vector[0] + vector[1];
        } else if constexpr (vectors == 3) {
            return (vector[0] + vector[1]) + vector[2];
        } else {
            return (vector[0] + vector[1]) + (vector[2] + vector[3]);
        }
    }

    [[gnu::always_inline]] typename V::Floats squares() const {
        const typename V::Floats first = vector[0] * vector[0];
        if constexpr (vectors == 1) {
            return first;
        } else {
            const typename V::Floats pair = V::multiply_add(vector[1], vector[1], first);
            if constexpr (vectors == 2) {
                return pair;
            } else if constexpr (vectors == 3) {
                return pair + vector[2] * vector[2];
            } else {
                return pair + V::multiply_add(vector[3], vector[3], vector[2] * vector[2]);
            }
        }
    }
};

// Sums of differences from the pivot, and of their squares, for one group of lanes.
template <class V>
struct Sums {
    typename V::Floats differences;
    typename V::Floats squares;

    template <std::size_t vectors>
    [[gnu::always_inline]] static Sums of(const Quad<V, vectors> &d) {
        return {d.sum(), d.squares()};
    }

    [[gnu::always_inline]] friend Sums operator+(const Sums &a, const Sums &b) {
        return {a.differences + b.differences, a.squares + b.squares};
    }
};

template <class V>
[[gnu::always_inline]] inline Sums<V> sum_quad(const float *x, typename V::Floats pivot) {
    return Sums<V>::of(Quad<V, quad_vectors>::load_whole(x, lane_count) - pivot);
}

// Calls use(n) with n the number of vectors, as a constant, that hold the first `columns` of a quad, 0 < columns <=
// 128.
template <class Use>
[[gnu::always_inline]] inline auto with_vectors(std::size_t columns, const Use &use) {
    switch ((columns - 1) / lane_count) {
    case 0:
        return use(std::integral_constant<std::size_t, 1>());
    case 1:
        return use(std::integral_constant<std::size_t, 2>());
    case 2:
        return use(std::integral_constant<std::size_t, 3>());
    default:
        return use(std::integral_constant<std::size_t, 4>());
    }
}

// Lanes of both sums of a block, not yet added together.
template <class V>
struct BlockSums {
    typename V::Double differences;
    typename V::Double squares;
};

// A block of one quad, that is of up to 128 columns in so many vectors. Its lanes have two levels of single precision
// left for the tree over the lanes.
template <class V, std::size_t vectors>
struct ShortBlock {
    // The sum of the elements that the pivot is the mean of: all of them.
    [[gnu::always_inline]] static typename V::Double sample(const float *x, std::size_t columns) {
        FloatLanes<V> sums;
        for (std::size_t g = 0; g < groups<V>; ++g) {
            sums.group[g] = quad(x, columns, g, V::broadcast(0.0F)).sum();
        }
        return fold(sums);
    }

    [[gnu::always_inline]] static BlockSums<V> sum(const float *x, std::size_t columns, float pivot) {
        const typename V::Floats k = V::broadcast(pivot);
        FloatLanes<V> differences;
        FloatLanes<V> squares;
        for (std::size_t g = 0; g < groups<V>; ++g) {
            const Sums<V> sums = Sums<V>::of(quad(x, columns, g, k) - k);
            differences.group[g] = sums.differences;
            squares.group[g] = sums.squares;
        }
        return {fold(differences), fold(squares)};
    }

    [[gnu::always_inline]] static Quad<V, vectors> quad(const float *x, std::size_t columns, std::size_t g,
                                                        typename V::Floats otherwise) {
        const std::size_t last = elements_in_group<V>(columns - (vectors - 1) * lane_count, g);
        return Quad<V, vectors>::load(x + g * V::width, last, otherwise);
    }
};

template <class V>
struct LongBlock {
    // The sum of the elements that the pivot is the mean of: four vectors spread over the block.
    [[gnu::always_inline]] static typename V::Double sample(const float *x, std::size_t columns) {
        const std::size_t step = columns / quad_columns * lane_count;
        FloatLanes<V> sums;
        for (std::size_t g = 0; g < groups<V>; ++g) {
            sums.group[g] = Quad<V, quad_vectors>::load_whole(x + g * V::width, step).sum();
        }
        return fold(sums);
    }

    [[gnu::always_inline]] static BlockSums<V> sum(const float *x, std::size_t columns, float pivot) {
        const typename V::Floats k = V::broadcast(pivot);
        DoubleLanes<V> differences;
        DoubleLanes<V> squares;
        std::size_t done = 0;
        for (; columns - done > chunk_columns; done += chunk_columns) {
            for (std::size_t g = 0; g < groups<V>; ++g) {
                const Sums<V> sums = whole_chunk(x + done + g * V::width, k);
                differences.add(g, sums.differences);
                squares.add(g, sums.squares);
            }
        }
        for (std::size_t g = 0; g < groups<V>; ++g) {
            const Sums<V> sums = last_chunk(x + done + g * V::width, columns - done, g, k);
            differences.add(g, sums.differences);
            squares.add(g, sums.squares);
        }
        return {fold(differences), fold(squares)};
    }

    [[gnu::always_inline]] static Sums<V> whole_chunk(const float *lane, typename V::Floats pivot) {
        return (sum_quad<V>(lane, pivot) + sum_quad<V>(lane + quad_columns, pivot)) +
               (sum_quad<V>(lane + 2 * quad_columns, pivot) + sum_quad<V>(lane + 3 * quad_columns, pivot));
    }

    // The first `columns` of a chunk, 0 < columns <= 512, in the same tree without what is missing.
    [[gnu::always_inline]] static Sums<V> last_chunk(const float *lane, std::size_t columns, std::size_t g,
                                                     typename V::Floats pivot) {
        const std::size_t whole = (columns - 1) / quad_columns;
        const Sums<V> last = last_quad(lane + whole * quad_columns, columns - whole * quad_columns, g, pivot);
        if (whole == 0) {
            return last;
        }
        const Sums<V> first = sum_quad<V>(lane, pivot);
        if (whole == 1) {
            return first + last;
        }
        const Sums<V> pair = first + sum_quad<V>(lane + quad_columns, pivot);
        if (whole == 2) {
            return pair + last;
        }
        return pair + (sum_quad<V>(lane + 2 * quad_columns, pivot) + last);
    }

    [[gnu::always_inline]] static Sums<V> last_quad(const float *lane, std::size_t columns, std::size_t g,
                                                    typename V::Floats pivot) {
        return with_vectors(columns, [&](auto vectors) {
            const std::size_t last = elements_in_group<V>(columns - (vectors - 1) * lane_count, g);
            return Sums<V>::of(Quad<V, vectors>::load(lane, last, pivot) - pivot);
        });
    }
};

// A block of any length. Not inlined: one copy serves every number of rows and kind of store, and building takes
// seconds instead of minutes.
template <class V>
struct AnyBlock {
    [[gnu::noinline]] static typename V::Double sample(const float *x, std::size_t columns) {
        if (columns > quad_columns) {
            return LongBlock<V>::sample(x, columns);
        }
        return with_vectors(columns, [&](auto vectors) { return ShortBlock<V, vectors>::sample(x, columns); });
    }

    [[gnu::noinline]] static BlockSums<V> sum(const float *x, std::size_t columns, float pivot) {
        if (columns > quad_columns) {
            return LongBlock<V>::sum(x, columns, pivot);
        }
        return with_vectors(columns, [&](auto vectors) { return ShortBlock<V, vectors>::sum(x, columns, pivot); });
    }
};

// Where `rows` rows begin, or pieces of them.
template <std::size_t rows>
struct RowStarts {
    const float *at[rows];
};

template <std::size_t rows>
struct CentredSums {
    double differences[rows];
    double squares[rows];
};

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline CentredSums<rows> centred_sums(const RowStarts<rows> &x, std::size_t columns,
                                                             const float (&pivot)[rows]) {
    typename V::Double differences[rows];
    typename V::Double squares[rows];
    for (std::size_t r = 0; r < rows; ++r) {
        const BlockSums<V> sums = Block::sum(x.at[r], columns, pivot[r]);
        differences[r] = sums.differences;
        squares[r] = sums.squares;
    }
    CentredSums<rows> sums;
    V::sum_rows(differences, sums.differences);
    V::sum_rows(squares, sums.squares);
    return sums;
}

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline void choose_pivots(const RowStarts<rows> &x, std::size_t columns, float (&pivot)[rows]) {
    typename V::Double lanes[rows];
    for (std::size_t r = 0; r < rows; ++r) {
        lanes[r] = Block::sample(x.at[r], columns);
    }
    double sums[rows];
    V::sum_rows(lanes, sums);
    using R = typename V::template Rows<rows>;
    const auto scale = R::broadcast(1.0 / static_cast<double>(smaller(columns, quad_columns)));
    for (std::size_t r = 0; r < rows; r += R::width) {
        R::store(pivot + r, R::load(sums + r) * scale);
    }
}

template <class V, std::size_t rows>
[[gnu::always_inline]] inline Moments<rows> moments_of(std::size_t columns, const float (&pivot)[rows],
                                                       const CentredSums<rows> &sums) {
    using R = typename V::template Rows<rows>;
    Moments<rows> moments;
    moments.count = static_cast<double>(columns);
    const auto scale = R::broadcast(1.0 / moments.count);
    for (std::size_t r = 0; r < rows; r += R::width) {
        const auto differences = R::load(sums.differences + r);
        const auto offset = differences * scale;
        R::store(moments.offset + r, offset);
        R::store(moments.squares + r, R::load(sums.squares + r) - differences * offset);
    }
    for (std::size_t r = 0; r < rows; ++r) {
        moments.pivot[r] = pivot[r];
    }
    return moments;
}

// NaNs count as poor too; looking again does them no harm.
template <class V, std::size_t rows>
[[gnu::always_inline]] inline bool has_poor_pivot(const CentredSums<rows> &sums, double count) {
    using R = typename V::template Rows<rows>;
    const auto limit = R::broadcast(count / pivot_tolerance);
    bool good = true;
    for (std::size_t r = 0; r < rows; r += R::width) {
        const auto differences = R::load(sums.differences + r);
        good = good && R::all_at_most(differences * differences, limit * R::load(sums.squares + r));
    }
    return !good;
}

// Sums again those rows whose pivot turned out poor, around the mean that the first sums tell.
template <class V, std::size_t rows>
[[gnu::noinline, gnu::cold]] void mend_poor_pivots(const RowStarts<rows> &x, std::size_t columns,
                                                   const CentredSums<rows> &sums, Moments<rows> &moments) {
    for (std::size_t r = 0; r < rows; ++r) {
        const CentredSums<1> sum = {{sums.differences[r]}, {sums.squares[r]}};
        if (!has_poor_pivot<V, 1>(sum, moments.count)) {
            continue;
        }
        const float pivot[1] = {static_cast<float>(moments.pivot[r] + moments.offset[r])};
        const Moments<1> again =
            moments_of<V, 1>(columns, pivot, centred_sums<V, AnyBlock<V>, 1>({{x.at[r]}}, columns, pivot));
        moments.pivot[r] = again.pivot[0];
        moments.offset[r] = again.offset[0];
        moments.squares[r] = again.squares[0];
    }
}

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline Moments<rows> block_moments(const RowStarts<rows> &x, std::size_t columns) {
    float pivot[rows];
    choose_pivots<V, Block>(x, columns, pivot);
    const CentredSums<rows> sums = centred_sums<V, Block>(x, columns, pivot);
    Moments<rows> moments = moments_of<V>(columns, pivot, sums);
    if (has_poor_pivot<V>(sums, moments.count)) [[unlikely]] {
        mend_poor_pivots<V>(x, columns, sums, moments);
    }
    return moments;
}

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline Moments<rows> row_moments(RowStarts<rows> x, std::size_t columns) {
    Moments<rows> moments = block_moments<V, Block>(x, smaller(columns, block_columns));
    for (std::size_t done = block_columns; done < columns; done += block_columns) {
        for (std::size_t r = 0; r < rows; ++r) {
            x.at[r] += block_columns;
        }
        merge<V>(moments, block_moments<V, Block>(x, smaller(columns - done, block_columns)));
    }
    return moments;
}

// What normalising `rows` rows needs. A mean is `mean` + an offset too small for a float beside it, which enters as
// `shift` = -offset * rstd: at a large mean it is all that keeps v right.
template <std::size_t rows>
struct RowStatistics {
    float mean[rows];
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

template <class V, class Block, std::size_t rows>
[[gnu::always_inline]] inline RowStatistics<rows> row_statistics(const RowStarts<rows> &x, std::size_t columns,
                                                                 double epsilon) {
    using R = typename V::template Rows<rows>;
    const Moments<rows> moments = row_moments<V, Block>(x, columns);
    const auto scale = R::broadcast(1.0 / moments.count);
    RowStatistics<rows> statistics;
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
    return statistics;
}

} // namespace
} // namespace simdnorm
