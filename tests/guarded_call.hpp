// Calls of both passes with every argument between forbidden pages of its own.
#pragma once

#include "backward_call.hpp"
#include "call.hpp"
#include "guarded_buffer.hpp"

#include <simdnorm/simdnorm.h>

#include <cstddef>
#include <stdexcept>
#include <vector>

namespace simdnorm_test {

// Rows on every path of the library: ordinary, in double, not finite.
inline Problem problem_on_every_path(std::uint64_t seed, std::size_t rows, std::size_t columns) {
    Problem problem = mixed_problem(seed, rows, columns);
    for (std::size_t row = 3; row < rows; row += 7) {
        problem.x[row * columns + columns / 2] = infinity;
    }
    return problem;
}

inline void call_library(const simdnorm_layer_norm_args &args) {
    if (simdnorm_layer_norm(&args) != SIMDNORM_OK) {
        throw std::runtime_error(simdnorm_last_error());
    }
}

// Of the layout, what does not say where arguments lie counts.
class GuardedCall {
  public:
    GuardedCall(std::size_t largest_matrix, std::size_t longest_vector)
        : x_(largest_matrix), y_(largest_matrix), gamma_(longest_vector), beta_(longest_vector), mean_(longest_vector),
          rstd_(longest_vector) {}

    // By something else than the library's interface, if `run` says so.
    template <class Run = void (*)(const simdnorm_layer_norm_args &)>
    Result layer_norm(const Problem &problem, const Layout &layout, Flush flush, const Run &run = call_library) {
        const std::size_t size = problem.rows * problem.columns;
        simdnorm_layer_norm_args args = {};
        float *x = x_.place(problem.x, flush);
        args.rows = problem.rows;
        args.columns = problem.columns;
        args.x = x;
        args.gamma = gamma_.place(problem.gamma, flush);
        args.beta = beta_.place(problem.beta, flush);
        args.epsilon = problem.epsilon;
        args.y = layout.in_place ? x : y_.place(size, flush);
        args.mean = mean_.place(problem.rows, flush);
        args.rstd = rstd_.place(problem.rows, flush);
        args.threads = layout.threads;
        args.store = layout.store;
        run(args);
        return {{args.y, args.y + size}, {args.mean, args.mean + problem.rows}, {args.rstd, args.rstd + problem.rows}};
    }

  private:
    GuardedArray x_, y_, gamma_, beta_, mean_, rstd_;
};

class GuardedBackwardCall {
  public:
    GuardedBackwardCall(std::size_t largest_matrix, std::size_t longest_vector)
        : dy_(largest_matrix), x_(largest_matrix), dx_(largest_matrix), gamma_(longest_vector), mean_(longest_vector),
          rstd_(longest_vector), dgamma_(longest_vector), dbeta_(longest_vector) {}

    // Likewise.
    template <class Run = decltype(by_the_interface)>
    Gradients layer_norm_backward(const Backward &problem, const Layout &layout, const Wanted &wanted, Flush flush,
                                  const Run &run = by_the_interface) {
        const std::size_t columns = problem.forward.columns;
        const std::size_t size = problem.forward.rows * columns;
        simdnorm_layer_norm_backward_args args = {};
        float *dy = dy_.place(problem.dy, flush);
        args.rows = problem.forward.rows;
        args.columns = columns;
        args.dy = dy;
        args.x = x_.place(problem.forward.x, flush);
        args.gamma = gamma_.place(problem.forward.gamma, flush);
        args.mean = mean_.place(problem.kept.mean, flush);
        args.rstd = rstd_.place(problem.kept.rstd, flush);
        args.dx = !wanted.dx ? nullptr : layout.in_place ? dy : dx_.place(size, flush);
        args.dgamma = wanted.dgamma ? dgamma_.place(columns, flush) : nullptr;
        args.dbeta = wanted.dbeta ? dbeta_.place(columns, flush) : nullptr;
        args.threads = layout.threads;
        args.store = layout.store;
        if (run(args) != SIMDNORM_OK) {
            throw std::runtime_error(simdnorm_last_error());
        }
        const auto values = [](const float *first, std::size_t count) {
            return first != nullptr ? std::vector<float>(first, first + count) : std::vector<float>();
        };
        return {values(args.dx, size), values(args.dgamma, columns), values(args.dbeta, columns)};
    }

  private:
    GuardedArray dy_, x_, dx_, gamma_, mean_, rstd_, dgamma_, dbeta_;
};

} // namespace simdnorm_test
