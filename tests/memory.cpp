// Nothing is read or written but the elements of the arguments: every argument between forbidden pages.
#include "call.hpp"
#include "guarded_buffer.hpp"
#include "instruction_sets.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

enum class Flush { with_start, with_end };

// The arguments of a call, each between pages of its own.
class GuardedCall {
  public:
    explicit GuardedCall(std::size_t largest_matrix, std::size_t longest_vector)
        : x_(1, pages(largest_matrix)), y_(1, pages(largest_matrix)), gamma_(1, pages(longest_vector)),
          beta_(1, pages(longest_vector)), mean_(1, pages(longest_vector)), rstd_(1, pages(longest_vector)) {}

    Result layer_norm(const Problem &problem, const Layout &layout, Flush flush) {
        const std::size_t size = problem.rows * problem.columns;
        simdnorm_layer_norm_args args = {};
        float *x = place(x_, size, flush);
        std::copy(problem.x.begin(), problem.x.end(), x);
        args.rows = problem.rows;
        args.columns = problem.columns;
        args.x = x;
        args.gamma = place_input(gamma_, problem.gamma, flush);
        args.beta = place_input(beta_, problem.beta, flush);
        args.epsilon = problem.epsilon;
        args.y = layout.in_place ? x : place(y_, size, flush);
        args.mean = place(mean_, problem.rows, flush);
        args.rstd = place(rstd_, problem.rows, flush);
        args.threads = layout.threads;
        args.store = layout.store;
        if (simdnorm_layer_norm(&args) != SIMDNORM_OK) {
            throw std::runtime_error(simdnorm_last_error());
        }
        return {{args.y, args.y + size}, {args.mean, args.mean + problem.rows}, {args.rstd, args.rstd + problem.rows}};
    }

  private:
    static std::size_t pages(std::size_t floats) { return floats / page_floats() + 1; }

    static float *place(GuardedPages &memory, std::size_t size, Flush flush) {
        return flush == Flush::with_start ? memory.start() : memory.flush_with_end(size);
    }

    static const float *place_input(GuardedPages &memory, const std::vector<float> &values, Flush flush) {
        float *first = place(memory, values.size(), flush);
        std::copy(values.begin(), values.end(), first);
        return values.empty() ? nullptr : first;
    }

    GuardedPages x_, y_, gamma_, beta_, mean_, rstd_;
};

constexpr Flush both_ends[] = {Flush::with_start, Flush::with_end};

// Rows on every path of the library: ordinary, in double, not finite.
Problem problem_on_every_path(std::uint64_t seed, std::size_t rows, std::size_t columns) {
    Problem problem = mixed_problem(seed, rows, columns);
    for (std::size_t row = 3; row < rows; row += 7) {
        problem.x[row * columns + columns / 2] = infinity;
    }
    return problem;
}

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

SIMDNORM_ON_EVERY_INSTRUCTION_SET(Memory);

} // namespace
} // namespace simdnorm_test
