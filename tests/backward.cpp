// The backward pass: every output against long double from x itself and against finite differences, within the bounds
// of the header; the same bits whatever the set, the threads and the layout; corner cases.
#include "backward_call.hpp"
#include "call.hpp"
#include "families.hpp"
#include "gradient_oracle.hpp"
#include "instruction_sets.hpp"
#include "oracle.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

// Rows of one family.
Problem family_problem(const Family &family, std::size_t rows, std::size_t columns, double epsilon) {
    const std::uint64_t seed = seed_for(family.name, rows, columns);
    Problem problem{.rows = rows, .columns = columns, .epsilon = epsilon};
    for (std::size_t row = 0; row < rows; ++row) {
        const std::vector<float> values = family.row(seed + row, columns);
        problem.x.insert(problem.x.end(), values.begin(), values.end());
    }
    problem.gamma = normal_row(seed + rows, columns);
    return problem;
}

constexpr double bound = GradientErrors::bound;

class BackwardPass : public OnInstructionSet {};

TEST_P(BackwardPass, EveryFamilyWithinBounds) {
    GradientErrors worst;
    for (const Family &family : all_families()) {
        for (const std::size_t columns : Sizes{1, 2, 3, 17, 64, 100, 129, 768, 1000, 4097, 9001}) {
            for (const double epsilon : {1e-5, 1e-12, 0.0}) {
                const Backward problem(family_problem(family, 5, columns, epsilon), seed_for(family.name, columns));
                if (!std::all_of(problem.kept.rstd.begin(), problem.kept.rstd.end(), rstd_is_promised)) {
                    continue;
                }
                const GradientErrors errors = judge(problem, layer_norm_backward(problem));
                ASSERT_LE(errors.dx, bound) << family.name << ", D = " << columns << ", epsilon " << epsilon;
                ASSERT_LE(errors.dgamma, bound) << family.name << ", D = " << columns << ", epsilon " << epsilon;
                ASSERT_LE(errors.dbeta, bound) << family.name << ", D = " << columns << ", epsilon " << epsilon;
                worst.dx = std::max(worst.dx, errors.dx);
                worst.dgamma = std::max(worst.dgamma, errors.dgamma);
                worst.dbeta = std::max(worst.dbeta, errors.dbeta);
            }
        }
    }
    std::printf("worst errors, in u: dx %.2f, dgamma %.2f, dbeta %.2f\n", worst.dx, worst.dgamma, worst.dbeta);
}

TEST_P(BackwardPass, ManyRowsWithinBounds) {
    for (const Shape &shape : {Shape{10000, 3}, Shape{3001, 33}, Shape{700, 300}}) {
        const Backward problem(normal_problem(seed_for("many", shape.rows), shape.rows, shape.columns), 7);
        const GradientErrors errors = judge(problem, layer_norm_backward(problem));
        EXPECT_LE(errors.dx, bound);
        EXPECT_LE(errors.dgamma, bound);
        EXPECT_LE(errors.dbeta, bound);
    }
}

// dy from the least size of which the header speaks to far above, against rows as narrow and as wide as single
// precision takes.
TEST_P(BackwardPass, GradientsOfAnySizeWithinBounds) {
    for (const float spread : {0x1p-38F, 1.0F, 0x1p+38F}) {
        for (const float size : {0x1p-79F, 0x1p-40F, 0x1p+60F}) {
            Problem narrow = normal_problem(seed_for("size", 40), 5, 300);
            for (float &x : narrow.x) {
                x *= spread;
            }
            narrow.epsilon = 0.0;
            narrow.gamma.clear();
            Backward problem(narrow, 5);
            for (float &dy : problem.dy) {
                dy *= 2 * size;
            }
            const GradientErrors errors = judge(problem, layer_norm_backward(problem));
            EXPECT_LE(errors.dx, bound) << spread << ", " << size;
            EXPECT_LE(errors.dgamma, bound) << spread << ", " << size;
            EXPECT_LE(errors.dbeta, bound) << spread << ", " << size;
        }
    }
}

