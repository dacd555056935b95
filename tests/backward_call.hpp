// What the backward pass is asked, and the call of the library: the backward side of call.hpp.
#pragma once

#include "bits.hpp"
#include "buffer.hpp"
#include "call.hpp"
#include "families.hpp"
#include "instruction_sets.hpp"

#include <simdnorm/simdnorm.h>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace simdnorm_test {

// What is differentiated: the forward problem and dy, with what the forward pass keeps.
struct Backward {
    Problem forward;
    std::vector<float> dy;
    Result kept;

    Backward(Problem problem, std::uint64_t seed) : forward(std::move(problem)) {
        dy = normal_row(seed, forward.rows * forward.columns);
        const UseInstructionSet scalar("scalar");
        kept = layer_norm(forward);
    }
};

struct Gradients {
    std::vector<float> dx;
    std::vector<float> dgamma;
    std::vector<float> dbeta;
};

struct Wanted {
    bool dx = true;
    bool dgamma = true;
    bool dbeta = true;
};

// Rows with gaps between them, which hold canaries.
class Rows {
  public:
    // A stride of 0 is that of `columns`.
    Rows(std::size_t rows, std::size_t columns, std::size_t stride, std::size_t offset)
        : rows_(rows), columns_(columns), stride_(stride == 0 ? columns : stride),
          buffer_(rows == 0 ? 0 : (rows - 1) * stride_ + columns, offset) {}

    Rows(const std::vector<float> &values, std::size_t rows, std::size_t columns, std::size_t stride,
         std::size_t offset)
        : Rows(rows, columns, stride, offset) {
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t j = 0; j < columns; ++j) {
                buffer_.data()[row * stride_ + j] = values[row * columns + j];
            }
        }
    }

    float *data() { return buffer_.data(); }

    std::vector<float> values() const {
        std::vector<float> values;
        values.reserve(rows_ * columns_);
        for (std::size_t row = 0; row < rows_; ++row) {
            const float *first = buffer_.data() + row * stride_;
            values.insert(values.end(), first, first + columns_);
        }
        return values;
    }

    bool gaps_and_margins_untouched() const {
        for (std::size_t row = 0; row + 1 < rows_; ++row) {
            const float *first = buffer_.data() + row * stride_;
            if (!all_canaries(first + columns_, first + stride_)) {
                return false;
            }
        }
        return buffer_.margins_untouched();
    }

  private:
    std::size_t rows_;
    std::size_t columns_;
    std::size_t stride_;
    Buffer buffer_;
};

inline simdnorm_status by_the_interface(const simdnorm_layer_norm_backward_args &args) {
    return simdnorm_layer_norm_backward(&args);
}

// dy has the stride and the place that the layout has for y; dx, where it is not dy, the stride of x and the place of
// beta.
template <class Run = decltype(by_the_interface)>
Gradients layer_norm_backward(const Backward &problem, const Layout &layout = {}, const Wanted &wanted = {},
                              const Run &run = by_the_interface) {
    const std::size_t rows = problem.forward.rows;
    const std::size_t columns = problem.forward.columns;
    Rows dy(problem.dy, rows, columns, layout.y_stride, layout.y_offset);
    Rows x(problem.forward.x, rows, columns, layout.x_stride, layout.x_offset);
    Rows apart(layout.in_place || !wanted.dx ? 0 : rows, columns, layout.x_stride, layout.beta_offset);
    Rows gamma(problem.forward.gamma, problem.forward.gamma.empty() ? 0 : 1, columns, 0, layout.gamma_offset);
    Rows mean(problem.kept.mean, 1, rows, 0, 0);
    Rows rstd(problem.kept.rstd, 1, rows, 0, 0);
    Rows dgamma(wanted.dgamma ? 1 : 0, columns, 0, 0);
    Rows dbeta(wanted.dbeta ? 1 : 0, columns, 0, 0);
    Rows &dx = layout.in_place ? dy : apart;

    simdnorm_layer_norm_backward_args args = {};
    args.rows = rows;
    args.columns = columns;
    args.dy = dy.data();
    args.dy_stride = layout.y_stride;
    args.x = x.data();
    args.x_stride = layout.x_stride;
    args.gamma = problem.forward.gamma.empty() ? nullptr : gamma.data();
    args.mean = mean.data();
    args.rstd = rstd.data();
    args.dx = wanted.dx ? dx.data() : nullptr;
    args.dx_stride = layout.in_place ? layout.y_stride : layout.x_stride;
    args.dgamma = wanted.dgamma ? dgamma.data() : nullptr;
    args.dbeta = wanted.dbeta ? dbeta.data() : nullptr;
    args.threads = layout.threads;
    args.store = layout.store;
    EXPECT_EQ(run(args), SIMDNORM_OK) << simdnorm_last_error();

    for (const Rows *argument : {&dy, &x, &apart, &gamma, &mean, &rstd, &dgamma, &dbeta}) {
        EXPECT_TRUE(argument->gaps_and_margins_untouched()) << "written beside an argument: " << layout;
    }
    EXPECT_TRUE(&dx == &dy || same_bits("dy", dy.values(), problem.dy)) << "an input changed: " << layout;
    for (const auto &[name, now, before] :
         {std::tuple("x", &x, &problem.forward.x), std::tuple("gamma", &gamma, &problem.forward.gamma),
          std::tuple("mean", &mean, &problem.kept.mean), std::tuple("rstd", &rstd, &problem.kept.rstd)}) {
        EXPECT_TRUE(same_bits(name, now->values(), *before)) << "an input changed: " << layout;
    }
    return {wanted.dx ? dx.values() : std::vector<float>(), dgamma.values(), dbeta.values()};
}

// Where both have them.
inline testing::AssertionResult same_bits(const Gradients &actual, const Gradients &expected) {
    for (const auto &[name, a, e] :
         {std::tuple("dx", &actual.dx, &expected.dx), std::tuple("dgamma", &actual.dgamma, &expected.dgamma),
          std::tuple("dbeta", &actual.dbeta, &expected.dbeta)}) {
        if (auto same = same_bits(name, *a, *e); !a->empty() && !same) {
            return same;
        }
    }
    return testing::AssertionSuccess();
}

} // namespace simdnorm_test
