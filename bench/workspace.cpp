#include "workspace.hpp"

#include <simdnorm/simdnorm.h>

#include <algorithm>
#include <new>
#include <random>
#include <stdexcept>

namespace bench {

namespace {

constexpr std::size_t page = 4096;

// Loads from x and dy and stores to y or dx at the same index must not share the low 12 bits of their addresses: some
// CPUs take them for the same address and stall, a copy more than a normalisation. Parts of a page keep all aligned to
// a cache line.
constexpr std::size_t offset_of_dy = page / 4 / sizeof(float);
constexpr std::size_t offset_of_y = page / 2 / sizeof(float); // and of dx

constexpr double epsilon = 1e-5;

// Normal deviates. Drawing is slow, so that a large array repeats the first million; the period has no factor in common
// with any number of columns here, and rows differ.
void fill_with_rows(float *array, std::size_t elements, unsigned seed, float mean, float deviation) {
    constexpr std::size_t period = 1000003;
    std::mt19937 random(seed);
    std::normal_distribution<float> deviate(mean, deviation);
    std::generate_n(array, std::min(elements, period), [&] { return deviate(random); });
    for (std::size_t i = period; i < elements; ++i) {
        array[i] = array[i - period];
    }
}

void fill_with_parameters(float *array, std::size_t elements, float mean) {
    std::mt19937 random(20232);
    std::uniform_real_distribution<float> around(mean - 0.5F, mean + 0.5F);
    std::generate_n(array, elements, [&] { return around(random); });
}

struct Extent {
    std::size_t elements = 0, rows = 0, columns = 0;
};

Extent hull_of(const Extent &a, const Extent &b) {
    return {std::max(a.elements, b.elements), std::max(a.rows, b.rows), std::max(a.columns, b.columns)};
}

Extent extent_of(const std::vector<Shape> &shapes) {
    Extent extent;
    for (const Shape &shape : shapes) {
        extent = hull_of(extent, {shape.elements(), shape.rows, shape.columns});
    }
    return extent;
}

} // namespace

Array allocate(std::size_t elements) {
    const std::size_t bytes = (elements * sizeof(float) + page - 1) / page * page;
    void *memory = std::aligned_alloc(page, bytes);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    std::fill_n(static_cast<float *>(memory), bytes / sizeof(float), 0.0F);
    return Array(static_cast<float *>(memory));
}

Workspace::Workspace(const ShapesOfPasses &shapes) {
    const Extent backward = extent_of(shapes.at(Pass::backward));
    const Extent both = hull_of(extent_of(shapes.at(Pass::forward)), backward);
    x_ = allocate(both.elements);
    dy_ = allocate(backward.elements + offset_of_dy);
    y_or_dx_ = allocate(both.elements + offset_of_y);
    for (Array *of_columns : {&gamma_, &beta_, &dgamma_, &dbeta_}) {
        *of_columns = allocate(both.columns);
    }
    mean_ = allocate(both.rows);
    rstd_ = allocate(both.rows);
    fill_with_rows(x_.get(), both.elements, 20231, 1.0F, 2.0F);
    fill_with_rows(dy_.get() + offset_of_dy, backward.elements, 20234, 0.0F, 1.0F);
    fill_with_parameters(gamma_.get(), both.columns, 1.0F);
    fill_with_parameters(beta_.get(), both.columns, 0.0F);
}

ForwardProblem Workspace::forward(const Shape &shape, int threads) {
    return {shape,       threads,    x_.get(), gamma_.get(), beta_.get(), epsilon, y_or_dx_.get() + offset_of_y,
            mean_.get(), rstd_.get()};
}

BackwardProblem Workspace::backward(const Shape &shape, int threads) {
    const Statistics &statistics = statistics_of(shape);
    return {shape,
            threads,
            dy_.get() + offset_of_dy,
            x_.get(),
            gamma_.get(),
            statistics.mean.get(),
            statistics.rstd.get(),
            epsilon,
            y_or_dx_.get() + offset_of_y,
            dgamma_.get(),
            dbeta_.get()};
}

const Workspace::Statistics &Workspace::statistics_of(const Shape &shape) {
    const auto [place, is_new] = statistics_.try_emplace({shape.rows, shape.columns});
    Statistics &statistics = place->second;
    if (is_new) {
        statistics = {allocate(shape.rows), allocate(shape.rows)};
        simdnorm_layer_norm_args args = {};
        args.rows = shape.rows;
        args.columns = shape.columns;
        args.x = x_.get();
        args.epsilon = epsilon;
        args.y = y_or_dx_.get() + offset_of_y; // is not looked at
        args.mean = statistics.mean.get();
        args.rstd = statistics.rstd.get();
        if (simdnorm_layer_norm(&args) != SIMDNORM_OK) {
            throw std::runtime_error(simdnorm_last_error());
        }
    }
    return statistics;
}

} // namespace bench
