// Rows of every kind that is known to break an implementation of layer normalisation.
#pragma once

#include "bits.hpp"
#include "random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace simdnorm_test {

struct Family {
    const char *name;
    std::vector<float> (*row)(std::uint64_t seed, std::size_t columns);
};

inline std::ostream &operator<<(std::ostream &out, const Family &family) {
    return out << family.name;
}

// Rounds to a finite float.
inline float finite(double value) {
    const auto limit = static_cast<double>(largest);
    return static_cast<float>(std::clamp(value, -limit, limit));
}

// element(random, j) for each column j.
template <class Element>
std::vector<float> make_row(std::uint64_t seed, std::size_t columns, Element element) {
    Random random(seed);
    std::vector<float> row(columns);
    for (std::size_t j = 0; j < columns; ++j) {
        row[j] = finite(element(random, j));
    }
    return row;
}

inline std::vector<float> scaled_normal_row(std::uint64_t seed, std::size_t columns, double offset, double spread) {
    return make_row(seed, columns, [=](Random &random, std::size_t) { return offset + spread * random.normal(); });
}

inline std::vector<float> normal_row(std::uint64_t seed, std::size_t columns) {
    return scaled_normal_row(seed, columns, 0, 1);
}

inline std::vector<float> constant_row(std::size_t columns, float value) {
    std::vector<float> row(columns, value);
    return row;
}

// Integers in [-127, 127], with `outlier` wherever is_outlier(j).
template <class IsOutlier>
std::vector<float> row_with_outliers(std::uint64_t seed, std::size_t columns, double outlier, IsOutlier is_outlier) {
    return make_row(seed, columns, [=](Random &random, std::size_t j) {
        const double ordinary = static_cast<double>(random.below(255)) - 127;
        return is_outlier(j) ? outlier : ordinary;
    });
}

inline std::vector<float> row_with_first(std::uint64_t seed, std::size_t columns, double first) {
    return row_with_outliers(seed, columns, first, [](std::size_t j) { return j == 0; });
}

// A large random number where is_large(j), one near 0 elsewhere.
template <class IsLarge>
std::vector<float> two_valued_row(std::uint64_t seed, std::size_t columns, IsLarge is_large) {
    Random random(seed);
    const double large = random.uniform(1e5, 1e6);
    const double small = random.uniform();
    return make_row(seed, columns, [=](Random &, std::size_t j) { return is_large(j) ? large : small; });
}

// A constant row but for one element, the next float up.
inline std::vector<float> ulp_row(std::uint64_t seed, std::size_t columns, std::size_t position) {
    Random random(seed);
    std::vector<float> row = constant_row(columns, finite(std::ldexp(1 + random.uniform(), 10)));
    row[position] = std::nextafter(row[position], infinity);
    return row;
}

// 2^exponent, roughly, without a library function whose last bit is the platform's affair.
inline double power_of_two(double exponent) {
    const double whole = std::floor(exponent);
    const double fraction = exponent - whole;
    return std::ldexp(1 + fraction * (0.6565 + 0.3435 * fraction), static_cast<int>(whole));
}

inline double heavy_tailed(Random &random) {
    const double denominator = random.normal();
    return denominator == 0 ? 0 : random.normal() / denominator;
}

inline float any_finite(Random &random) {
    const auto exponent = static_cast<std::uint32_t>(random.below(255));
    const auto rest = static_cast<std::uint32_t>(random.bits()) & 0x807fffff;
    return float_of(rest | exponent << 23);
}

inline float any_denormal(Random &random) {
    return float_of(static_cast<std::uint32_t>(random.bits()) & 0x807fffff);
}