TEST_P(BackwardPass, FiniteDifferencesAgree) {
    constexpr std::size_t rows = 3;
    constexpr std::size_t columns = 40;
    const Backward problem(normal_problem(seed_for("differences", rows), rows, columns), 3);
    const Gradients actual = layer_norm_backward(problem);
    // sum(dy y) in double, with x[i] moved by `step`
    const auto loss = [&](std::size_t moved, double step) {
        double sum = 0;
        for (std::size_t row = 0; row < rows; ++row) {
            std::vector<double> x(columns);
            double mean = 0, variance = 0;
            for (std::size_t j = 0; j < columns; ++j) {
                const std::size_t i = row * columns + j;
                x[j] = static_cast<double>(problem.forward.x[i]) + (i == moved ? step : 0.0);
                mean += x[j] / columns;
            }
            for (const double value : x) {
                variance += (value - mean) * (value - mean) / columns;
            }
            for (std::size_t j = 0; j < columns; ++j) {
                const double v = (x[j] - mean) / std::sqrt(variance + problem.forward.epsilon);
                sum += static_cast<double>(problem.dy[row * columns + j]) * v *
                       static_cast<double>(problem.forward.gamma[j]);
            }
        }
        return sum;
    };
    for (std::size_t i = 0; i < rows * columns; ++i) {
        const double slope = (loss(i, 1e-4) - loss(i, -1e-4)) / 2e-4;
        EXPECT_NEAR(static_cast<double>(actual.dx[i]), slope, 1e-5) << "x[" << i << "]";
    }
}

Gradients reference(const Backward &problem) {
    const UseInstructionSet scalar("scalar");
    return layer_norm_backward(problem);
}

TEST_P(BackwardPass, SameBitsWhateverTheLayout) {
    for (const Shape &shape : some_shapes()) {
        const std::uint64_t seed = seed_for("backward", shape.rows, shape.columns);
        Backward problem(mixed_problem(seed, shape.rows, shape.columns), seed);
        if (shape.columns % 2 == 0) {
            problem.forward.gamma.clear();
        }
        const Gradients expected = reference(problem);
        const std::size_t c = shape.columns;
        for (const Layout &layout :
             {Layout{}, Layout{.in_place = true}, Layout{.threads = 2}, Layout{.threads = 3, .store = 2},
              Layout{.in_place = true, .threads = 7, .store = 1},
              Layout{.x_stride = c + 3, .y_stride = c + 5, .x_offset = 1, .y_offset = 7},
              Layout{.x_stride = c, .y_stride = c + 16, .x_offset = 3, .in_place = true, .threads = 0}}) {
            ASSERT_TRUE(same_bits(layer_norm_backward(problem, layout), expected))
                << shape.rows << " x " << shape.columns << ", " << layout;
        }
    }
}

TEST_P(BackwardPass, SameBitsOnManyThreads) {
    for (const Shape &shape :
         {Shape{20000, 5}, Shape{1500, 300}, Shape{129, 5000}, Shape{2, 200001}, Shape{70, 70001}}) {
        const Backward problem(normal_problem(seed_for("threads", shape.rows), shape.rows, shape.columns), 5);
        const Gradients expected = reference(problem);
        for (const int threads : {1, 2, 3, 5, 8}) {
            ASSERT_TRUE(same_bits(layer_norm_backward(problem, {.threads = threads}), expected))
                << shape.rows << " x " << shape.columns << " on " << threads;
        }
    }
}

// Columns that add up to nothing but what the order of additions in double leaves over: in each batch of 16 rows small
// integers times one power of two, whose sums floats hold exactly, and later all of them again with the other sign.
TEST_P(BackwardPass, SumsOverRowsAreAddedInOneOrder) {
    constexpr std::size_t rows = 20480; // twenty leaves of 1,024 rows
    constexpr std::size_t columns = 64;
    constexpr std::size_t batch = 16 * columns;
    Backward problem(normal_problem(seed_for("order", rows), rows, columns), 5);
    Random random(seed_for("order", columns));
    for (std::size_t first = 0; first < rows * columns / 2; first += batch) {
        const int exponent = static_cast<int>(random.below(60));
        for (std::size_t i = first; i < first + batch; ++i) {
            const float value = std::ldexp(static_cast<float>(random.below(16)), exponent);
            problem.dy[i] = value;
            problem.dy[(rows - 1 - i / columns) * columns + i % columns] = -value;
        }
    }
    const Gradients expected = reference(problem);
    for (const int threads : {1, 2, 3, 5, 7}) {
        ASSERT_TRUE(same_bits(layer_norm_backward(problem, {.threads = threads}), expected)) << threads << " threads";
    }
}

