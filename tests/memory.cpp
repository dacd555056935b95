// Nothing is read or written but the elements of the arguments, in both passes: every argument between forbidden pages.
// tests/paths.cpp and tests/backward_paths.cpp do the same for the ways that a plan takes with data in memory alone.
#include "backward_call.hpp"
#include "call.hpp"
#include "guarded_buffer.hpp"
#include "guarded_call.hpp"
#include "instruction_sets.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <utility>
#include <vector>

namespace simdnorm_test {
namespace {

// Of a call, all that may change what is touched.
struct Way {
    Layout layout;
    Flush flush;
};

std::ostream &operator<<(std::ostream &out, const Way &way) {
    return out << way.layout << (way.flush == Flush::with_start ? ", at the start" : ", at the end") << " of its pages";
}

std::vector<Way> all_ways(int threads) {
    std::vector<Way> ways;
    for (const int store : all_stores) {
        for (const Flush flush : both_ends) {
            for (const bool in_place : {false, true}) {
                ways.push_back({{.in_place = in_place, .threads = threads, .store = store}, flush});
            }
        }
    }
    return ways;
}

// Rows on every path, in every way.
void expect_nothing_else_touched(GuardedCall &guarded, const Shape &shape, int threads = 1) {
    const Problem problem =
        problem_on_every_path(seed_for("memory", shape.rows, shape.columns), shape.rows, shape.columns);
    const Result expected = layer_norm(problem);
    for (const Way &way : all_ways(threads)) {
        ASSERT_TRUE(same_bits(guarded.layer_norm(problem, way.layout, way.flush), expected)) << shape << ", " << way;
    }
}

// Rows of every path, and gamma NULL every third time. Only what is finite has bits that the header settles.
Backward backward_problem(const Shape &shape) {
    const std::uint64_t seed = seed_for("backward memory", shape.rows, shape.columns);
    Problem problem = mixed_problem(seed, shape.rows, shape.columns);
    if ((shape.rows + shape.columns) % 3 == 0) {
        problem.gamma.clear();
    }
    return {std::move(problem), seed};
}

// The same for the backward pass; which outputs are wanted goes round.
void expect_nothing_else_touched(GuardedBackwardCall &guarded, const Shape &shape, int threads = 1) {
    const Backward problem = backward_problem(shape);
    const Gradients expected = layer_norm_backward(problem);
    std::size_t turn = shape.columns + shape.rows / 2;
    for (const Way &way : all_ways(threads)) {
        const Wanted wanted = {(turn & 1) == 0, (turn & 2) == 0, (turn & 4) == 0};
        ASSERT_TRUE(same_bits(guarded.layer_norm_backward(problem, way.layout, wanted, way.flush), expected))
            << shape << ", " << way << ", outputs " << turn % 8;
        turn += 3;
    }
}

// Every short row, and both sides of the widths at which a plan or a kernel changes its way.
constexpr std::size_t longest_short_row = 420;
constexpr Sizes thresholds = {512, 600, 640, 768, 896, 1024, 1152, 1280, 1536, 1920, 2048, 2560, 4096, 8192, 32768};
constexpr std::size_t longest_row = 32769;

template <class Guarded>
void expect_nothing_else_touched_at_any_width(Sizes all_rows) {
    Guarded guarded(std::max(all_rows) * longest_short_row, longest_short_row);
    for (std::size_t d = 1; d <= longest_short_row; ++d) {
        for (const std::size_t rows : all_rows) {
            expect_nothing_else_touched(guarded, {rows, d});
        }
    }
}

template <class Guarded>
void expect_nothing_else_touched_around_thresholds(Sizes all_rows) {
    Guarded guarded(std::max(all_rows) * longest_row, longest_row);
    for (const std::size_t threshold : thresholds) {
        for (const std::size_t d : {threshold - 1, threshold, threshold + 1}) {
            for (const std::size_t rows : all_rows) {
                expect_nothing_else_touched(guarded, {rows, d});
            }
        }
    }
}

// Blocks, groups of rows and shares of threads have ends of their own; prefetching looks ahead.
template <class Guarded>
void expect_nothing_else_touched_of_large_matrices() {
    constexpr Shape shapes[] = {{1, 511},   {3, 513},    {2, 1023},  {5, 1025},  {3, 2047},  {4, 4095},   {2, 4096},
                                {5, 4097},  {3, 8193},   {1, 12289}, {2, 70001}, {9, 33333}, {1, 300001}, {500, 300},
                                {300, 257}, {130, 1030}, {64, 1536}, {37, 4097}, {9, 40001}, {2000, 33},  {66000, 1}};
    Guarded guarded(9 * 40001, 300001);
    for (const Shape &shape : shapes) {
        for (const int threads : {1, 3}) {
            expect_nothing_else_touched(guarded, shape, threads);
        }
    }
}

class Memory : public OnInstructionSet {};

TEST_P(Memory, NothingBesideTheArgumentsIsTouched) {
    expect_nothing_else_touched_at_any_width<GuardedCall>({1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_P(Memory, NothingBesideTheArgumentsIsTouchedAroundThresholds) {
    expect_nothing_else_touched_around_thresholds<GuardedCall>({1, 2, 3, 9});
}

TEST_P(Memory, NothingBesideLargeMatricesIsTouched) {
    expect_nothing_else_touched_of_large_matrices<GuardedCall>();
}

TEST_P(Memory, NothingBesideTheArgumentsIsTouchedWithoutGammaAndBeta) {
    constexpr std::size_t rows = 9; // a group and one
    GuardedCall guarded(rows * longest_short_row, longest_short_row);
    for (std::size_t d = 1; d <= longest_short_row; ++d) {
        Problem problem = problem_on_every_path(seed_for("memory", d), rows, d);
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

TEST_P(Memory, NothingBesideTheArgumentsOfTheBackwardPassIsTouched) {
    expect_nothing_else_touched_at_any_width<GuardedBackwardCall>({1, 2, 3, 4, 7, 16, 20});
}

TEST_P(Memory, NothingBesideTheArgumentsOfTheBackwardPassIsTouchedAroundThresholds) {
    expect_nothing_else_touched_around_thresholds<GuardedBackwardCall>({1, 3, 17});
}

TEST_P(Memory, NothingBesideLargeMatricesIsTouchedByTheBackwardPass) {
    expect_nothing_else_touched_of_large_matrices<GuardedBackwardCall>();
}

// A matrix with each row on pages of its own: between rows nothing can be touched.
class Islands {
  public:
    static constexpr std::size_t rows = 9;

    // Where the rows begin, each with one end at a forbidden page.
    float *place(std::size_t columns, Flush flush) {
        return flush == Flush::with_start ? pages_.start() : pages_.flush_with_end(columns);
    }

    float *place(const std::vector<float> &values, std::size_t columns, Flush flush) {
        float *first = place(columns, flush);
        for (std::size_t row = 0; row < rows; ++row) {
            std::copy_n(values.data() + row * columns, columns, first + row * stride());
        }
        return first;
    }

    std::vector<float> values(const float *first, std::size_t columns) const {
        std::vector<float> all;
        for (std::size_t row = 0; row < rows; ++row) {
            all.insert(all.end(), first + row * stride(), first + row * stride() + columns);
        }
        return all;
    }

    std::size_t stride() const { return pages_.stride(); }

    static const std::vector<std::size_t> &columns() {
        static const std::vector<std::size_t> columns = [] {
            std::vector<std::size_t> all = some_columns();
            for (std::size_t d = 1; d <= longest_short_row; ++d) {
                all.push_back(d);
            }
            all.erase(std::remove_if(all.begin(), all.end(), [](std::size_t d) { return d > pages * page_floats(); }),
                      all.end());
            return all;
        }();
        return columns;
    }

  private:
    static constexpr std::size_t pages = 2;
    GuardedPages pages_{rows, pages};
};

TEST_P(Memory, NothingBetweenTheRowsIsTouched) {
    Islands of_x, of_y;
    for (const std::size_t d : Islands::columns()) {
        const Problem problem = problem_on_every_path(seed_for("islands", d), Islands::rows, d);
        const Result expected = layer_norm(problem);
        for (const int store : all_stores) {
            for (const Flush flush : both_ends) {
                simdnorm_layer_norm_args args = {};
                args.rows = Islands::rows;
                args.columns = d;
                args.x = of_x.place(problem.x, d, flush);
                args.gamma = problem.gamma.data();
                args.beta = problem.beta.data();
                args.epsilon = problem.epsilon;
                args.y = of_y.place(d, flush);
                args.x_stride = args.y_stride = of_y.stride();
                args.threads = 1;
                args.store = store;
                ASSERT_EQ(simdnorm_layer_norm(&args), SIMDNORM_OK) << simdnorm_last_error();
                ASSERT_TRUE(same_bits("y", of_y.values(args.y, d), expected.y)) << "D = " << d << ", store " << store;
            }
        }
    }
}

TEST_P(Memory, NothingBetweenTheRowsOfTheBackwardPassIsTouched) {
    Islands of_dy, of_x, of_dx;
    for (const std::size_t d : Islands::columns()) {
        const Backward problem = backward_problem({Islands::rows, d});
        const Gradients expected = layer_norm_backward(problem);
        std::vector<float> dgamma(d), dbeta(d);
        for (const int store : all_stores) {
            for (const Flush flush : both_ends) {
                simdnorm_layer_norm_backward_args args = {};
                args.rows = Islands::rows;
                args.columns = d;
                args.dy = of_dy.place(problem.dy, d, flush);
                args.x = of_x.place(problem.forward.x, d, flush);
                args.gamma = problem.forward.gamma.empty() ? nullptr : problem.forward.gamma.data();
                args.mean = problem.kept.mean.data();
                args.rstd = problem.kept.rstd.data();
                args.dx = of_dx.place(d, flush);
                args.dy_stride = args.x_stride = args.dx_stride = of_dx.stride();
                args.dgamma = dgamma.data();
                args.dbeta = dbeta.data();
                args.threads = 1;
                args.store = store;
                ASSERT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OK) << simdnorm_last_error();
                ASSERT_TRUE(same_bits(Gradients{of_dx.values(args.dx, d), dgamma, dbeta}, expected))
                    << "D = " << d << ", store " << store;
            }
        }
    }
}

// A gap between rows belongs to the caller, and keeps what it holds: layer_norm and layer_norm_backward look at each.
TEST_P(Memory, GapsBetweenRowsAreKept) {
    for (std::size_t d = 1; d <= longest_short_row; ++d) {
        const Backward problem = backward_problem({9, d});
        const Result expected = layer_norm(problem.forward);
        const Gradients expected_gradients = layer_norm_backward(problem);
        for (const std::size_t gap : Sizes{1, 16 - d % 16, 37}) {
            for (const int store : all_stores) {
                // Of x and dx, of y and dy; each from anywhere in a line.
                const Layout layout = {.x_stride = d + gap,
                                       .y_stride = d + gap,
                                       .x_offset = d % 16,
                                       .y_offset = gap % 16,
                                       .beta_offset = d % 5,
                                       .store = store};
                ASSERT_TRUE(same_bits(layer_norm(problem.forward, layout), expected)) << "D = " << d << ", " << layout;
                ASSERT_TRUE(same_bits(layer_norm_backward(problem, layout), expected_gradients))
                    << "D = " << d << ", " << layout;
            }
        }
    }
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(Memory);

} // namespace
} // namespace simdnorm_test
