// Rows + their statistics -> y.
#pragma once

#include "lanes.hpp"
#include "row_statistics.hpp"

#include <cstddef>
#include <cstdint>

namespace simdnorm {
namespace {

// Rows are normalised in blocks of columns, so that a block of gamma and beta stays in L1 for the rows of a group.
constexpr std::size_t normalize_block = 1024;

constexpr std::size_t cache_line_columns = 64 / sizeof(float);

// What stands for a gamma or beta left out: the same arithmetic as with arrays, hence the same bits.
template <int value>
struct Constants {
    float of_columns[normalize_block] = {};
    constexpr Constants() {
        for (float &element : of_columns) {
            element = value;
        }
    }
};
constexpr Constants<1> ones;
constexpr Constants<0> zeros;

// Where a call's data lies: in the caches; or in memory, where y is written past the caches and the next rows are asked
// for while these are written.
struct InCache {
    static constexpr bool streaming = false;
};
struct InMemory {
    static constexpr bool streaming = true;
};

// A block of columns of `rows` rows. `next` is what will be wanted next of x, in its place one group of rows on.
template <std::size_t rows>
struct Segment {
    const float *x[rows];
    float *y[rows];
    const float *gamma;
    const float *beta;
    const float *next[rows];
};

template <class V, std::size_t rows>
struct Normalizer {
    typename V::Floats mean[rows];
    typename V::Floats rstd[rows];
    typename V::Floats shift[rows];

    // Of the statistics, those from row `first` on.
    template <std::size_t group>
    [[gnu::always_inline]] Normalizer(const RowStatistics<group> &statistics, std::size_t first) {
        for (std::size_t r = 0; r < rows; ++r) {
            mean[r] = V::broadcast(statistics.mean[first + r]);
            rstd[r] = V::broadcast(statistics.rstd[first + r]);
            shift[r] = V::broadcast(statistics.shift[first + r]);
        }
    }

    [[gnu::always_inline]] typename V::Floats apply(std::size_t r, typename V::Floats x, typename V::Floats gamma,
                                                    typename V::Floats beta) const {
        const typename V::Floats v = V::multiply_add(x - mean[r], rstd[r], shift[r]);
        return V::multiply_add(v, gamma, beta);
    }

    // `count` columns from column j on.
    [[gnu::always_inline]] void part(const Segment<rows> &s, std::size_t j, std::size_t count) const {
        const typename V::Floats zero = V::broadcast(0.0F);
        const typename V::Floats gamma = V::load_first(s.gamma + j, count, zero);
        const typename V::Floats beta = V::load_first(s.beta + j, count, zero);
        for (std::size_t r = 0; r < rows; ++r) {
            V::store_first(s.y[r] + j, count, apply(r, V::load_first(s.x[r] + j, count, mean[r]), gamma, beta));
        }
    }

    template <class Data>
    [[gnu::always_inline]] void whole(const Segment<rows> &s, std::size_t j) const {
        const typename V::Floats gamma = V::load(s.gamma + j);
        const typename V::Floats beta = V::load(s.beta + j);
        // All loads before all stores: a store to one row's y could look like one to another row's x, 4 KiB on.
        typename V::Floats y[rows];
        for (std::size_t r = 0; r < rows; ++r) {
            y[r] = apply(r, V::load(s.x[r] + j), gamma, beta);
        }
        for (std::size_t r = 0; r < rows; ++r) {
            if constexpr (Data::streaming) {
                V::prefetch(s.next[r] + j);
                V::stream(s.y[r] + j, y[r]);
            } else {
                V::store(s.y[r] + j, y[r]);
            }
        }
    }

    template <class Data>
    [[gnu::always_inline]] void columns(const Segment<rows> &s, std::size_t j, std::size_t end) const {
        for (; end - j >= V::width; j += V::width) {
            whole<Data>(s, j);
        }
        if (j < end) {
            part(s, j, end - j);
        }
    }
};

// A streaming store should fill a line of the cache: a line written in parts costs more than an ordinary store.
[[gnu::always_inline]] inline std::size_t columns_to_line(const float *y) {
    const std::size_t past = reinterpret_cast<std::uintptr_t>(y) / sizeof(float) % cache_line_columns;
    return past == 0 ? 0 : cache_line_columns - past;
}

template <class V, class Data, std::size_t rows>
[[gnu::always_inline]] inline void normalize(const Segment<rows> &segment, std::size_t columns,
                                             const Normalizer<V, rows> &normalizer) {
    if constexpr (!Data::streaming) {
        normalizer.template columns<Data>(segment, 0, columns);
    } else {
        static_assert(rows == 1);
        const std::size_t head = smaller(columns, columns_to_line(segment.y[0]));
        const std::size_t tail = head + (columns - head) / cache_line_columns * cache_line_columns;
        normalizer.template columns<InCache>(segment, 0, head);
        normalizer.template columns<Data>(segment, head, tail);
        normalizer.template columns<InCache>(segment, tail, columns);
    }
}

} // namespace
} // namespace simdnorm