TEST_P(BackwardPass, SameBitsWhicheverOutputsAreWanted) {
    for (const Shape &shape : {Shape{37, 100}, Shape{3, 4097}}) {
        const Backward problem(normal_problem(seed_for("wanted", shape.rows), shape.rows, shape.columns), 5);
        const Gradients expected = reference(problem);
        for (const int wanted : {0, 1, 2, 3, 4, 5, 6, 7}) {
            const Wanted outputs = {(wanted & 1) != 0, (wanted & 2) != 0, (wanted & 4) != 0};
            EXPECT_TRUE(same_bits(layer_norm_backward(problem, {}, outputs), expected)) << "outputs " << wanted;
        }
    }
}

TEST_P(BackwardPass, AMillionRowsOfOnesGiveAMillion) {
    Problem ones{.rows = 1000000, .columns = 2};
    ones.x.assign(2000000, 1.0F);
    Backward problem(ones, 1);
    problem.dy.assign(2000000, 1.0F);
    EXPECT_EQ(layer_norm_backward(problem).dbeta, std::vector<float>(2, 1000000.0F));
}

TEST_P(BackwardPass, AMeanFromElsewhereIsPutRight) {
    Backward problem(normal_problem(seed_for("elsewhere", 6), 6, 300), 5);
    const std::vector<float> right = problem.kept.mean;
    for (const float off : {1.0F, -1000.0F, 3e7F, 1e20F}) {
        for (std::size_t row = 0; row < 6; ++row) {
            problem.kept.mean[row] = right[row] + off;
        }
        const GradientErrors errors = judge(problem, layer_norm_backward(problem));
        EXPECT_LE(errors.dx, bound) << off;
        EXPECT_LE(errors.dgamma, bound) << off;
    }
}

TEST_P(BackwardPass, OneColumnAndConstantRowsGiveZero) {
    for (const std::size_t columns : Sizes{1, 5, 100}) {
        for (const double epsilon : {1e-5, 0.0}) {
            Problem constant{.rows = 3, .columns = columns, .epsilon = epsilon};
            constant.x.assign(3 * columns, 1234.1F);
            const Backward problem(constant, 9);
            const Gradients actual = layer_norm_backward(problem);
            EXPECT_EQ(actual.dgamma, std::vector<float>(columns, 0.0F));
            if (columns == 1 || epsilon == 0) {
                EXPECT_EQ(actual.dx, std::vector<float>(3 * columns, 0.0F)) << columns << " columns";
            }
        }
    }
}

TEST_P(BackwardPass, AnRstdOfZeroGivesZeroEvenWhereDifferencesOverflow) {
    constexpr double huge_epsilon = 1.7e308; // its root is beyond 1 / the least float
    for (const std::size_t columns : Sizes{2, 5, 33, 100, 1000, 5000}) {
        for (const float largest : {1.0F, std::numeric_limits<float>::max()}) {
            Problem alternating{.rows = 3, .columns = columns, .epsilon = huge_epsilon};
            for (std::size_t i = 0; i < 3 * columns; ++i) {
                alternating.x.push_back(i % 3 == 0 ? -largest : largest);
            }
            const Backward problem(alternating, 9);
            ASSERT_EQ(problem.kept.rstd, std::vector<float>(3, 0.0F));
            const Gradients actual = layer_norm_backward(problem);
            EXPECT_EQ(actual.dx, std::vector<float>(3 * columns, 0.0F)) << columns << " columns of " << largest;
            EXPECT_EQ(actual.dgamma, std::vector<float>(columns, 0.0F)) << columns << " columns of " << largest;
        }
    }
}

