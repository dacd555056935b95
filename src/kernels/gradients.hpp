// Rows + statistics + dy -> dx, and parts of dgamma and dbeta.
//
// With v = (x - mean) rstd and g = dy gamma, a row's dx is rstd (g - mean(g) - v mean(g v)). The mean that comes from
// the forward pass is a float; what it lost is in the row's own sum of differences from it.
#pragma once

#include "block_sums.hpp"
#include "kernel_table.hpp"
#include "lanes.hpp"
#include "normalize.hpp"

#include <cstddef>

namespace simdnorm {
namespace {

// The sums of some elements of one group of lanes.
template <class V>
struct GradientTerms {
    typename V::Floats differences;
    typename V::Floats gradients;
    typename V::Floats products;

    [[gnu::always_inline]] friend GradientTerms operator+(const GradientTerms &a, const GradientTerms &b) {
        return {a.differences + b.differences, a.gradients + b.gradients, a.products + b.products};
    }
};

// The same as lanes in double.
template <class V>
struct GradientLanes {
    DoubleLanes<V> differences;
    DoubleLanes<V> gradients;
    DoubleLanes<V> products;

    [[gnu::always_inline]] void add(std::size_t g, const GradientTerms<V> &terms) {
        differences.add(g, terms.differences);
        gradients.add(g, terms.gradients);
        products.add(g, terms.products);
    }
};

// Some columns of one row.
template <class V>
struct GradientRow {
    const float *x;
    const float *dy;
    const float *gamma;
    typename V::Floats mean;
    typename V::Floats scale;
    typename V::Floats scaled_mean; // negative

    [[gnu::always_inline]] GradientRow(const GradientRows &range, const GradientBatch &batch, std::size_t r)
        : x(range.x + (batch.first + r) * range.x_stride), dy(range.dy + (batch.first + r) * range.dy_stride),
          gamma(range.gamma), mean(V::broadcast(batch.mean[r])), scale(V::broadcast(batch.scale[r])),
          scaled_mean(V::broadcast(-batch.mean[r] * batch.scale[r])) {}

    [[gnu::always_inline]] GradientRow from(std::size_t column) const {
        GradientRow row = *this;
        row.x += column;
        row.dy += column;
        row.gamma = gamma != nullptr ? gamma + column : ones.of_columns;
        return row;
    }

    // A quad of one group of lanes, of which the last vector has the elements that `last` names.
    template <std::size_t vectors>
    [[gnu::always_inline]] GradientTerms<V> quad(std::size_t lane, typename V::Mask last) const {
        const typename V::Floats zero = V::broadcast(0.0F);
        return terms(Quad<V, vectors>::load(x + lane, last, mean), Quad<V, vectors>::load(dy + lane, last, zero),
                     Quad<V, vectors>::load(gamma + lane, last, zero));
    }

    [[gnu::always_inline]] GradientTerms<V> whole_quad(std::size_t lane) const {
        return terms(Quad<V, quad_vectors>::load_whole(x + lane, lane_count),
                     Quad<V, quad_vectors>::load_whole(dy + lane, lane_count),
                     Quad<V, quad_vectors>::load_whole(gamma + lane, lane_count));
    }

  private:
    template <std::size_t vectors>
    [[gnu::always_inline]] GradientTerms<V> terms(Quad<V, vectors> d, Quad<V, vectors> g,
                                                  const Quad<V, vectors> &gammas) const {
        for (std::size_t i = 0; i < vectors; ++i) {
            d.vector[i] = V::multiply_add(d.vector[i], scale, scaled_mean);
            g.vector[i] = g.vector[i] * gammas.vector[i];
        }
        return {d.sum(), g.sum(), d.products(g)};
    }
};

template <class V>
[[gnu::always_inline]] inline double sum_of(const DoubleLanes<V> &lanes) {
    const typename V::Double folded[1] = {fold(lanes)};
    double sum[1];
    V::template sum_rows<1>(folded, sum);
    return sum[0];
}

template <class V>
void sum_gradients(const GradientRows &range, const GradientBatch &batch, BlockRange blocks, GradientSums *sums) {
    const std::size_t blocks_of_row = blocks_of(range.columns);
    for (std::size_t r = 0; r < batch.rows; ++r) {
        const GradientRow<V> row(range, batch, r);
        for (std::size_t b = blocks.first; b < blocks.first + blocks.count; ++b) {
            const std::size_t end = smaller(range.columns, (b + 1) * statistics_block);
            GradientLanes<V> lanes;
            for (std::size_t begin = b * statistics_block; begin < end; begin += normalize_block) {
                add_chunks<V>(
                    row.from(begin), smaller(end - begin, normalize_block),
                    [&](auto g, const GradientTerms<V> &terms) __attribute__((always_inline)) { lanes.add(g, terms); });
            }
            sums[r * blocks_of_row + b] = {sum_of(lanes.differences), sum_of(lanes.gradients), sum_of(lanes.products)};
        }
    }
}

// Columns of `rows` rows of a batch, from row `first` of it on.
template <class V, std::size_t rows>
struct GradientWriter {
    const float *x[rows];
    const float *dy[rows];
    float *dx[rows];
    const GradientBatch &batch;
    std::size_t first;

