// The special rows of simdnorm.h, by exact bits, on every set.
#include "call.hpp"
#include "families.hpp"
#include "instruction_sets.hpp"
#include "oracle.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

class CornerCases : public OnInstructionSet {};

// Every position of a short row; of a long one, both ends, the edges of lanes and blocks, and some in between.
std::vector<std::size_t> positions(std::size_t columns) {
    std::set<std::size_t> chosen;
    for (std::size_t j = 0; j < columns && columns <= 130; ++j) {
        chosen.insert(j);
    }
    for (const std::size_t j : Sizes{0,    1,    15,          16,           31,           32,          33,         127,
                                     128,  511,  512,         1023,         2048,         4095,        4096,       4097,
                                     8191, 8192, columns / 2, columns - 33, columns - 17, columns - 2, columns - 1}) {
        if (j < columns) {
            chosen.insert(j);
        }
    }
    return {chosen.begin(), chosen.end()};
}

// Expects the row to be spoiled, with this mean, and its neighbours to be what they are without it.
void expect_spoiled(const Problem &problem, const Result &clean, std::size_t spoiled, std::uint32_t mean,
                    const Layout &layout, const std::string &what) {
    const Result result = layer_norm(problem, layout);
    for (std::size_t row = 0; row < problem.rows; ++row) {
        const float *y = result.y.data() + row * problem.columns;
        if (row == spoiled) {
            for (std::size_t j = 0; j < problem.columns; ++j) {
                ASSERT_TRUE(has_bits(y[j], quiet_nan_bits)) << what << ": y[" << j << "]";
            }
            ASSERT_TRUE(has_bits(result.rstd[row], quiet_nan_bits)) << what << ": rstd";
            ASSERT_TRUE(has_bits(result.mean[row], mean)) << what << ": mean";
        } else {
            ASSERT_TRUE(same_bits(y, clean.y.data() + row * problem.columns, problem.columns))
                << what << ": row " << row;
            ASSERT_TRUE(has_bits(result.mean[row], bits_of(clean.mean[row]))) << what << ": mean of row " << row;
            ASSERT_TRUE(has_bits(result.rstd[row], bits_of(clean.rstd[row]))) << what << ": rstd of row " << row;
        }
    }
}

struct NonFinite {
    std::uint32_t element;
    std::uint32_t mean;
};

constexpr NonFinite non_finite[] = {
    {plus_infinity_bits, plus_infinity_bits},
    {minus_infinity_bits, minus_infinity_bits},
    {quiet_nan_bits, quiet_nan_bits},
    {0xffc00000, quiet_nan_bits}, // NaNs with a sign, a payload, signalling
    {0x7fc12345, quiet_nan_bits},
    {0x7f800001, quiet_nan_bits},
    {0xff812345, quiet_nan_bits},
};

TEST_P(CornerCases, ANonFiniteElementSpoilsItsRowAlone) {
    for (const std::size_t d : some_columns()) {
        const Problem clean_problem = normal_problem(seed_for("non-finite", d), 3, d);
        const Result clean = layer_norm(clean_problem);
        for (const NonFinite &value : non_finite) {
            for (const std::size_t position : positions(d)) {
                const std::size_t row = position % 3;
                Problem problem = clean_problem;
                problem.x[row * d + position] = float_of(value.element);
                const Layout layout = {.in_place = position % 2 == 0, .store = all_stores[position % 3]};
                ASSERT_NO_FATAL_FAILURE(expect_spoiled(problem, clean, row, value.mean, layout,
                                                       "D = " + std::to_string(d) + ", " +
                                                           hex(float_of(value.element)) + " at " +
                                                           std::to_string(position)));
            }
        }
    }
}