TEST_P(BackwardPass, ZerosHaveTheSignsOfTheScalarSet) {
    constexpr std::size_t rows = 17;
    for (const std::size_t columns : Sizes{1, 5, 32, 33, 64, 96, 128, 512, 1000}) {
        for (int negative = 0; negative < 8; ++negative) {
            const auto zero = [&](int which) { return (negative >> which) % 2 == 1 ? -0.0F : 0.0F; };
            Problem zeros{.rows = rows, .columns = columns, .epsilon = 0};
            zeros.x.assign(rows * columns, zero(0));
            zeros.gamma.assign(columns, zero(1));
            zeros.gamma[0] = 1;
            Backward problem(zeros, 1);
            problem.dy.assign(rows * columns, zero(2));
            const Gradients expected = [&] {
                const UseInstructionSet scalar("scalar");
                return layer_norm_backward(problem);
            }();
            EXPECT_TRUE(simdnorm_test::same_bits(layer_norm_backward(problem), expected))
                << columns << " columns, signs " << negative;
        }
    }
}

void expect_spoilt(const char *name, const std::vector<float> &actual, const std::vector<float> &right,
                   const std::function<bool(std::size_t)> &is_spoilt, float tolerance = 0) {
    for (std::size_t i = 0; i < actual.size(); ++i) {
        EXPECT_EQ(std::isfinite(actual[i]), !is_spoilt(i)) << name << "[" << i << "]";
        EXPECT_TRUE(is_spoilt(i) || std::abs(actual[i] - right[i]) <= tolerance) << name << "[" << i << "]";
    }
}

// A row of which a sum is not finite is centred anew, which may change the last bits of its v, and so of dgamma.
TEST_P(BackwardPass, WhatIsNotFiniteSpoilsNoMoreThanItMust) {
    constexpr std::size_t rows = 5;
    constexpr float tolerance = 1e-5F;
    const auto all = [](std::size_t) { return true; };
    const auto none = [](std::size_t) { return false; };
    for (const std::size_t columns : Sizes{1, 7, 100, 5000}) {
        const Backward ordinary(normal_problem(seed_for("spoilt", columns), rows, columns), 1);
        const Gradients right = layer_norm_backward(ordinary);
        const std::size_t column = columns / 2;
        const auto in_row = [&](std::size_t i) { return i / columns == 2; };
        const auto in_column = [&](std::size_t j) { return j == column; };
        for (const float bad : {infinity, -infinity, float_of(quiet_nan_bits)}) {
            Backward of_dy = ordinary;
            of_dy.dy[2 * columns + column] = bad;
            const Gradients from_dy = layer_norm_backward(of_dy);
            expect_spoilt("dx by dy", from_dy.dx, right.dx, in_row);
            expect_spoilt("dgamma by dy", from_dy.dgamma, right.dgamma, in_column, tolerance);
            expect_spoilt("dbeta by dy", from_dy.dbeta, right.dbeta, in_column);

            Backward of_x = ordinary;
            of_x.forward.x[2 * columns + column] = bad;
            Backward of_mean = ordinary;
            of_mean.kept.mean[2] = bad;
            Backward of_rstd = ordinary;
            of_rstd.kept.rstd[2] = bad;
            for (const Backward *problem : {&of_x, &of_mean, &of_rstd}) {
                const Gradients spoilt = layer_norm_backward(*problem);
                expect_spoilt("dx by a row", spoilt.dx, right.dx, in_row);
                expect_spoilt("dgamma by a row", spoilt.dgamma, right.dgamma, all);
                expect_spoilt("dbeta by a row", spoilt.dbeta, right.dbeta, none);
            }

            Backward of_gamma = ordinary;
            of_gamma.forward.gamma[column] = bad;
            const Gradients from_gamma = layer_norm_backward(of_gamma);
            expect_spoilt("dx by gamma", from_gamma.dx, right.dx, all);
            expect_spoilt("dgamma by gamma", from_gamma.dgamma, right.dgamma, none, tolerance);
            expect_spoilt("dbeta by gamma", from_gamma.dbeta, right.dbeta, none);
        }
    }
}