    [[gnu::always_inline]] GradientWriter(const GradientRows &range, const GradientBatch &a_batch, std::size_t a_first,
                                          std::size_t column)
        : batch(a_batch), first(a_first) {
        for (std::size_t r = 0; r < rows; ++r) {
            const std::size_t row = batch.first + first + r;
            x[r] = range.x + row * range.x_stride + column;
            dy[r] = range.dy + row * range.dy_stride + column;
            dx[r] = range.dx != nullptr ? range.dx + row * range.dx_stride + column : nullptr;
        }
    }

    // One vector, where load and store may leave out lanes: writes dx, and returns the sums of dy v and of dy.
    template <class Load, class Store>
    [[gnu::always_inline]] void vector(std::size_t j, typename V::Floats gamma, const Load &load, const Store &store,
                                       typename V::Floats &products, typename V::Floats &gradients) const {
        typename V::Floats v[rows];
        typename V::Floats y[rows];
        for (std::size_t r = 0; r < rows; ++r) {
            const std::size_t i = first + r;
            const typename V::Floats scale = V::broadcast(batch.scale[i]);
            const typename V::Floats mean = V::broadcast(batch.mean[i]);
            const typename V::Floats d = V::multiply_add(load(x[r] + j, mean), scale, -(mean * scale));
            v[r] = V::multiply_add(d, V::broadcast(batch.rstd[i]), V::broadcast(batch.shift[i]));
            y[r] = load(dy[r] + j, V::broadcast(0.0F));
        }
        for (std::size_t r = 0; dx[0] != nullptr && r < rows; ++r) {
            const std::size_t i = first + r;
            const typename V::Floats centred = y[r] * gamma - V::broadcast(batch.mean_gradient[i]);
            const typename V::Floats rest = V::multiply_add(v[r], V::broadcast(batch.mean_product[i]), centred);
            store(dx[r] + j, rest * V::broadcast(batch.factor[i]));
        }
        Quad<V, rows> dys;
        Quad<V, rows> vs;
        for (std::size_t r = 0; r < rows; ++r) {
            dys.vector[r] = y[r];
            vs.vector[r] = v[r];
        }
        products = dys.products(vs);
        gradients = dys.sum();
    }
};

// Sums over the rows of a batch so far, of a block of columns.
struct ColumnTerms {
    alignas(64) float dgamma[normalize_block];
    alignas(64) float dbeta[normalize_block];
};

template <class V, std::size_t rows>
[[gnu::always_inline]] inline void write_some_rows(const GradientRows &range, const GradientBatch &batch,
                                                   std::size_t first, std::size_t begin, std::size_t columns,
                                                   ColumnTerms &terms) {
    const GradientWriter<V, rows> writer(range, batch, first, begin);
    const float *gamma = range.gamma != nullptr ? range.gamma + begin : ones.of_columns;
    const auto keep = [&](std::size_t j, typename V::Floats products, typename V::Floats gradients)
        __attribute__((always_inline)) {
        if (first > 0) {
            products = V::load(terms.dgamma + j) + products;
            gradients = V::load(terms.dbeta + j) + gradients;
        }
        V::store(terms.dgamma + j, products);
        V::store(terms.dbeta + j, gradients);
    };
    typename V::Floats products;
    typename V::Floats gradients;
    std::size_t j = 0;
    for (; columns - j >= V::width; j += V::width) {
        writer.vector(
            j, V::load(gamma + j),
            [](const float *from, typename V::Floats) __attribute__((always_inline)) { return V::load(from); },
            [](float *to, typename V::Floats value) __attribute__((always_inline)) { V::store(to, value); }, products,
            gradients);
        keep(j, products, gradients);
    }
    if (j < columns) {
        const typename V::Mask mask = V::first(columns - j);
        writer.vector(
            j, V::load_first(gamma + j, mask, V::broadcast(0.0F)),
            [&](const float *from, typename V::Floats otherwise)
                __attribute__((always_inline)) { return V::load_first(from, mask, otherwise); },
            [&](float *to, typename V::Floats value)
                __attribute__((always_inline)) { V::store_first(to, mask, value); },
            products, gradients);
        keep(j, products, gradients);
    }
}

template <class V>
[[gnu::always_inline]] inline void add_columns(double *to, const float *terms, std::size_t columns) {
    std::size_t j = 0;
    for (; columns - j >= V::width; j += V::width) {
        V::add_widened(to + j, V::load(terms + j));
    }
    for (; j < columns; ++j) {
        to[j] += static_cast<double>(terms[j]);
    }
}

template <class V>
void write_gradients(const GradientRows &range, const GradientBatch &batch, BlockRange blocks, double *dgamma,
                     double *dbeta) {
    const std::size_t end = smaller(range.columns, (blocks.first + blocks.count) * statistics_block);
    for (std::size_t begin = blocks.first * statistics_block; begin < end; begin += normalize_block) {
        const std::size_t columns = smaller(end - begin, normalize_block);
        ColumnTerms terms;
        for (std::size_t first = 0; first < batch.rows; first += quad_vectors) {
            with_vectors((batch.rows - first) * lane_count,
                         [&](auto rows) { write_some_rows<V, rows>(range, batch, first, begin, columns, terms); });
        }
        if (dgamma != nullptr) {
            add_columns<V>(dgamma + begin, terms.dgamma, columns);
            add_columns<V>(dbeta + begin, terms.dbeta, columns);
        }
    }
}

} // namespace
} // namespace simdnorm
