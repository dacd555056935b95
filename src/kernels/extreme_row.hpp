// Rows that single precision cannot hold: elements that are not finite, squares that overflow or underflow, an rstd
// beyond float's range. Done element by element in double: such rows are rare, and here only rightness counts.
#pragma once

#include "kernel_table.hpp"
#include "lanes.hpp"

#include <cmath>
#include <cstddef>
#include <limits>

namespace simdnorm {
namespace {

struct NonFinite {
    bool any = false;
    float mean = 0.0F; // an infinity if all are infinities of one sign, else NaN
};

inline NonFinite find_non_finite(const float *x, std::size_t columns) {
    NonFinite found;
    for (std::size_t j = 0; j < columns; ++j) {
        if (std::isfinite(x[j])) {
            continue;
        }
        const bool agrees = std::isinf(x[j]) && (!found.any || x[j] == found.mean);
        found.mean = agrees ? x[j] : std::numeric_limits<float>::quiet_NaN();
        found.any = true;
    }
    return found;
}

struct DoubleStatistics {
    double pivot;
    double offset; // of the mean from the pivot
    double rstd;
};

// Two passes, the second corrected by the residual of the first (Chan, Golub and LeVeque, "Algorithms for Computing the
// Sample Variance", 1983).
inline DoubleStatistics double_statistics(const float *x, std::size_t columns, double epsilon) {
    const auto count = static_cast<double>(columns);
    const double pivot = x[0];
    double sum = 0.0;
    for (std::size_t j = 0; j < columns; ++j) {
        sum += x[j] - pivot;
    }
    double offset = sum / count;
    double residual = 0.0;
    double squares = 0.0;
    for (std::size_t j = 0; j < columns; ++j) {
        const double d = (x[j] - pivot) - offset;
        residual += d;
        squares += d * d;
    }
    offset += residual / count;
    const double variance = (squares - residual * residual / count) / count + epsilon;
    return {pivot, offset, variance > 0.0 ? 1.0 / std::sqrt(variance) : 0.0};
}

struct MeanAndRstd {
    float mean;
    float rstd;
};

// Writes the row's y; the caller keeps its statistics.
inline MeanAndRstd normalize_extreme_row(const LayerNormRows &range, std::size_t row) {
    const float *x = range.x + row * range.x_stride;
    float *y = range.y + row * range.y_stride;

    if (const NonFinite found = find_non_finite(x, range.columns); found.any) {
        constexpr float nan = std::numeric_limits<float>::quiet_NaN();
        for (std::size_t j = 0; j < range.columns; ++j) {
            y[j] = nan;
        }
        return {found.mean, nan};
    }

    const DoubleStatistics statistics = double_statistics(x, range.columns, range.epsilon);
    for (std::size_t j = 0; j < range.columns; ++j) {
        const double v = ((x[j] - statistics.pivot) - statistics.offset) * statistics.rstd;
        const double gamma = range.gamma != nullptr ? range.gamma[j] : 1.0F;
        const double beta = range.beta != nullptr ? range.beta[j] : 0.0F;
        y[j] = static_cast<float>(v * gamma + beta);
    }
    return {static_cast<float>(statistics.pivot + statistics.offset), static_cast<float>(statistics.rstd)};
}

} // namespace
} // namespace simdnorm
