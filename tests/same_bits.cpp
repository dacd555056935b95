// The same bits as the scalar set on one thread with everything plain: on every set, with every number of threads,
// store policy, stride and alignment, in place or not, and whatever rows stand beside.
#include "call.hpp"
#include "families.hpp"
#include "instruction_sets.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

Result reference(const Problem &problem) {
    const UseInstructionSet scalar("scalar");
    return layer_norm(problem, {.store = SIMDNORM_STORE_CACHED});
}

std::string describe(const Problem &problem) {
    return std::to_string(problem.rows) + " x " + std::to_string(problem.columns) + " on " + simdnorm_instruction_set();
}

// One row of the problem as a problem of its own.
Problem only_row(const Problem &problem, std::size_t row) {
    Problem alone = problem;
    alone.rows = 1;
    alone.x.assign(problem.x.begin() + static_cast<std::ptrdiff_t>(row * problem.columns),
                   problem.x.begin() + static_cast<std::ptrdiff_t>((row + 1) * problem.columns));
    return alone;
}

Result only_row(const Result &result, std::size_t row) {
    const std::size_t columns = result.y.size() / result.mean.size();
    const auto first = result.y.begin() + static_cast<std::ptrdiff_t>(row * columns);
    return {{first, first + static_cast<std::ptrdiff_t>(columns)}, {result.mean[row]}, {result.rstd[row]}};
}

class SameBits : public OnInstructionSet {};

TEST_P(SameBits, EveryFamilyAndWidth) {
    constexpr double epsilons[] = {1e-5, 0, 1e-12, 1e-30, 1e-300, 1e30};
    for (const Family &family : all_families()) {
        for (const std::size_t d : all_columns()) {
            const std::uint64_t seed = seed_for(family.name, d);
            Problem problem{.rows = 1, .columns = d};
            problem.x = family.row(seed, d);
            problem.epsilon = epsilons[d % std::size(epsilons)];
            if (d % 2 == 0) {
                problem.gamma = normal_row(seed + 1, d);
                problem.beta = normal_row(seed + 2, d);
            }
            ASSERT_TRUE(same_bits(layer_norm(problem), reference(problem)))
                << "family " << family.name << ", D = " << d << ", epsilon " << problem.epsilon;
        }
    }
}

TEST_P(SameBits, WithAndWithoutGammaBetaMeanAndRstd) {
    for (const Shape &shape : some_shapes()) {
        for (const int combination : {0, 1, 2, 3}) {
            Problem problem = mixed_problem(seed_for("optional", shape.rows, shape.columns), shape.rows, shape.columns);
            if ((combination & 1) == 0) {
                problem.gamma.clear();
            }
            if ((combination & 2) == 0) {
                problem.beta.clear();
            }
            const Result expected = reference(problem);
            for (const int store : all_stores) {
                for (const int wanted : {0, 1, 2, 3}) {
                    const Layout layout = {
                        .wants_mean = (wanted & 1) != 0, .wants_rstd = (wanted & 2) != 0, .store = store};
                    ASSERT_TRUE(same_bits(layer_norm(problem, layout), expected))
                        << describe(problem) << ", combination " << combination << ", " << layout;
                }
            }
        }
    }
}

TEST_P(SameBits, EveryNumberOfThreads) {
    std::vector<Shape> shapes = some_shapes();
    shapes.insert(shapes.end(), {{1, 300001}, {2, 300001}, {3, 131072}, {7, 65537}, {20000, 16}, {1000, 1000}});
    for (const Shape &shape : shapes) {
        const Problem problem =
            mixed_problem(seed_for("threads", shape.rows, shape.columns), shape.rows, shape.columns);
        const Result expected = reference(problem);
        for (const int threads : {0, 1, 2, 3, 7}) {
            for (const int store : all_stores) {
                for (const bool in_place : {false, true}) {
                    const Layout layout = {.in_place = in_place, .threads = threads, .store = store};
                    ASSERT_TRUE(same_bits(layer_norm(problem, layout), expected))
                        << describe(problem) << ", " << layout;
                }
            }
        }
    }
}