TEST_P(CornerCases, SeveralNonFiniteElements) {
    struct Pair {
        std::uint32_t first, second, mean;
    };
    constexpr Pair pairs[] = {
        {plus_infinity_bits, plus_infinity_bits, plus_infinity_bits},
        {minus_infinity_bits, minus_infinity_bits, minus_infinity_bits},
        {plus_infinity_bits, minus_infinity_bits, quiet_nan_bits},
        {minus_infinity_bits, plus_infinity_bits, quiet_nan_bits},
        {plus_infinity_bits, 0x7fc12345, quiet_nan_bits},
        {0xff812345, minus_infinity_bits, quiet_nan_bits},
        {0xffc00001, 0x7fc00001, quiet_nan_bits},
    };
    for (const std::size_t d : some_columns()) {
        const Problem clean_problem = normal_problem(seed_for("pairs", d), 1, d);
        const Result clean = layer_norm(clean_problem);
        const std::vector<std::size_t> places = positions(d);
        for (std::size_t i = 1; i < places.size(); ++i) {
            for (const Pair &pair : pairs) {
                // Neighbouring places, and places far apart.
                for (const std::size_t first : {places[i - 1], places[0]}) {
                    Problem problem = clean_problem;
                    problem.x[first] = float_of(pair.first);
                    problem.x[places[i]] = float_of(pair.second);
                    ASSERT_NO_FATAL_FAILURE(expect_spoiled(problem, clean, 0, pair.mean, {},
                                                           "D = " + std::to_string(d) + ", pair at " +
                                                               std::to_string(first) + " and " +
                                                               std::to_string(places[i])));
                }
            }
        }
    }
}

// The sums of a finite part may overflow against the infinity's sign.
TEST_P(CornerCases, AnInfinityAmongHugeElements) {
    for (const std::size_t d : some_columns()) {
        for (const float huge : {largest, -largest}) {
            for (const float value : {infinity, -infinity}) {
                Problem problem{.rows = 1, .columns = d, .x = constant_row(d, huge)};
                problem.x[d / 2] = value;
                ASSERT_NO_FATAL_FAILURE(expect_spoiled(problem, {}, 0, bits_of(value), {}, "D = " + std::to_string(d)));
            }
        }
    }
}

// Where threads share out the blocks of one row, each sees only its part.
TEST_P(CornerCases, NonFiniteElementsInALongRow) {
    const std::size_t d = 400001;
    const Problem clean = normal_problem(seed_for("long row"), 1, d);
    for (const int threads : {1, 3}) {
        for (const std::size_t position : Sizes{0, 1, 100000, 200001, 399999, 400000}) {
            for (const NonFinite &value : non_finite) {
                Problem problem = clean;
                problem.x[position] = float_of(value.element);
                ASSERT_NO_FATAL_FAILURE(
                    expect_spoiled(problem, {}, 0, value.mean, {.threads = threads},
                                   hex(float_of(value.element)) + " at " + std::to_string(position)));
            }
            Problem problem = clean;
            problem.x[position] = infinity;
            problem.x[(position + 250000) % d] = -infinity;
            ASSERT_NO_FATAL_FAILURE(expect_spoiled(problem, {}, 0, quiet_nan_bits, {.threads = threads}, "both signs"));
        }
    }
}

// "The first line that applies": neither gamma nor beta is looked at, not even for the payload of its NaN.
TEST_P(CornerCases, ASpoiledRowIsTheSameNaNWhateverGammaAndBeta) {
    for (const std::size_t d : some_columns()) {
        for (const NonFinite &value : non_finite) {
            Problem problem = normal_problem(seed_for("payloads", d), 1, d);
            problem.x[d / 3] = float_of(value.element);
            for (std::size_t j = 0; j < d; ++j) {
                constexpr std::uint32_t odd[] = {0x7fc12345, 0xffc54321, plus_infinity_bits, plus_zero_bits,
                                                 0x7f812345};
                problem.gamma[j] = float_of(odd[j % 5]);
                problem.beta[j] = float_of(odd[j % 3]);
            }
            ASSERT_NO_FATAL_FAILURE(expect_spoiled(problem, {}, 0, value.mean, {}, "D = " + std::to_string(d)));
        }
    }
}

std::vector<std::size_t> constant_columns() {
    std::vector<std::size_t> columns;
    for (std::size_t d = 1; d <= 200; ++d) {
        columns.push_back(d);
    }
    columns.insert(columns.end(),
                   {255, 257, 300, 384, 500, 641, 768, 1000, 1023, 4095, 4096, 4097, 8191, 12289, 70001});
    return columns;
}

