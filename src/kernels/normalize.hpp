// A row + its statistics -> y.
#pragma once

#include "lanes.hpp"
#include "row_statistics.hpp"

#include <cstddef>
#include <cstdint>

namespace simdnorm {
namespace {

// gamma or beta: an array of D, or one value for every column.
template <class V>
struct ColumnArray {
    const float *values;
    [[gnu::always_inline]] typename V::Floats at(std::size_t j) const { return V::load(values + j); }
    [[gnu::always_inline]] typename V::Floats first_at(std::size_t j, std::size_t count) const {
        return V::load_first(values + j, count, V::broadcast(0.0F));
    }
};

template <class V>
struct ColumnConstant {
    typename V::Floats value;
    [[gnu::always_inline]] typename V::Floats at(std::size_t) const { return value; }
    [[gnu::always_inline]] typename V::Floats first_at(std::size_t, std::size_t) const { return value; }
};

// Without gamma or beta the same multiplication by 1 and addition of +0 take place: the bits, signs of zeros
// included, are those of arrays.
template <class V, class Gamma, class Beta>
struct Normalizer {
    typename V::Floats mean;
    typename V::Floats rstd;
    typename V::Floats shift;
    Gamma gamma;
    Beta beta;

    [[gnu::always_inline]] typename V::Floats apply(typename V::Floats x, typename V::Floats gamma_j,
                                                    typename V::Floats beta_j) const {
        const typename V::Floats v = V::multiply_add(x - mean, rstd, shift);
        return V::multiply_add(v, gamma_j, beta_j);
    }

    [[gnu::always_inline]] void part(const float *x, float *y, std::size_t j, std::size_t count) const {
        const typename V::Floats element = V::load_first(x + j, count, mean);
        V::store_first(y + j, count, apply(element, gamma.first_at(j, count), beta.first_at(j, count)));
    }

    template <bool streaming>
    [[gnu::always_inline]] std::size_t whole_vectors(const float *x, float *y, std::size_t j,
                                                     std::size_t columns) const {
        for (; columns - j >= V::width; j += V::width) {
            const typename V::Floats result = apply(V::load(x + j), gamma.at(j), beta.at(j));
            if constexpr (streaming) {
                V::stream(y + j, result);
            } else {
                V::store(y + j, result);
            }
        }
        return j;
    }
};

// Elements from y to the next address that a streaming store can take.
template <class V>
[[gnu::always_inline]] inline std::size_t elements_to_alignment(const float *y) {
    const std::size_t past = reinterpret_cast<std::uintptr_t>(y) / sizeof(float) % V::width;
    return past == 0 ? 0 : V::width - past;
}

template <class V, class Gamma, class Beta>
void normalize_row(const float *x, float *y, std::size_t columns, const RowStatistics &statistics, Gamma gamma,
                   Beta beta, bool streaming) {
    const Normalizer<V, Gamma, Beta> normalizer{V::broadcast(statistics.mean), V::broadcast(statistics.rstd),
                                                V::broadcast(statistics.shift), gamma, beta};
    std::size_t j = 0;
    if (streaming) {
        const std::size_t head = smaller(columns, elements_to_alignment<V>(y));
        if (head > 0) {
            normalizer.part(x, y, 0, head);
        }
        j = normalizer.template whole_vectors<true>(x, y, head, columns);
    } else {
        j = normalizer.template whole_vectors<false>(x, y, 0, columns);
    }
    if (j < columns) {
        normalizer.part(x, y, j, columns - j);
    }
}

} // namespace
} // namespace simdnorm