// x and y together exceed the caches of most machines, so that "auto" streams too.
TEST_P(SameBits, LargerThanTheCaches) {
    for (const Shape &shape : {Shape{40000, 257}, Shape{1900, 5376}, Shape{3, 3000017}, Shape{1, 9000001}}) {
        const std::size_t size = shape.rows * shape.columns;
        Problem problem{.rows = shape.rows, .columns = shape.columns};
        problem.x = make_row(seed_for("large", shape.rows), size,
                             [](Random &random, std::size_t) { return random.uniform(9, 11); });
        problem.gamma = normal_row(seed_for("gamma", shape.rows), shape.columns);
        const Result expected = reference(problem);
        for (const int store : all_stores) {
            for (const int threads : {1, 3}) {
                const Layout layout = {.threads = threads, .store = store};
                ASSERT_TRUE(same_bits(layer_norm(problem, layout), expected)) << describe(problem) << ", " << layout;
            }
        }
    }
}

TEST_P(SameBits, EveryStride) {
    for (const std::size_t d : some_columns()) {
        const Problem problem = mixed_problem(seed_for("strides", d), 9, d);
        const Result expected = reference(problem);
        for (const std::size_t x_stride : Sizes{0, d, d + 1, d + 7, d + 32}) {
            for (const std::size_t y_stride : Sizes{0, d, d + 1, d + 7, d + 32}) {
                for (const int store : all_stores) {
                    const Layout layout = {.x_stride = x_stride, .y_stride = y_stride, .store = store};
                    ASSERT_TRUE(same_bits(layer_norm(problem, layout), expected))
                        << describe(problem) << ", " << layout;
                }
            }
            const Layout in_place = {.x_stride = x_stride, .in_place = true, .threads = 3};
            ASSERT_TRUE(same_bits(layer_norm(problem, in_place), expected)) << describe(problem) << ", " << in_place;
        }
    }
}

TEST_P(SameBits, EveryAlignment) {
    for (const std::size_t d : some_columns()) {
        const Problem problem = mixed_problem(seed_for("alignments", d), 5, d);
        const Result expected = reference(problem);
        Random random(seed_for("alignments of gamma and beta", d));
        for (std::size_t x = 0; x < 16; ++x) {
            for (std::size_t y = 0; y < 16; ++y) {
                // Over x and y, gamma and beta take each of the 16 places as well.
                const Layout layout = {.x_offset = x,
                                       .y_offset = y,
                                       .gamma_offset = (x + y) % 16,
                                       .beta_offset = (3 * x + y) % 16,
                                       .store = all_stores[random.below(all_stores.size())]};
                ASSERT_TRUE(same_bits(layer_norm(problem, layout), expected)) << describe(problem) << ", " << layout;
            }
        }
    }
}

TEST_P(SameBits, InPlace) {
    for (const std::size_t d : all_columns()) {
        const std::size_t rows = d <= 300 ? 6 : 2;
        const Problem problem = mixed_problem(seed_for("in place", d), rows, d);
        const Result expected = reference(problem);
        for (const int store : all_stores) {
            const Layout layout = {.x_offset = d % 16, .in_place = true, .store = store};
            ASSERT_TRUE(same_bits(layer_norm(problem, layout), expected)) << describe(problem) << ", " << layout;
        }
    }
}