// v is exactly 0, so that y equals beta; mean is the constant; rstd is 1/sqrt(epsilon), or 0.
void expect_constant(const Problem &problem, const Result &result, const std::string &what) {
    const std::size_t d = problem.columns;
    for (std::size_t row = 0; row < problem.rows; ++row) {
        for (std::size_t j = 0; j < d; ++j) {
            // As numbers where there is a beta: one of -0 may come out as +0.
            const float y = result.y[row * d + j];
            const bool right = problem.beta.empty() ? bits_of(y) == plus_zero_bits : y == problem.beta[j];
            if (!right) { // GoogleTest's own comparisons would take most of the time
                FAIL() << what << ": y[" << j << "] of row " << row << " is " << hex(y);
            }
        }
        ASSERT_EQ(result.mean[row], problem.x[row * d]) << what;
        if (problem.epsilon == 0) {
            ASSERT_TRUE(has_bits(result.rstd[row], plus_zero_bits)) << what << ": rstd";
        } else {
            const auto exact = 1 / std::sqrt(static_cast<long double>(problem.epsilon));
            ASSERT_LE(rstd_error(result.rstd[row], exact), Errors::rstd_bound) << what << ": rstd";
        }
    }
}

TEST_P(CornerCases, ConstantRows) {
    const float constants[] = {1234.1f, 0.1f,   0.0f,     -0.0f,     1.0f,    -1.0f,    1e-3f,  -3.3e7f,  1e19f,
                               1e38f,   -1e38f, smallest, -smallest, largest, -largest, 1e-38f, 1.1e-30f, 16777217.0f};
    Random random(seed_for("constant rows"));
    for (const std::size_t d : constant_columns()) {
        const std::size_t rows = d <= 200 ? 9 : 2;
        const std::vector<float> gamma = normal_row(seed_for("gamma", d), d);
        std::vector<float> beta = normal_row(seed_for("beta", d), d);
        beta[0] = -0.0f;
        beta[d - 1] = smallest;
        for (const float constant : constants) {
            for (const double epsilon : {1e-5, 0.0, 1.0, 1e-300, 1e-100, 1e30, 5e-324, 1e300}) {
                Problem problem{.rows = rows, .columns = d, .x = constant_row(rows * d, constant), .epsilon = epsilon};
                problem.gamma = random.below(2) == 0 ? gamma : std::vector<float>();
                problem.beta = random.below(2) == 0 ? beta : std::vector<float>();
                ASSERT_NO_FATAL_FAILURE(expect_constant(problem, layer_norm(problem),
                                                        hex(constant) + ", D = " + std::to_string(d) + ", epsilon " +
                                                            std::to_string(epsilon)));
            }
        }
    }
}

// The mean of a constant row has the constant's very bits; for zeros of either sign it is a zero.
TEST_P(CornerCases, MeanOfAConstantRowIsTheConstant) {
    Random random(seed_for("constants"));
    for (int attempt = 0; attempt < 3000; ++attempt) {
        const float constant = any_finite(random);
        const std::size_t d = 1 + random.below(attempt % 10 == 0 ? 20000 : 200);
        Problem problem{.rows = 1, .columns = d, .x = constant_row(d, constant), .epsilon = 0};
        const Result result = layer_norm(problem);
        if (constant != 0) {
            ASSERT_TRUE(has_bits(result.mean[0], bits_of(constant))) << "D = " << d;
        }
        ASSERT_NO_FATAL_FAILURE(expect_constant(problem, result, hex(constant) + ", D = " + std::to_string(d)));
    }
}

// Zeros of both signs are equal elements.
TEST_P(CornerCases, ZerosOfBothSigns) {
    for (const std::size_t d : constant_columns()) {
        for (const double epsilon : {1e-5, 0.0}) {
            Problem problem{.rows = 1, .columns = d, .epsilon = epsilon};
            Random random(seed_for("zeros", d));
            for (std::size_t j = 0; j < d; ++j) {
                problem.x.push_back(random.below(2) == 0 ? 0.0f : -0.0f);
            }
            ASSERT_NO_FATAL_FAILURE(expect_constant(problem, layer_norm(problem), "D = " + std::to_string(d)));
        }
    }
}

