#include "workspace.hpp"

#include <algorithm>
#include <new>
#include <random>

namespace bench {

namespace {

constexpr std::size_t page = 4096;

// Loads from x and stores to y at the same index must not share the low 12 bits of their addresses: some CPUs take them
// for the same address and stall, a copy more than a normalisation. Half a page keeps y aligned to a cache line.
constexpr std::size_t offset_of_y = page / 2 / sizeof(float);

// Normal deviates about a mean of 1. Drawing is slow, so that a large array repeats the first million; the period has
// no factor in common with any number of columns here, and rows differ.
void fill_with_rows(float *array, std::size_t elements) {
    constexpr std::size_t period = 1000003;
    std::mt19937 random(20231);
    std::normal_distribution<float> deviate(1.0F, 2.0F);
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

Workspace::Workspace(const std::vector<Shape> &shapes) {
    std::size_t elements = 0;
    std::size_t rows = 0;
    std::size_t columns = 0;
    for (const Shape &shape : shapes) {
        elements = std::max(elements, shape.elements());
        rows = std::max(rows, shape.rows);
        columns = std::max(columns, shape.columns);
    }
    x_ = allocate(elements);
    y_ = allocate(elements + offset_of_y);
    gamma_ = allocate(columns);
    beta_ = allocate(columns);
    mean_ = allocate(rows);
    rstd_ = allocate(rows);
    fill_with_rows(x_.get(), elements);
    fill_with_parameters(gamma_.get(), columns, 1.0F);
    fill_with_parameters(beta_.get(), columns, 0.0F);
}

Problem Workspace::problem(const Shape &shape, int threads) {
    return {shape,       threads,    x_.get(), gamma_.get(), beta_.get(), 1e-5, y_.get() + offset_of_y,
            mean_.get(), rstd_.get()};
}

} // namespace bench
