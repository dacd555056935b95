// Nothing is read or written but the elements of the arguments, in both passes: every argument between forbidden pages.
// tests/paths.cpp does the same for the ways that a plan takes with data in memory alone.
#include "backward_call.hpp"
#include "call.hpp"
#include "guarded_buffer.hpp"
#include "guarded_call.hpp"
#include "instruction_sets.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

class Memory : public OnInstructionSet {};

TEST_P(Memory, NothingBesideTheArgumentsIsTouched) {
    GuardedCall guarded(9 * 420, 420);
    for (std::size_t d = 1; d <= 420; ++d) {
        for (const std::size_t rows : Sizes{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
            const Problem problem = problem_on_every_path(seed_for("memory", d, rows), rows, d);
            const Result expected = layer_norm(problem);
            for (const int store : all_stores) {
                for (const Flush flush : both_ends) {
                    for (const bool in_place : {false, true}) {
                        const Layout layout = {.in_place = in_place, .store = store};
                        ASSERT_TRUE(same_bits(guarded.layer_norm(problem, layout, flush), expected))
                            << rows << " x " << d << ", " << layout;
                    }
                }
            }
        }
    }
}

TEST_P(Memory, NothingBesideTheArgumentsIsTouchedWithoutGammaAndBeta) {
    GuardedCall guarded(5 * 420, 420);
    for (std::size_t d = 1; d <= 420; ++d) {
        Problem problem = problem_on_every_path(seed_for("memory", d), 5, d);
        const std::vector<float> gamma = problem.gamma;
        problem.gamma.clear();
        for (const bool with_beta : {true, false}) {
            if (!with_beta) {
                problem.gamma = gamma;
                problem.beta.clear();
            }
            const Result expected = layer_norm(problem);
            for (const int store : all_stores) {
                for (const Flush flush : both_ends) {
                    ASSERT_TRUE(same_bits(guarded.layer_norm(problem, {.store = store}, flush), expected))
                        << "D = " << d << ", store " << store;
                }
            }
        }
    }
}

// Both sides of the widths at which a plan or a kernel changes its way, above those that all have their turn.
const std::vector<std::size_t> &thresholds() {
    static const std::vector<std::size_t> columns = [] {
        std::vector<std::size_t> all;
        for (const std::size_t threshold : Sizes{512, 1024, 1152, 2048, 4096, 8192, 32768}) {
            all.insert(all.end(), {threshold - 1, threshold, threshold + 1});
        }
        return all;
    }();
    return columns;
}

TEST_P(Memory, NothingBesideTheArgumentsIsTouchedAroundThresholds) {
    GuardedCall guarded(9 * 32769, 32769);
    for (const std::size_t d : thresholds()) {
        for (const std::size_t rows : Sizes{1, 2, 3, 9}) {
            const Problem problem = problem_on_every_path(seed_for("thresholds", d, rows), rows, d);
            const Result expected = layer_norm(problem);
            for (const int store : all_stores) {
                for (const Flush flush : both_ends) {
                    const Layout layout = {.in_place = (d + rows) % 4 == 0, .store = store};
                    ASSERT_TRUE(same_bits(guarded.layer_norm(problem, layout, flush), expected))
                        << rows << " x " << d << ", " << layout;
                }
            }
        }
    }
}

// Blocks, groups of rows and shares of threads have ends of their own; prefetching looks ahead.
TEST_P(Memory, NothingBesideLongRowsIsTouched) {
    const std::vector<Shape> shapes = {{1, 511},   {3, 513},   {2, 1023},  {5, 1025},  {3, 2047},  {4, 4095},
                                       {2, 4096},  {5, 4097},  {3, 8193},  {1, 12289}, {2, 70001}, {1, 300001},
                                       {500, 300}, {300, 257}, {64, 1536}, {37, 4097}, {9, 40001}, {2000, 33}};
    GuardedCall guarded(9 * 40001, 300001);
    for (const Shape &shape : shapes) {
        const Problem problem =
            problem_on_every_path(seed_for("long", shape.rows, shape.columns), shape.rows, shape.columns);
        const Result expected = layer_norm(problem);
        for (const int store : all_stores) {
            for (const int threads : {1, 3}) {
                for (const Flush flush : both_ends) {
                    const Layout layout = {.threads = threads, .store = store};
                    ASSERT_TRUE(same_bits(guarded.layer_norm(problem, layout, flush), expected))
                        << shape.rows << " x " << shape.columns << ", " << layout;
                }
            }
        }
    }
}

// Each row on pages of its own: between rows nothing is touched either.
TEST_P(Memory, NothingBetweenTheRowsIsTouched) {
    constexpr std::size_t rows = 9;
    GuardedPages x_pages(rows, 2), y_pages(rows, 2);
    std::vector<std::size_t> lengths = some_columns();
    for (std::size_t d = 1; d <= 420; ++d) {
        lengths.push_back(d);
    }
    for (const std::size_t d : lengths) {
        if (d > 2 * page_floats()) {
            continue;
        }
        const Problem problem = problem_on_every_path(seed_for("islands", d), rows, d);
        const Result expected = layer_norm(problem);
        for (const int store : all_stores) {
            for (const Flush flush : both_ends) {
                const bool with_start = flush == Flush::with_start;
                float *x = with_start ? x_pages.start() : x_pages.flush_with_end(d);
                float *y = with_start ? y_pages.start() : y_pages.flush_with_end(d);
                for (std::size_t row = 0; row < rows; ++row) {
                    std::copy_n(problem.x.data() + row * d, d, x + row * x_pages.stride());
                }
                simdnorm_layer_norm_args args = {};
                args.rows = rows;
                args.columns = d;
                args.x = x;
                args.x_stride = x_pages.stride();
                args.gamma = problem.gamma.data();
                args.beta = problem.beta.data();
                args.epsilon = problem.epsilon;
                args.y = y;
                args.y_stride = y_pages.stride();
                args.threads = 1;
                args.store = store;
                ASSERT_EQ(simdnorm_layer_norm(&args), SIMDNORM_OK) << simdnorm_last_error();
                for (std::size_t row = 0; row < rows; ++row) {
                    ASSERT_TRUE(same_bits(y + row * y_pages.stride(), expected.y.data() + row * d, d)) << "D = " << d;
                }
            }
        }
    }
}

// Which outputs are wanted goes round, and so does the store.
void expect_same_gradients(GuardedBackwardCall &guarded, const Backward &problem, int threads = 1) {
    const std::size_t rows = problem.forward.rows;
    const std::size_t d = problem.forward.columns;
    const Gradients expected = layer_norm_backward(problem);
    std::size_t turn = d + rows / 2;
    for (const Flush flush : both_ends) {
        for (const bool in_place : {false, true}) {
            const Wanted wanted = {(turn & 1) == 0, (turn & 2) == 0, (turn & 4) == 0};
            const Layout layout = {
                .in_place = in_place, .threads = threads, .store = all_stores[turn % all_stores.size()]};
            ASSERT_TRUE(same_bits(guarded.layer_norm_backward(problem, layout, wanted, flush), expected))
                << rows << " x " << d << ", " << layout << ", outputs " << turn % 8;
            turn += 3;
        }
    }
}

// Rows of every path, and gamma NULL every third time. Only what is finite has bits that the header settles.
Backward backward_problem(std::size_t rows, std::size_t columns) {
    const std::uint64_t seed = seed_for("backward memory", rows, columns);
    Problem problem = mixed_problem(seed, rows, columns);
    if ((rows + columns) % 3 == 0) {
        problem.gamma.clear();
    }
    return Backward(std::move(problem), seed);
}

TEST_P(Memory, NothingBesideTheArgumentsOfTheBackwardPassIsTouched) {
    GuardedBackwardCall guarded(20 * 420, 420);
    for (std::size_t d = 1; d <= 420; ++d) {
        for (const std::size_t rows : Sizes{1, 2, 3, 4, 7, 16, 20}) {
            expect_same_gradients(guarded, backward_problem(rows, d));
        }
    }
}

TEST_P(Memory, NothingBesideTheArgumentsOfTheBackwardPassIsTouchedAroundThresholds) {
    GuardedBackwardCall guarded(17 * 32769, 32769);
    for (const std::size_t d : thresholds()) {
        for (const std::size_t rows : Sizes{1, 3, d < 5000 ? 17U : 5U}) {
            expect_same_gradients(guarded, backward_problem(rows, d));
        }
    }
}

TEST_P(Memory, NothingBesideManyRowsAndLongOnesIsTouchedByTheBackwardPass) {
    GuardedBackwardCall guarded(300001, 300001);
    for (const Shape &shape : {Shape{1, 300001}, Shape{2, 70001}, Shape{9, 33333}, Shape{130, 1030}, Shape{500, 300},
                               Shape{2000, 33}, Shape{66000, 1}}) {
        for (const int threads : {1, 3}) {
            expect_same_gradients(guarded, backward_problem(shape.rows, shape.columns), threads);
        }
    }
}

// Each row of dy, x and dx on pages of its own.
TEST_P(Memory, NothingBetweenTheRowsOfTheBackwardPassIsTouched) {
    constexpr std::size_t rows = 9;
    GuardedPages dy_pages(rows, 2), x_pages(rows, 2), dx_pages(rows, 2);
    std::vector<std::size_t> lengths = some_columns();
    for (std::size_t d = 1; d <= 420; ++d) {
        lengths.push_back(d);
    }
    for (const std::size_t d : lengths) {
        if (d > 2 * page_floats()) {
            continue;
        }
        const Backward problem = backward_problem(rows, d);
        const Gradients expected = layer_norm_backward(problem);
        std::vector<float> dgamma(d), dbeta(d);
        for (const Flush flush : both_ends) {
            const auto place = [&](GuardedPages &pages) {
                return flush == Flush::with_start ? pages.start() : pages.flush_with_end(d);
            };
            float *dy = place(dy_pages);
            float *x = place(x_pages);
            for (std::size_t row = 0; row < rows; ++row) {
                std::copy_n(problem.dy.data() + row * d, d, dy + row * dy_pages.stride());
                std::copy_n(problem.forward.x.data() + row * d, d, x + row * x_pages.stride());
            }
            simdnorm_layer_norm_backward_args args = {};
            args.rows = rows;
            args.columns = d;
            args.dy = dy;
            args.x = x;
            args.gamma = problem.forward.gamma.empty() ? nullptr : problem.forward.gamma.data();
            args.mean = problem.kept.mean.data();
            args.rstd = problem.kept.rstd.data();
            args.dx = place(dx_pages);
            args.dy_stride = args.x_stride = args.dx_stride = dx_pages.stride();
            args.dgamma = dgamma.data();
            args.dbeta = dbeta.data();
            args.threads = 1;
            args.store = all_stores[d % all_stores.size()];
            ASSERT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OK) << simdnorm_last_error();
            for (std::size_t row = 0; row < rows; ++row) {
                ASSERT_TRUE(same_bits(args.dx + row * dx_pages.stride(), expected.dx.data() + row * d, d))
                    << "D = " << d;
            }
            ASSERT_TRUE(same_bits(Gradients{{}, dgamma, dbeta}, expected)) << "D = " << d;
        }
    }
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(Memory);

} // namespace
} // namespace simdnorm_test
