// A row -> its mean and rstd, reading it once.
//
// A row is cut into blocks. A block's statistics are sums of differences from a pivot close to the block's mean, in
// single precision over at most 16 additions, then in double. Blocks are merged by Welford's update in its form for
// blocks (Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979).
// docs/numerics.md proves what this promises, and where the constants here come from.
#pragma once

#include "lanes.hpp"

#include <cmath>
#include <cstddef>

namespace simdnorm {
namespace {

// A block lies in L1, so that the rare second look at it costs no memory traffic.
constexpr std::size_t block_columns = 4096;

// Vectors of 32 lanes whose sums stay in single precision: four levels of additions in a balanced tree.
constexpr std::size_t chunk_vectors = 16;
constexpr std::size_t quad_vectors = 4;

// The pivot is good if the block's offset from it has a square below 1/32 of the mean square.
constexpr double pivot_tolerance = 32;

// Variance plus epsilon outside these bounds may have suffered from squares that underflowed, or from a spread near
// float's range: such rows are done again in double.
constexpr double least_ordinary_variance = 0x1p-100;
constexpr double greatest_ordinary_variance = 0x1p+120;

// Mean and sum of squared deviations of some elements. The mean is kept as a float and a double offset from it: as one
// double it would lose what tells a row of nearly equal elements from a constant one.
struct Moments {
    double count;
    float pivot;
    double offset;
    double squares;
};

// Welford's update for two sets of elements (Chan, Golub and LeVeque).
[[gnu::always_inline]] inline Moments merge(const Moments &a, const Moments &b) {
    const double count = a.count + b.count;
    const double distance = (static_cast<double>(b.pivot) - static_cast<double>(a.pivot)) + (b.offset - a.offset);
    const double shift = distance * (b.count / count);
    return {count, a.pivot, a.offset + shift, a.squares + b.squares + distance * shift * a.count};
}

// Sums of differences from the pivot, and of their squares, for one group of lanes.
template <class V>
struct Sums {
    typename V::Floats differences;
    typename V::Floats squares;

    [[gnu::always_inline]] friend Sums operator+(const Sums &a, const Sums &b) {
        return {a.differences + b.differences, a.squares + b.squares};
    }
};

template <class V>
[[gnu::always_inline]] inline Sums<V> sum_quad(const typename V::Floats (&d)[quad_vectors]) {
    return {(d[0] + d[1]) + (d[2] + d[3]),
            V::multiply_add(d[1], d[1], d[0] * d[0]) + V::multiply_add(d[3], d[3], d[2] * d[2])};
}

// The same lanes of four vectors in a row.
template <class V>
[[gnu::always_inline]] inline Sums<V> sum_quad_at(const float *x, typename V::Floats pivot) {
    typename V::Floats d[quad_vectors];
    for (std::size_t i = 0; i < quad_vectors; ++i) {
        d[i] = V::load(x + i * lane_count) - pivot;
    }
    return sum_quad<V>(d);
}

// The same for the end of a block: fewer than four whole vectors and a part of one. What is missing counts as equal
// to the pivot and adds nothing.
template <class V>
[[gnu::always_inline]] inline Sums<V> sum_last_quad_at(const float *x, std::size_t columns, std::size_t g,
                                                       typename V::Floats pivot) {
    typename V::Floats d[quad_vectors];
    for (std::size_t i = 0; i < quad_vectors; ++i) {
        const std::size_t before = smaller(columns, i * lane_count);
        const std::size_t count = elements_in_group<V>(columns - before, g);
        d[i] = (count == V::width ? V::load(x + before) : V::load_first(x + before, count, pivot)) - pivot;
    }
    return sum_quad<V>(d);
}

template <class V>
struct BlockSums {
    DoubleLanes<V> differences;
    DoubleLanes<V> squares;