TEST_P(CornerCases, OneColumn) {
    Problem problem{.rows = 2000, .columns = 1};
    Random random(seed_for("one column"));
    for (std::size_t row = 0; row < problem.rows; ++row) {
        problem.x.push_back(row % 3 == 0 ? any_denormal(random) : any_finite(random));
    }
    for (const double epsilon : {1e-5, 0.0}) {
        for (const float gamma : {0.0f, 3.0f, -largest}) {
            for (const float beta : {1.5f, smallest, largest, -7.0f}) {
                problem.epsilon = epsilon;
                problem.gamma = {gamma};
                problem.beta = {beta};
                const Result result = layer_norm(problem);
                for (std::size_t row = 0; row < problem.rows; ++row) {
                    ASSERT_TRUE(has_bits(result.y[row], bits_of(beta))) << "row " << row;
                    ASSERT_EQ(result.mean[row], problem.x[row]) << "row " << row;
                    ASSERT_TRUE(has_bits(result.rstd[row], bits_of(result.rstd[0]))) << "row " << row;
                }
                ASSERT_LE(rstd_error(result.rstd[0], epsilon == 0 ? 0 : 1 / std::sqrt(1e-5L)), Errors::rstd_bound);
            }
        }
    }
}

// Rows so narrow that 1/sqrt(variance) is no float: rstd is +infinity and y is right all the same.
TEST_P(CornerCases, RstdBeyondTheRangeOfFloat) {
    for (const std::size_t d : some_columns()) {
        for (const double epsilon : {0.0, 1e-300}) {
            for (std::uint64_t attempt = 0; attempt < 4; ++attempt) {
                Problem problem = normal_problem(seed_for("narrow", d, attempt), 1, d);
                problem.epsilon = epsilon;
                Random random(seed_for("narrow elements", d, attempt));
                for (float &x : problem.x) {
                    x = static_cast<float>(random.below(5)) * smallest;
                }
                problem.x[0] = 9 * smallest;
                const Result result = layer_norm(problem);
                if (d > 1) {
                    EXPECT_TRUE(has_bits(result.rstd[0], plus_infinity_bits)) << "D = " << d;
                }
                const Errors errors = judge(problem.x.data(), d, epsilon, problem.gamma.data(), problem.beta.data(),
                                            result.y.data(), result.mean[0], result.rstd[0]);
                EXPECT_TRUE(errors.within_bounds()) << "D = " << d << ": y is off by " << errors.y << " u, mean by "
                                                    << errors.mean << ", rstd by " << errors.rstd;
            }
        }
    }
}

TEST_P(CornerCases, TwoColumnsOfTheSmallestFloats) {
    Problem problem{.rows = 1, .columns = 2, .x = {smallest, -smallest}, .epsilon = 0};
    const Result result = layer_norm(problem);
    EXPECT_NEAR(result.y[0], 1, 16 * 0x1p-24);
    EXPECT_NEAR(result.y[1], -1, 16 * 0x1p-24);
    EXPECT_TRUE(has_bits(result.rstd[0], plus_infinity_bits));
    EXPECT_LE(std::fabs(result.mean[0]), smallest);
}

TEST_P(CornerCases, TwoColumnsOfTheLargestFloats) {
    Problem problem{.rows = 1, .columns = 2, .x = {largest, -largest}};
    const Result result = layer_norm(problem);
    EXPECT_NEAR(result.y[0], 1, 16 * 0x1p-24);
    EXPECT_NEAR(result.y[1], -1, 16 * 0x1p-24);
    EXPECT_LE(std::fabs(result.mean[0]), 4e-7 * static_cast<double>(largest));
}

