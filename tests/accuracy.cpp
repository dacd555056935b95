// Every output against the oracle, within the bounds of the header: every family of rows, every D, every set.
#include "call.hpp"
#include "families.hpp"
#include "instruction_sets.hpp"
#include "oracle.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <tuple>
#include <vector>

namespace simdnorm_test {
namespace {

constexpr double epsilons[] = {1e-5, 0, 1e-12, 1, 1e-30, 1e-300, 1e30, 1e-5, 0};

// gamma and beta of several kinds, missing ones included.
void add_gamma_and_beta(Problem &problem, std::uint64_t seed, std::size_t kind) {
    const std::size_t d = problem.columns;
    switch (kind % 7) {
    case 0:
        break;
    case 1:
        problem.gamma = normal_row(seed, d);
        problem.beta = normal_row(seed + 1, d);
        break;
    case 2:
        problem.gamma = scaled_normal_row(seed, d, 1, 0.1);
        break;
    case 3:
        problem.beta = scaled_normal_row(seed, d, 0, 1e-3);
        break;
    case 4: // y below the normal floats
        problem.gamma = scaled_normal_row(seed, d, 0, 1e-39);
        problem.beta = scaled_normal_row(seed + 1, d, 0, 1e-40);
        break;
    case 5:
        problem.gamma = scaled_normal_row(seed, d, 0, 1e30);
        problem.beta = constant_row(d, 0);
        break;
    case 6:
        problem.gamma = constant_row(d, 0);
        problem.beta = scaled_normal_row(seed, d, 1e6, 1);
        break;
    }
}

// The largest error and the D that shows it.
struct Worst {
    double error = 0;
    std::size_t columns = 0;

    void consider(double candidate, std::size_t d) {
        if (candidate > error) {
            error = candidate;
            columns = d;
        }
    }
};

struct WorstCases {
    Worst y, mean, rstd;

    void consider(const Errors &errors, std::size_t d) {
        y.consider(errors.y, d);
        mean.consider(errors.mean, d);
        rstd.consider(errors.rstd, d);
    }

    void print(const std::string &family, const std::string &set) const {
        std::printf("worst of %s on %s: y %.2f u at D = %zu (16 allowed), mean %.2g at D = %zu and rstd %.2g at "
                    "D = %zu (4e-7 allowed)\n",
                    family.c_str(), set.c_str(), y.error, y.columns, mean.error, mean.columns, rstd.error,
                    rstd.columns);
        testing::Test::RecordProperty("y_in_u", std::to_string(y.error));
        testing::Test::RecordProperty("mean", std::to_string(mean.error));
        testing::Test::RecordProperty("rstd", std::to_string(rstd.error));
    }
};

Errors judge_row(const Problem &problem, const Result &result, std::size_t row) {
    const std::size_t first = row * problem.columns;
    return judge(problem.x.data() + first, problem.columns, problem.epsilon,
                 problem.gamma.empty() ? nullptr : problem.gamma.data(),
                 problem.beta.empty() ? nullptr : problem.beta.data(), result.y.data() + first, result.mean[row],
                 result.rstd[row]);
}

class Accuracy : public testing::TestWithParam<std::tuple<std::string, Family>> {
  protected:
    // The seed is made of family, D and try alone, so that every set is judged on the same rows.
    Problem problem(std::size_t d, std::size_t attempt) const {
        const std::uint64_t seed = seed_for(family_.name, d, attempt);
        Problem problem{.rows = 1, .columns = d};
        problem.x = family_.row(seed, d);
        problem.epsilon = epsilons[(d + 4 * attempt) % std::size(epsilons)];
        add_gamma_and_beta(problem, seed + 1, d / 2 + attempt);
        return problem;
    }