TEST_P(BackwardPass, NoRowsGiveZeroSums) {
    simdnorm_layer_norm_backward_args args = {};
    std::vector<float> dgamma(9, 1.0F), dbeta(9, 1.0F);
    args.columns = 9;
    args.dgamma = dgamma.data();
    args.dbeta = dbeta.data();
    EXPECT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OK) << simdnorm_last_error();
    EXPECT_EQ(dgamma, std::vector<float>(9, 0.0F));
    EXPECT_EQ(dbeta, std::vector<float>(9, 0.0F));

    std::fill(dbeta.begin(), dbeta.end(), 1.0F);
    args.dgamma = nullptr;
    EXPECT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OK) << simdnorm_last_error();
    EXPECT_EQ(dbeta, std::vector<float>(9, 0.0F));
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(BackwardPass);

// Bad calls: each names its argument and writes nothing.
struct BadCall {
    const char *expected;
    void (*spoil)(simdnorm_layer_norm_backward_args &);
};

TEST(BackwardArguments, BadCallsNameTheArgumentAndWriteNothing) {
    using Args = simdnorm_layer_norm_backward_args;
    const BadCall bad_calls[] = {
        {"columns is 0", [](Args &a) { a.columns = 0; }},
        {"dy_stride is 3", [](Args &a) { a.dy_stride = 3; }},
        {"x_stride is 3", [](Args &a) { a.x_stride = 3; }},
        {"dx_stride is 3", [](Args &a) { a.dx_stride = 3; }},
        {"threads is -1", [](Args &a) { a.threads = -1; }},
        {"store is 7", [](Args &a) { a.store = 7; }},
        {"dy is NULL", [](Args &a) { a.dy = nullptr; }},
        {"x is NULL", [](Args &a) { a.x = nullptr; }},
        {"mean is NULL", [](Args &a) { a.mean = nullptr; }},
        {"rstd is NULL", [](Args &a) { a.rstd = nullptr; }},
        {"more than PTRDIFF_MAX", [](Args &a) { a.rows = SIZE_MAX / 4; }},
        {"dx at", [](Args &a) { a.dx = const_cast<float *>(a.dy) + 1; }},
        {"dx at", [](Args &a) { a.dx = const_cast<float *>(a.x); }},
        {"dx at", [](Args &a) { a.dx = a.dgamma - 2; }},
        {"dgamma at", [](Args &a) { a.dgamma = a.dbeta; }},
        {"dgamma at", [](Args &a) { a.dgamma = const_cast<float *>(a.gamma); }},
        {"dbeta at", [](Args &a) { a.dbeta = const_cast<float *>(a.mean); }},
        {"dbeta at", [](Args &a) { a.dbeta = const_cast<float *>(a.x) + 3; }},
    };
    constexpr std::size_t rows = 2;
    constexpr std::size_t columns = 4;
    for (const BadCall &bad : bad_calls) {
        std::vector<float> memory(200, 3.0F);
        Args args = {};
        args.rows = rows;
        args.columns = columns;
        float *next = memory.data();
        for (const float **input : {&args.dy, &args.x, &args.gamma, &args.mean, &args.rstd}) {
            *input = next += 16;
        }
        for (float **output : {&args.dx, &args.dgamma, &args.dbeta}) {
            *output = next += 16;
        }
        bad.spoil(args);
        EXPECT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_INVALID_ARGUMENT) << bad.expected;
        EXPECT_NE(std::string(simdnorm_last_error()).find(bad.expected), std::string::npos) << simdnorm_last_error();
        EXPECT_EQ(memory, std::vector<float>(200, 3.0F)) << bad.expected;
    }
    EXPECT_EQ(simdnorm_layer_norm_backward(nullptr), SIMDNORM_INVALID_ARGUMENT);
}

TEST(BackwardArguments, RunningOutOfMemoryIsToldAndWritesNothing) {
    simdnorm_layer_norm_backward_args args = {};
    args.rows = 1;
    args.columns = std::size_t{1} << 58; // sums of as many columns cannot be had
    args.dy = args.x = args.mean = args.rstd = reinterpret_cast<const float *>(std::uintptr_t{64});
    args.dgamma = reinterpret_cast<float *>(std::uintptr_t{1} << 62);
    args.threads = 1;
    EXPECT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OUT_OF_MEMORY) << simdnorm_last_error();
}

} // namespace
} // namespace simdnorm_test