// gamma v + beta as IEEE arithmetic has it, in the columns concerned and in no other.
TEST_P(CornerCases, GammaAndBetaThatAreNotFinite) {
    const float nan = float_of(0x7fc12345);
    for (const std::size_t d : some_columns()) {
        if (d == 1) {
            continue; // v is 0: ConstantRows
        }
        for (const double scale : {1.0, 1e30}) { // single precision, and the way round it
            Problem clean_problem = normal_problem(seed_for("not finite", d), 2, d);
            clean_problem.x = scaled_normal_row(seed_for("not finite", d), 2 * d, 0, scale);
            const Result clean = layer_norm(clean_problem);
            const std::vector<float> v = layer_norm({.rows = 2, .columns = d, .x = clean_problem.x}).y;
            for (const std::size_t position : positions(d)) {
                for (const float gamma : {1.5f, infinity, -infinity, nan}) {
                    for (const float beta : {-2.5f, infinity, -infinity, nan}) {
                        Problem problem = clean_problem;
                        problem.gamma[position] = gamma;
                        problem.beta[position] = beta;
                        const Result result = layer_norm(problem, {.store = all_stores[position % 3]});
                        for (std::size_t row = 0; row < 2; ++row) {
                            const std::size_t j = row * d + position;
                            ASSERT_NE(v[j], 0);
                            const float expected = gamma * v[j] + beta;
                            if (std::isfinite(gamma) && std::isfinite(beta)) {
                                ASSERT_TRUE(std::isfinite(result.y[j]));
                            } else if (std::isnan(expected)) {
                                ASSERT_TRUE(std::isnan(result.y[j])) << gamma << " " << v[j] << " " << beta;
                            } else {
                                ASSERT_EQ(result.y[j], expected) << gamma << " " << v[j] << " " << beta;
                            }
                            ASSERT_TRUE(same_bits(&result.y[row * d], &clean.y[row * d], position));
                            ASSERT_TRUE(same_bits(&result.y[j] + 1, &clean.y[j] + 1, d - position - 1));
                        }
                        ASSERT_TRUE(same_bits("mean", result.mean, clean.mean));
                        ASSERT_TRUE(same_bits("rstd", result.rstd, clean.rstd));
                    }
                }
            }
        }
    }
}

// An array of 1 and one of +0 give the bits of NULL, signs of zeros included.
TEST_P(CornerCases, GammaAndBetaLeftOutAreOnesAndZeros) {
    for (const std::size_t d : some_columns()) {
        Problem problem = mixed_problem(seed_for("left out", d), 12, d);
        // A mean of exactly 0 and elements so far below sigma that v underflows: to -0 for those below zero.
        for (std::size_t j = 0; j + 1 < d; j += 2) {
            const float size = j == 0 ? 1e38f : 4 * smallest;
            problem.x[j] = -size;
            problem.x[j + 1] = size;
        }
        problem.x[d - 1] = d % 2 == 0 ? problem.x[d - 1] : -0.0f;
        const std::vector<float> ones = constant_row(d, 1);
        const std::vector<float> zeros = constant_row(d, 0);
        const std::vector<float> beta = problem.beta, gamma = problem.gamma;
        const auto result = [&](const std::vector<float> &with_gamma, const std::vector<float> &with_beta) {
            problem.gamma = with_gamma;
            problem.beta = with_beta;
            return layer_norm(problem);
        };
        ASSERT_TRUE(same_bits(result({}, {}), result(ones, zeros))) << "D = " << d;
        ASSERT_TRUE(same_bits(result({}, beta), result(ones, beta))) << "D = " << d;
        ASSERT_TRUE(same_bits(result(gamma, {}), result(gamma, zeros))) << "D = " << d;
    }
}

TEST_P(CornerCases, NoRowsNothingWritten) {
    Buffer x(64), y(64), gamma(64), beta(64), mean(64), rstd(64);
    simdnorm_layer_norm_args args = {};
    args.columns = 7;
    EXPECT_EQ(simdnorm_layer_norm(&args), SIMDNORM_OK) << simdnorm_last_error();
    args.x = x.data();
    args.y = y.data();
    args.gamma = gamma.data();
    args.beta = beta.data();
    args.mean = mean.data();
    args.rstd = rstd.data();
    for (const int store : all_stores) {
        for (const int threads : {0, 1, 3}) {
            args.store = store;
            args.threads = threads;
            EXPECT_EQ(simdnorm_layer_norm(&args), SIMDNORM_OK) << simdnorm_last_error();
        }
    }
    for (const Buffer *buffer : {&x, &y, &gamma, &beta, &mean, &rstd}) {
        EXPECT_TRUE(all_canaries(buffer->data(), buffer->data() + buffer->size()) && buffer->margins_untouched());
    }
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(CornerCases);

} // namespace
} // namespace simdnorm_test