    const std::string set_ = std::get<0>(GetParam());
    const Family family_ = std::get<1>(GetParam());
    const UseInstructionSet in_use_{set_};
};

TEST_P(Accuracy, IsWithinTheBounds) {
    WorstCases worst;
    for (const std::size_t d : all_columns()) {
        const std::size_t attempts = d <= 300 ? 4 : d <= 20000 ? 2 : 1;
        for (std::size_t attempt = 0; attempt < attempts; ++attempt) {
            const Problem row = problem(d, attempt);
            const Errors errors = judge_row(row, layer_norm(row), 0);
            worst.consider(errors, d);
            ASSERT_TRUE(errors.within_bounds())
                << "family " << family_.name << ", set " << set_ << ", D = " << d << ", try " << attempt << ", epsilon "
                << row.epsilon << ": y is off by " << errors.y << " u in column " << errors.worst_column
                << " (16 allowed), mean by " << errors.mean << " and rstd by " << errors.rstd << " (4e-7 allowed)";
        }
    }
    worst.print(family_.name, set_);
}

std::string name_of_set_and_family(const testing::TestParamInfo<Accuracy::ParamType> &info) {
    return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(SetAndFamily, Accuracy,
                         testing::Combine(testing::ValuesIn(usable_instruction_sets()),
                                          testing::ValuesIn(all_families())),
                         name_of_set_and_family);

class AccuracyOfLayouts : public OnInstructionSet {};

// Rows that share a call go through other code than a row alone: groups of rows, shares of threads, streaming.
TEST_P(AccuracyOfLayouts, RowsOfAMatrix) {
    for (const Shape &shape : some_shapes()) {
        const Problem problem = mixed_problem(seed_for("matrix", shape.rows, shape.columns), shape.rows, shape.columns);
        const Result result = layer_norm(problem, {.threads = 3, .store = SIMDNORM_STORE_STREAMING});
        for (std::size_t row = 0; row < shape.rows; ++row) {
            const Errors errors = judge_row(problem, result, row);
            ASSERT_TRUE(errors.within_bounds())
                << "row " << row << " of " << shape.rows << " x " << shape.columns << " on " << GetParam()
                << ": y is off by " << errors.y << " u, mean by " << errors.mean << ", rstd by " << errors.rstd;
        }
    }
}

// The longest rows that the suite can afford.
TEST_P(AccuracyOfLayouts, AMillionColumnsAndMore) {
    for (const char *name : {"normal", "offset_1e6", "cauchy", "ulp_at_first", "constant_tenth"}) {
        const std::size_t d = 1024 * 1024 + 33;
        const std::uint64_t seed = seed_for(name, d);
        Problem problem{.rows = 1, .columns = d};
        problem.x = family_named(name).row(seed, d);
        const Result result = layer_norm(problem, {.threads = 3});
        const Errors errors = judge_row(problem, result, 0);
        EXPECT_TRUE(errors.within_bounds()) << name << " on " << GetParam() << ": y is off by " << errors.y
                                            << " u, mean by " << errors.mean << ", rstd by " << errors.rstd;
        EXPECT_TRUE(same_bits(layer_norm(problem, {.threads = 1}), result)) << name << " on " << GetParam();
    }
}

// Sigma is so small beside an element that a mean of double's precision would be too coarse.
TEST_P(AccuracyOfLayouts, OneUlpInTwelveMillionColumns) {
    const std::size_t d = 12345679; // an ulp over this lies half-way between two doubles near 1
    Problem problem{.rows = 1, .columns = d, .x = constant_row(d, 1.0625f), .epsilon = 0};
    problem.x[d / 3] = std::nextafter(problem.x[d / 3], 2.0f);
    const Errors errors = judge_row(problem, layer_norm(problem), 0);
    EXPECT_TRUE(errors.within_bounds()) << "on " << GetParam() << ": y is off by " << errors.y << " u in column "
                                        << errors.worst_column << ", mean by " << errors.mean << ", rstd by "
                                        << errors.rstd;
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(AccuracyOfLayouts);

// The oracle itself, against integer arithmetic without any rounding.
TEST(Oracle, AgreesWithIntegerArithmetic) {
    for (const std::size_t d : Sizes{1, 2, 33, 4097, 300001}) {
        for (const double offset : {0.0, 1e4, 1e7, 16'000'000.0}) {
            std::vector<float> row = make_row(seed_for("oracle", d), d, [=](Random &random, std::size_t) {
                return offset + static_cast<double>(random.below(4));
            });
            __extension__ using Wide = __int128;
            Wide sum = 0, squares = 0;
            for (const float value : row) {
                sum += static_cast<Wide>(value);
                squares += static_cast<Wide>(value) * static_cast<Wide>(value);
            }
            const auto columns = static_cast<long double>(d);
            const Wide scaled_variance = static_cast<Wide>(d) * squares - sum * sum; // D^2 times the variance
            const long double mean = static_cast<long double>(sum) / columns;
            const long double variance = static_cast<long double>(scaled_variance) / columns / columns;

            const Oracle oracle(row.data(), d, 0);
            EXPECT_LE(std::fabs(oracle.mean() - mean), 1e-18L * std::max(1.0L, mean)) << d << " at " << offset;
            EXPECT_LE(std::fabs(oracle.variance() - variance), 1e-13L * variance) << d << " at " << offset;
            // v D sqrt(variance D^2) is x D - sum, an integer.
            for (std::size_t j = 0; scaled_variance != 0 && j < d; j += 1 + d / 7) {
                const Wide difference = static_cast<Wide>(row[j]) * static_cast<Wide>(d) - sum;
                const long double v =
                    static_cast<long double>(difference) / std::sqrt(static_cast<long double>(scaled_variance));
                EXPECT_LE(std::fabs(oracle.normalized(row[j]) - v), 1e-13L * std::max(1.0L, std::fabs(v)))
                    << d << " at " << offset;
            }
        }
    }
}

// That the judge condemns: results a little past each bound.
TEST(Oracle, CondemnsWhatIsPastTheBounds) {
    const std::vector<float> row = {-1, 1};
    const auto errors = [&](float y, float mean, float rstd) {
        const float both[] = {-1, y};
        return judge(row.data(), 2, 0, nullptr, nullptr, both, mean, rstd);
    };
    EXPECT_TRUE(errors(1, 0, 1).within_bounds());
    EXPECT_TRUE(errors(1 + 0x1p-21f, 0, 1).within_bounds());
    EXPECT_FALSE(errors(1 + 0x1p-20f + 0x1p-23f, 0, 1).within_bounds());
    EXPECT_TRUE(errors(1, 3.9e-7f, 1).within_bounds());
    EXPECT_FALSE(errors(1, 4.1e-7f, 1).within_bounds());
    EXPECT_TRUE(errors(1, 0, 1 + 0x3p-23f).within_bounds());
    EXPECT_FALSE(errors(1, 0, 1 + 0x4p-23f).within_bounds());
    const float nan = float_of(quiet_nan_bits);
    EXPECT_FALSE(errors(nan, 0, 1).within_bounds());
    EXPECT_FALSE(errors(1, nan, 1).within_bounds());
    EXPECT_FALSE(errors(1, 0, nan).within_bounds());
    EXPECT_FALSE(errors(infinity, 0, 1).within_bounds());
    EXPECT_FALSE(errors(1, 0, infinity).within_bounds());
}

TEST(Families, AreFiniteAndRepeatable) {
    for (const Family &family : all_families()) {
        for (const std::size_t d : Sizes{1, 2, 33, 5000}) {
            const std::uint64_t seed = seed_for(family.name, d);
            const std::vector<float> row = family.row(seed, d);
            ASSERT_EQ(row.size(), d) << family.name;
            EXPECT_TRUE(std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); }))
                << family.name;
            EXPECT_TRUE(same_bits(family.name, family.row(seed, d), row));
        }
    }
}

} // namespace
} // namespace simdnorm_test