// The first is N(0, 1). Names are part of the tests' names: letters, digits and underscores.
inline const std::vector<Family> &all_families() {
    using Seed = std::uint64_t;
    using Size = std::size_t;
    using Row = std::vector<float>;
    static const std::vector<Family> families = {
        {"normal", normal_row},
        // Offsets: where E[x^2] - mean^2 and a mean rounded to float fail.
        {"offset_100", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 100, 1); }},
        {"offset_1e4", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 1e4, 1); }},
        {"offset_1e6", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 1e6, 1); }},
        {"offset_minus_1e6", [](Seed seed, Size d) { return scaled_normal_row(seed, d, -1e6, 1); }},
        {"offset_1e5_spread_0_01", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 1e5, 0.01); }},
        {"offset_1e7_spread_1", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 1e7, 1); }},
        {"offset_1e30_spread_1e24", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 1e30, 1e24); }},
        // Outliers: where small squares vanish beside large ones, and where a pivot taken from few elements is bad.
        {"first_1e4", [](Seed seed, Size d) { return row_with_first(seed, d, 1e4); }},
        {"first_1e5", [](Seed seed, Size d) { return row_with_first(seed, d, 1e5); }},
        {"first_1e7", [](Seed seed, Size d) { return row_with_first(seed, d, 1e7); }},
        {"last_1e6",
         [](Seed seed, Size d) { return row_with_outliers(seed, d, 1e6, [=](Size j) { return j + 1 == d; }); }},
        {"every_64th_1e5",
         [](Seed seed, Size d) { return row_with_outliers(seed, d, 1e5, [](Size j) { return j % 64 == 0; }); }},
        {"every_33rd_minus_1e5",
         [](Seed seed, Size d) { return row_with_outliers(seed, d, -1e5, [](Size j) { return j % 33 == 32; }); }},
        {"one_of_first_32_1e6",
         [](Seed seed, Size d) {
             const Size position = Random(seed).below(std::min<Size>(d, 32));
             return row_with_outliers(seed, d, 1e6, [=](Size j) { return j == position; });
         }},
        {"first_32_1e6",
         [](Seed seed, Size d) { return row_with_outliers(seed, d, 1e6, [](Size j) { return j < 32; }); }},
        {"first_32_apart",
         [](Seed seed, Size d) {
             return make_row(seed, d, [](Random &random, Size j) {
                 return j < 32 ? (j % 2 == 0 ? 1e6 : -1e6) + random.normal() : random.normal();
             });
         }},
        // Two values, so that roundings do not average out: one where a pivot may be sampled, one elsewhere.
        {"starts_of_quarters_apart",
         [](Seed seed, Size d) {
             const Size quarter = std::max<Size>(d / 128 * 32, 1);
             return two_valued_row(seed, d, [=](Size j) { return j % quarter < 32; });
         }},
        {"starts_of_1024_apart",
         [](Seed seed, Size d) { return two_valued_row(seed, d, [](Size j) { return j % 1024 < 32; }); }},
        {"every_4096th_1e6",
         [](Seed seed, Size d) { return row_with_outliers(seed, d, 1e6, [](Size j) { return j % 4096 == 0; }); }},
        {"one_hot",
         [](Seed seed, Size d) {
             Row row = constant_row(d, 0);
             row[Random(seed).below(d)] = 1;
             return row;
         }},
        // Clusters, trends and steps: where one part of a row tells nothing about another.
        {"clusters_in_halves",
         [](Seed seed, Size d) {
             return make_row(seed, d,
                             [=](Random &random, Size j) { return (j < d / 2 ? -100 : 100) + random.normal(); });
         }},
        {"clusters_alternating",
         [](Seed seed, Size d) {
             return make_row(seed, d, [](Random &random, Size j) { return (j % 2 ? -100 : 100) + random.normal(); });
         }},
        {"tight_clusters_far_apart",
         [](Seed seed, Size d) {
             return make_row(seed, d, [](Random &random, Size) {
                 return (random.below(2) == 0 ? -1e6 : 1e6) + 0.1 * random.normal();
             });
         }},
        {"linear_trend",
         [](Seed seed, Size d) {
             const double slope = Random(seed).normal();
             return make_row(seed, d, [=](Random &, Size j) { return 1000 + slope * static_cast<double>(j); });
         }},
        {"step_to_1e3",
         [](Seed seed, Size d) {
             return make_row(seed, d,
                             [=](Random &random, Size j) { return (j < d / 2 ? 0 : 1e3) + 1e-3 * random.normal(); });
         }},
        {"sorted",
         [](Seed seed, Size d) {
             Row row = normal_row(seed, d);
             std::sort(row.begin(), row.end());
             return row;
         }},
        {"random_walk",
         [](Seed seed, Size d) {
             double place = 0;
             return make_row(seed, d, [&](Random &random, Size) { return place += random.normal(); });
         }},
        {"pieces_of_any_scale",
         [](Seed seed, Size d) {
             double offset = 0, spread = 1;
             return make_row(seed, d, [&](Random &random, Size) {
                 if (random.below(50) == 0) {
                     offset = power_of_two(random.uniform(-10, 20));
                     spread = power_of_two(random.uniform(-10, 20));
                 }
                 return offset + spread * random.normal();
             });
         }},
        {"constant_blocks",
         [](Seed, Size d) { return make_row(0, d, [](Random &, Size j) { return j < 4096 ? 1234.1 : 1234.2; }); }},
        {"ramp_of_ulps_over_a_power_of_two",
         [](Seed, Size d) {
             return make_row(0, d, [=](Random &, Size j) {
                 return 4096 + (static_cast<double>(j) - static_cast<double>(d) / 2) * 0x1p-12;
             });
         }},
        // Shapes of distributions.
        {"cauchy", [](Seed seed,
                      Size d) { return make_row(seed, d, [](Random &random, Size) { return heavy_tailed(random); }); }},
        {"uniform",
         [](Seed seed, Size d) { return make_row(seed, d, [](Random &random, Size) { return random.uniform(); }); }},
        {"log_normal",
         [](Seed seed, Size d) {
             return make_row(seed, d, [](Random &random, Size) { return power_of_two(4 * random.normal()); });
         }},
        {"integers_to_16",
         [](Seed seed, Size d) {
             return make_row(seed, d, [](Random &random, Size) { return static_cast<double>(random.below(17)); });
         }},
        // Constant rows, and nearly so.
        {"constant_1234", [](Seed, Size d) { return constant_row(d, 1234.1f); }},
        {"constant_zero", [](Seed, Size d) { return constant_row(d, 0.0f); }},
        {"constant_minus_zero", [](Seed, Size d) { return constant_row(d, -0.0f); }},
        {"constant_1e38", [](Seed, Size d) { return constant_row(d, 1e38f); }},
        {"constant_smallest", [](Seed, Size d) { return constant_row(d, smallest); }},
        {"constant_largest", [](Seed, Size d) { return constant_row(d, largest); }},
        {"constant_tenth", [](Seed, Size d) { return constant_row(d, 0.1f); }},
        {"ulp_at_first", [](Seed seed, Size d) { return ulp_row(seed, d, 0); }},
        {"ulp_in_middle", [](Seed seed, Size d) { return ulp_row(seed, d, d / 2); }},
        {"ulp_at_last", [](Seed seed, Size d) { return ulp_row(seed, d, d - 1); }},
        // The ends of float's range: where squares, sums or differences overflow or underflow.
        {"alternating_largest",
         [](Seed, Size d) {
             return make_row(0, d, [](Random &, Size j) { return static_cast<double>(j % 2 ? -largest : largest); });
         }},
        {"scale_1e18", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e18); }},
        {"scale_1e19", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e19); }},
        {"scale_1e25", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e25); }},
        {"scale_5e37", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 5e37); }},
        {"scale_1e_minus_15", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e-15); }},
        {"scale_1e_minus_16", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e-16); }},
        {"scale_1e_minus_19", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e-19); }},
        {"scale_1e_minus_22", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e-22); }},
        {"scale_1e_minus_25", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e-25); }},
        {"scale_1e_minus_38", [](Seed seed, Size d) { return scaled_normal_row(seed, d, 0, 1e-38); }},
        {"denormals",
         [](Seed seed, Size d) {
             return make_row(seed, d, [](Random &random, Size) { return static_cast<double>(any_denormal(random)); });
         }},
        {"every_exponent",
         [](Seed seed, Size d) {
             return make_row(seed, d, [](Random &random, Size) { return static_cast<double>(any_finite(random)); });
         }},
        {"tiny_with_one_large",
         [](Seed seed, Size d) {
             Row row = scaled_normal_row(seed, d, 0, 1e-30);
             row[Random(seed).below(d)] = 1e-12f;
             return row;
         }},
    };
    return families;
}

inline const Family &family_named(const std::string &name) {
    for (const Family &family : all_families()) {
        if (family.name == name) {
            return family;
        }
    }
    throw std::out_of_range("no family " + name);
}

} // namespace simdnorm_test