    [[gnu::always_inline]] void add(std::size_t g, const Sums<V> &sums) {
        differences.group[g] = V::add(differences.group[g], V::widen(sums.differences));
        squares.group[g] = V::add(squares.group[g], V::widen(sums.squares));
    }
};

// A whole chunk, or the last one of a block, which may be shorter.
template <class V>
[[gnu::always_inline]] inline void add_chunk(BlockSums<V> &sums, const float *x, typename V::Floats pivot) {
    constexpr std::size_t quad = quad_vectors * lane_count;
    for (std::size_t g = 0; g < groups<V>; ++g) {
        const float *lane = x + g * V::width;
        sums.add(g, (sum_quad_at<V>(lane, pivot) + sum_quad_at<V>(lane + quad, pivot)) +
                        (sum_quad_at<V>(lane + 2 * quad, pivot) + sum_quad_at<V>(lane + 3 * quad, pivot)));
    }
}

template <class V>
[[gnu::always_inline]] inline void add_last_chunk(BlockSums<V> &sums, const float *x, std::size_t columns,
                                                  typename V::Floats pivot) {
    constexpr std::size_t quad = quad_vectors * lane_count;
    constexpr std::size_t quads = chunk_vectors / quad_vectors;
    const std::size_t whole = columns / quad;
    for (std::size_t g = 0; g < groups<V>; ++g) {
        const float *lane = x + g * V::width;
        const typename V::Floats zero = V::broadcast(0.0F);
        Sums<V> part[quads] = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
        for (std::size_t q = 0; q < whole; ++q) {
            part[q] = sum_quad_at<V>(lane + q * quad, pivot);
        }
        if (columns % quad != 0) {
            part[whole] = sum_last_quad_at<V>(lane + whole * quad, columns % quad, g, pivot);
        }
        sums.add(g, (part[0] + part[1]) + (part[2] + part[3]));
    }
}

struct CentredSums {
    double differences;
    double squares;
};

template <class V>
CentredSums centred_sums(const float *x, std::size_t columns, float pivot) {
    constexpr std::size_t chunk = chunk_vectors * lane_count;
    const typename V::Floats k = V::broadcast(pivot);
    BlockSums<V> sums;
    std::size_t done = 0;
    for (; columns - done >= chunk; done += chunk) {
        add_chunk<V>(sums, x + done, k);
    }
    if (done < columns) {
        add_last_chunk<V>(sums, x + done, columns - done, k);
    }
    return {sums.differences.sum(), sums.squares.sum()};
}

// The mean of up to 128 elements of the block: all of a short one, else four vectors spread over it.
template <class V>
[[gnu::always_inline]] inline float sampled_mean(const float *x, std::size_t columns) {
    constexpr std::size_t samples = quad_vectors * lane_count;
    const std::size_t step = columns < samples ? lane_count : columns / samples * lane_count;
    const std::size_t count = smaller(columns, samples);
    DoubleLanes<V> sums;
    for (std::size_t g = 0; g < groups<V>; ++g) {
        typename V::Floats sample[quad_vectors];
        for (std::size_t i = 0; i < quad_vectors; ++i) {
            const std::size_t before = smaller(count, i * lane_count);
            sample[i] =
                V::load_first(x + i * step + g * V::width, elements_in_group<V>(count - before, g), V::broadcast(0.0F));
        }
        sums.group[g] = V::widen((sample[0] + sample[1]) + (sample[2] + sample[3]));
    }
    return static_cast<float>(sums.sum() / static_cast<double>(count));
}

template <class V>
[[gnu::always_inline]] inline Moments block_moments(const float *x, std::size_t columns) {
    const auto count = static_cast<double>(columns);
    float pivot = sampled_mean<V>(x, columns);
    CentredSums sums = centred_sums<V>(x, columns, pivot);
    if (sums.differences * sums.differences * pivot_tolerance > count * sums.squares) [[unlikely]] {
        pivot = static_cast<float>(static_cast<double>(pivot) + sums.differences / count);
        sums = centred_sums<V>(x, columns, pivot);
    }
    const double offset = sums.differences / count;
    return {count, pivot, offset, sums.squares - sums.differences * offset};
}

template <class V>
[[gnu::always_inline]] inline Moments row_moments(const float *x, std::size_t columns) {
    Moments moments = block_moments<V>(x, smaller(columns, block_columns));
    for (std::size_t done = block_columns; done < columns; done += block_columns) {
        moments = merge(moments, block_moments<V>(x + done, smaller(columns - done, block_columns)));
    }
    return moments;
}

// What normalising a row needs. The mean is `mean` + an offset too small for a float beside it, which enters as
// `shift` = -offset * rstd: at a large mean it is all that keeps v right.
struct RowStatistics {
    float mean;
    float rstd;
    float shift;
    bool ordinary; // false: not finite, or too small or large for single precision
};

[[gnu::always_inline]] inline RowStatistics row_statistics(const Moments &moments, double epsilon) {
    const double variance = moments.squares / moments.count + epsilon;
    const double pivot = moments.pivot;
    const auto mean = static_cast<float>(pivot + moments.offset);
    const auto low = static_cast<float>((pivot - static_cast<double>(mean)) + moments.offset);
    const auto rstd = static_cast<float>(1.0 / std::sqrt(variance));
    return {mean, rstd, -(low * rstd), variance >= least_ordinary_variance && variance <= greatest_ordinary_variance};
}

} // namespace
} // namespace simdnorm
