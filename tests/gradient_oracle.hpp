// The judge of accuracy of the backward pass: the gradients, in long double, from x itself.
#pragma once

#include "backward_call.hpp"
#include "oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace simdnorm_test {

// The greatest errors, in units of u times what the bounds are multiples of; 2^-149 rstd, and 2^-149, are free.
struct GradientErrors {
    double dx = 0;
    double dgamma = 0;
    double dbeta = 0;

    static constexpr double bound = 16;
};

inline GradientErrors judge(const Backward &problem, const Gradients &actual) {
    constexpr long double u = 0x1p-24L;
    const std::size_t columns = problem.forward.columns;
    const auto d = static_cast<long double>(columns);
    std::vector<long double> dgamma(columns), dbeta(columns), dgamma_unit(columns), dbeta_unit(columns);
    std::vector<long double> v(columns), w(columns), g(columns); // of one row
    GradientErrors errors;
    for (std::size_t row = 0; row < problem.forward.rows; ++row) {
        const float *x = problem.forward.x.data() + row * columns;
        const float *dy = problem.dy.data() + row * columns;
        const Oracle oracle(x, columns, problem.forward.epsilon);
        long double sum_g = 0, sum_gv = 0, sum_abs_g = 0, sum_abs_gw = 0;
        for (std::size_t j = 0; j < columns; ++j) {
            v[j] = oracle.normalized(x[j]);
            w[j] = std::max(1.0L, std::fabs(v[j]));
            g[j] = static_cast<long double>(dy[j]) * (problem.forward.gamma.empty() ? 1.0F : problem.forward.gamma[j]);
            sum_g += g[j];
            sum_gv += g[j] * v[j];
            sum_abs_g += std::fabs(g[j]);
            sum_abs_gw += std::fabs(g[j]) * w[j];
            dgamma[j] += dy[j] * v[j];
            dbeta[j] += dy[j];
            dgamma_unit[j] += std::fabs(dy[j]) * w[j];
            dbeta_unit[j] += std::fabs(dy[j]);
        }
        const long double mean_g = sum_g / d, mean_gv = sum_gv / d;
        const long double mean_abs_g = sum_abs_g / d, mean_abs_gw = sum_abs_gw / d;
        for (std::size_t j = 0; j < columns; ++j) {
            const long double exact = oracle.rstd() * (g[j] - mean_g - v[j] * mean_gv);
            const long double unit = u * oracle.rstd() * (std::fabs(g[j]) + mean_abs_g + w[j] * mean_abs_gw);
            if (std::fabs(exact) > largest) {
                continue; // an infinity, or the last float before it
            }
            errors.dx = std::max(errors.dx, in_units(actual.dx[row * columns + j] - exact, unit));
        }
    }
    for (std::size_t j = 0; j < columns; ++j) {
        errors.dgamma = std::max(errors.dgamma, in_units(actual.dgamma[j] - dgamma[j], u * dgamma_unit[j]));
        errors.dbeta = std::max(errors.dbeta, in_units(actual.dbeta[j] - dbeta[j], u * dbeta_unit[j]));
    }
    return errors;
}

// By the forward pass, and gradients follow from it: where it is a normal float, or 0.
inline bool rstd_is_promised(float rstd) {
    return rstd == 0.0F || std::isnormal(rstd);
}

} // namespace simdnorm_test
