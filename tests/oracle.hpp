// The judge of accuracy: the definition of layer normalisation, in long double, in two plain passes. It shares nothing
// with the library.
//
// Its own error lies far below the bounds it judges, which are multiples of 2^-24. Let e = 2^-64 or less be long
// double's unit, and D at most 2^24 columns. The first pass gives a mean m that may be off by D e |mean|, which for a
// large offset is much beside a small spread; so the second pass measures what m misses from the differences x - m,
// each rounded relative to itself alone. Floats that are not all equal have sigma >= 2^-25 |mean| / sqrt(D), hence what
// m misses is less than D^1.5 2^-39 sigma, an eighth of sigma, and the differences are of the size of sigma. Mean and
// variance are then off by about D e relative to sigma: 2^-40 at most, 2^-45 at 300,000 columns. Sums of equal elements
// are exact. long double's exponents hold all squares and sums of floats.
#pragma once

#include "bits.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <vector>

namespace simdnorm_test {

static_assert(LDBL_MANT_DIG >= 64 && LDBL_MAX_EXP >= 16384, "the oracle needs a long double wider than double");

// The statistics of one finite row.
class Oracle {
  public:
    Oracle(const float *row, std::size_t columns, double epsilon) {
        const auto d = static_cast<long double>(columns);
        long double sum = 0;
        for (std::size_t j = 0; j < columns; ++j) {
            sum += row[j];
        }
        rounded_mean_ = sum / d;

        long double differences = 0;
        long double squares = 0;
        for (std::size_t j = 0; j < columns; ++j) {
            const long double difference = row[j] - rounded_mean_;
            differences += difference;
            squares += difference * difference;
        }
        rest_of_mean_ = differences / d;
        variance_ = std::max(squares / d - rest_of_mean_ * rest_of_mean_, 0.0L);
        const long double with_epsilon = variance_ + epsilon;
        rstd_ = with_epsilon > 0 ? 1 / std::sqrt(with_epsilon) : 0;
    }

    long double mean() const { return rounded_mean_ + rest_of_mean_; }
    long double variance() const { return variance_; }
    long double sigma() const { return std::sqrt(variance_); }
    long double rstd() const { return rstd_; }
    long double normalized(float x) const { return ((x - rounded_mean_) - rest_of_mean_) * rstd_; }

  private:
    long double rounded_mean_;
    long double rest_of_mean_;
    long double variance_;
    long double rstd_;
};

// How far a computed row is from the exact one, in the header's terms.
struct Errors {
    double y = 0;    // in u (|gamma| max(1, |v|) + |beta|), past the 2^-149 that every result is allowed
    double mean = 0; // in max(|mean|, sigma), likewise
    double rstd = 0; // relative
    std::size_t worst_column = 0;

    static constexpr double y_bound = 16;
    static constexpr double mean_bound = 4e-7;
    static constexpr double rstd_bound = 4e-7;

    bool within_bounds() const { return y <= y_bound && mean <= mean_bound && rstd <= rstd_bound; }
};

// An error of which 2^-149 is free, as a multiple of `unit`; infinite if not a number.
inline double in_units(long double error, long double unit) {
    const long double past_smallest = std::fabs(error) - 0x1p-149L;
    if (past_smallest <= 0) {
        return 0;
    }
    const auto multiple = static_cast<double>(past_smallest / unit);
    return std::isnan(multiple) ? HUGE_VAL : multiple;
}

// rstd is promised where it is a normal float. Above, it must be infinite; below, we ask for a neighbouring float.
inline double rstd_error(float computed, long double exact) {
    if (exact > static_cast<long double>(largest) * (1 + 1e-7L)) {
        return computed == infinity ? 0 : HUGE_VAL;
    }
    if (exact > largest && computed == infinity) {
        return 0;
    }
    if (exact < FLT_MIN) {
        return in_units(computed - exact, exact);
    }
    const auto relative = static_cast<double>(std::fabs(computed - exact) / exact);
    return std::isnan(relative) ? HUGE_VAL : relative;
}

// gamma and beta may be NULL.
inline Errors judge(const float *row, std::size_t columns, double epsilon, const float *gamma, const float *beta,
                    const float *y, float mean, float rstd) {
    constexpr long double u = 0x1p-24L;
    const Oracle oracle(row, columns, epsilon);
    Errors errors;
    errors.mean = in_units(mean - oracle.mean(), std::max(std::fabs(oracle.mean()), oracle.sigma()));
    errors.rstd = rstd_error(rstd, oracle.rstd());
    for (std::size_t j = 0; j < columns; ++j) {
        const long double v = oracle.normalized(row[j]);
        const long double scale = gamma == nullptr ? 1 : gamma[j];
        const long double shift = beta == nullptr ? 0 : beta[j];
        const long double unit = u * (std::fabs(scale) * std::max(1.0L, std::fabs(v)) + std::fabs(shift));
        const long double error = y[j] - (scale * v + shift);
        if (!(std::fabs(error) <= errors.y * unit)) { // a division only where it is a new worst, or not a number
            const double multiple = in_units(error, unit);
            if (multiple > errors.y) {
                errors.y = multiple;
                errors.worst_column = j;
            }
        }
    }
    return errors;
}

} // namespace simdnorm_test