// x and y are slices of the columns of one matrix, side by side.
TEST_P(SameBits, ColumnSlicesOfOneMatrix) {
    for (const std::size_t d : some_columns()) {
        const Problem problem = mixed_problem(seed_for("slices", d), 9, d);
        const Result expected = reference(problem);
        for (const bool y_first : {false, true}) {
            for (const int store : all_stores) {
                const std::size_t stride = 2 * d + 3;
                Buffer matrix(problem.rows * stride);
                float *x = matrix.data() + (y_first ? d : 0);
                float *y = matrix.data() + (y_first ? 0 : d);
                for (std::size_t row = 0; row < problem.rows; ++row) {
                    std::copy_n(problem.x.data() + row * d, d, x + row * stride);
                }
                simdnorm_layer_norm_args args = {};
                args.rows = problem.rows;
                args.columns = d;
                args.x = x;
                args.y = y;
                args.x_stride = args.y_stride = stride;
                args.gamma = problem.gamma.data();
                args.beta = problem.beta.data();
                args.epsilon = problem.epsilon;
                args.threads = 2;
                args.store = store;
                ASSERT_EQ(simdnorm_layer_norm(&args), SIMDNORM_OK) << simdnorm_last_error();
                EXPECT_TRUE(matrix.margins_untouched());
                for (std::size_t row = 0; row < problem.rows; ++row) {
                    ASSERT_TRUE(same_bits(y + row * stride, expected.y.data() + row * d, d))
                        << "row " << row << " of " << describe(problem);
                    ASSERT_TRUE(same_bits(x + row * stride, problem.x.data() + row * d, d)) << "x changed";
                    ASSERT_TRUE(all_canaries(matrix.data() + row * stride + 2 * d, matrix.data() + (row + 1) * stride));
                }
            }
        }
    }
}

// Everything at once, drawn at random.
TEST_P(SameBits, AnyLayout) {
    Random random(seed_for("any layout"));
    for (int attempt = 0; attempt < 2000; ++attempt) {
        const std::size_t d = 1 + random.below(random.below(4) == 0 ? 5000 : 300);
        const std::size_t rows = 1 + random.below(20);
        Problem problem = mixed_problem(random.bits(), rows, d);
        if (random.below(3) == 0) {
            problem.gamma.clear();
        }
        if (random.below(3) == 0) {
            problem.beta.clear();
        }
        const Layout layout = {.x_stride = random.below(2) * (d + random.below(40)),
                               .y_stride = random.below(2) * (d + random.below(40)),
                               .x_offset = random.below(16),
                               .y_offset = random.below(16),
                               .gamma_offset = random.below(16),
                               .beta_offset = random.below(16),
                               .in_place = random.below(3) == 0,
                               .wants_mean = random.below(2) == 0,
                               .wants_rstd = random.below(2) == 0,
                               .threads = static_cast<int>(random.below(5)),
                               .store = all_stores[random.below(all_stores.size())]};
        ASSERT_TRUE(same_bits(layer_norm(problem, layout), reference(problem)))
            << "attempt " << attempt << ": " << describe(problem) << ", " << layout;
    }
}

// Groups of every size, so that each row is seen at every place of a group and as a left-over.
TEST_P(SameBits, ARowAloneAndAmongOthers) {
    for (const std::size_t d : some_columns()) {
        for (std::size_t rows = 2; rows <= 17; ++rows) {
            const Problem problem = mixed_problem(seed_for("among others", d, rows), rows, d);
            const Result together = layer_norm(problem, {.store = all_stores[rows % all_stores.size()]});
            for (std::size_t row = 0; row < rows; ++row) {
                ASSERT_TRUE(same_bits(only_row(together, row), layer_norm(only_row(problem, row))))
                    << "row " << row << " of " << describe(problem);
            }
        }
    }
}

TEST_P(SameBits, WhateverRowsStandBeside) {
    const float neighbours[] = {float_of(quiet_nan_bits), infinity, -infinity, largest, -largest, smallest, 0.0f};
    for (const std::size_t d : some_columns()) {
        const Problem alone = normal_problem(seed_for("beside", d), 1, d);
        const Result expected = reference(alone);
        for (const float value : neighbours) {
            for (std::size_t place = 0; place < 9; ++place) {
                Problem problem = alone;
                problem.rows = 9;
                problem.x.assign(9 * d, value);
                std::copy(alone.x.begin(), alone.x.end(), problem.x.begin() + static_cast<std::ptrdiff_t>(place * d));
                for (const int store : all_stores) {
                    const Result result = layer_norm(problem, {.store = store});
                    ASSERT_TRUE(same_bits(only_row(result, place), expected))
                        << "row " << place << " of " << describe(problem) << " beside rows of " << hex(value);
                }
            }
        }
    }
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(SameBits);

} // namespace
} // namespace simdnorm_test
