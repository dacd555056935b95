// What the backward pass is asked, and the call of the library: the backward side of call.hpp.
#pragma once

#include "bits.hpp"
#include "buffer.hpp"
#include "call.hpp"
#include "families.hpp"
#include "instruction_sets.hpp"

#include <simdnorm/simdnorm.h>

#include <gtest/gtest.h>

#include <algorithm>
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

// dy and dx have the stride and the place that the layout has for y.
inline Gradients layer_norm_backward(const Backward &problem, const Layout &layout = {}, const Wanted &wanted = {}) {
    const std::size_t rows = problem.forward.rows;
    const std::size_t columns = problem.forward.columns;
    const std::size_t x_stride = std::max(layout.x_stride, columns);
    const std::size_t dy_stride = std::max(layout.y_stride, columns);
    const auto extent = [&](std::size_t stride) { return rows == 0 ? 0 : (rows - 1) * stride + columns; };
    Buffer x(extent(x_stride), layout.x_offset);
    Buffer dy(extent(dy_stride), layout.y_offset);
    Buffer apart(extent(dy_stride), layout.y_offset);
    Buffer dgamma(wanted.dgamma ? columns : 0);
    Buffer dbeta(wanted.dbeta ? columns : 0);
    for (std::size_t row = 0; row < rows; ++row) {
        std::copy_n(problem.forward.x.data() + row * columns, columns, x.data() + row * x_stride);
        std::copy_n(problem.dy.data() + row * columns, columns, dy.data() + row * dy_stride);
    }
    float *dx = layout.in_place ? dy.data() : apart.data();

    simdnorm_layer_norm_backward_args args = {};
    args.rows = rows;
    args.columns = columns;
    args.dy = dy.data();
    args.dy_stride = layout.y_stride;
    args.x = x.data();
    args.x_stride = layout.x_stride;
    args.gamma = problem.forward.gamma.empty() ? nullptr : problem.forward.gamma.data();
    args.mean = problem.kept.mean.data();
    args.rstd = problem.kept.rstd.data();
    args.dx = wanted.dx ? dx : nullptr;
    args.dx_stride = layout.y_stride;
    args.dgamma = wanted.dgamma ? dgamma.data() : nullptr;
    args.dbeta = wanted.dbeta ? dbeta.data() : nullptr;
    args.threads = layout.threads;
    args.store = layout.store;
    EXPECT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OK) << simdnorm_last_error();

    for (const Buffer *buffer : {&x, &dy, &apart, &dgamma, &dbeta}) {
        EXPECT_TRUE(buffer->margins_untouched()) << "written beside an argument: " << layout;
    }
    Gradients result;
    for (std::size_t row = 0; wanted.dx && row < rows; ++row) {
        const float *first = dx + row * dy_stride;
        result.dx.insert(result.dx.end(), first, first + columns);
        EXPECT_TRUE(row + 1 == rows || all_canaries(first + columns, first + dy_stride)) << "written after row " << row;
    }
    result.dgamma.assign(dgamma.data(), dgamma.data() + dgamma.size());
    result.dbeta.assign(dbeta.data(), dbeta.data() + dbeta.size());
    return result;
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
