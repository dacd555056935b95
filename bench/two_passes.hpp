// The statistics of a row, in a type so wide that they serve as exact ones.
#pragma once

#include <cstddef>

namespace bench {

template <typename Real>
struct RowStatistics {
    Real mean;
    Real variance;
};

template <typename Real>
RowStatistics<Real> two_pass_statistics(const float *x, std::size_t columns) {
    const auto n = static_cast<Real>(columns);
    Real sum = 0;
    for (std::size_t j = 0; j < columns; ++j) {
        sum += x[j];
    }
    const Real mean = sum / n;
    Real squares = 0;
    for (std::size_t j = 0; j < columns; ++j) {
        squares += (x[j] - mean) * (x[j] - mean);
    }
    return {mean, squares / n};
}

} // namespace bench
