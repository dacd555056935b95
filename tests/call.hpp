// A problem, the ways to lay it out in memory, and the call of the library on both.
#pragma once

#include "bits.hpp"
#include "buffer.hpp"
#include "families.hpp"
#include "random.hpp"

#include <simdnorm/simdnorm.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace simdnorm_test {

// What is computed.
struct Problem {
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::vector<float> x = {};     // rows x columns, without gaps
    std::vector<float> gamma = {}; // empty: NULL
    std::vector<float> beta = {};  // empty: NULL
    double epsilon = 1e-5;
};

// How it is computed: nothing here may change a bit.
struct Layout {
    std::size_t x_stride = 0;
    std::size_t y_stride = 0;
    // floats from a 64-byte line
    std::size_t x_offset = 0;
    std::size_t y_offset = 0;
    std::size_t gamma_offset = 0;
    std::size_t beta_offset = 0;
    bool in_place = false; // y takes x's stride and offset
    bool wants_mean = true;
    bool wants_rstd = true;
    int threads = 1;
    int store = SIMDNORM_STORE_AUTO;
};

inline std::ostream &operator<<(std::ostream &out, const Layout &layout) {
    return out << "x_stride " << layout.x_stride << ", y_stride " << layout.y_stride
               << ", offsets of x, y, gamma, beta " << layout.x_offset << " " << layout.y_offset << " "
               << layout.gamma_offset << " " << layout.beta_offset << (layout.in_place ? ", in place" : "")
               << (layout.wants_mean ? "" : ", no mean") << (layout.wants_rstd ? "" : ", no rstd") << ", threads "
               << layout.threads << ", store " << layout.store;
}

struct Result {
    std::vector<float> y;
    std::vector<float> mean;
    std::vector<float> rstd;
};

inline constexpr std::array<int, 3> all_stores = {SIMDNORM_STORE_AUTO, SIMDNORM_STORE_CACHED, SIMDNORM_STORE_STREAMING};

// A call made ready: the memory is laid out beforehand, so that run() does nothing but call the library.
class Call {
  public:
    Call(const Problem &problem, const Layout &layout)
        : problem_(problem), layout_(layout), x_stride_(stride_of(layout.x_stride)),
          y_stride_(layout.in_place ? x_stride_ : stride_of(layout.y_stride)), x_(extent(x_stride_), layout.x_offset),
          y_(layout.in_place ? 0 : extent(y_stride_), layout.y_offset),
          gamma_(problem.gamma.size(), layout.gamma_offset), beta_(problem.beta.size(), layout.beta_offset),
          mean_(layout.wants_mean ? problem.rows : 0), rstd_(layout.wants_rstd ? problem.rows : 0) {
        for (std::size_t row = 0; row < problem.rows; ++row) {
            const float *source = problem.x.data() + row * problem.columns;
            std::copy_n(source, problem.columns, x_.data() + row * x_stride_);
        }
        std::copy(problem.gamma.begin(), problem.gamma.end(), gamma_.data());
        std::copy(problem.beta.begin(), problem.beta.end(), beta_.data());

        args_.rows = problem.rows;
        args_.columns = problem.columns;
        args_.x = x_.data();
        args_.x_stride = layout.x_stride;
        args_.gamma = problem.gamma.empty() ? nullptr : gamma_.data();
        args_.beta = problem.beta.empty() ? nullptr : beta_.data();
        args_.epsilon = problem.epsilon;
        args_.y = y();
        args_.y_stride = layout.in_place ? layout.x_stride : layout.y_stride;
        args_.mean = layout.wants_mean ? mean_.data() : nullptr;
        args_.rstd = layout.wants_rstd ? rstd_.data() : nullptr;
        args_.threads = layout.threads;
        args_.store = layout.store;
    }
    ~Call() = default;
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    void run() { status_ = simdnorm_layer_norm(&args_); }

    // By something else than the library's interface.
    template <class Run>
    void run(const Run &run) {
        run(args_);
        status_ = SIMDNORM_OK;
    }

    Result result() {
        if (status_ != SIMDNORM_OK) {
            throw std::runtime_error(simdnorm_last_error());
        }
        expect_nothing_else_written();
        Result result;
        result.y.resize(problem_.rows * problem_.columns);
        for (std::size_t row = 0; row < problem_.rows; ++row) {
            std::copy_n(y() + row * y_stride_, problem_.columns, result.y.data() + row * problem_.columns);
        }
        result.mean.assign(mean_.data(), mean_.data() + mean_.size());
        result.rstd.assign(rstd_.data(), rstd_.data() + rstd_.size());
        return result;
    }

  private:
    std::size_t stride_of(std::size_t stride) const { return stride == 0 ? problem_.columns : stride; }

    std::size_t extent(std::size_t stride) const {
        return problem_.rows == 0 ? 0 : (problem_.rows - 1) * stride + problem_.columns;
    }

    float *y() { return layout_.in_place ? x_.data() : y_.data(); }

    void expect_nothing_else_written() {
        for (const Buffer *buffer : {&x_, &y_, &gamma_, &beta_, &mean_, &rstd_}) {
            EXPECT_TRUE(buffer->margins_untouched()) << "written beside an argument: " << layout_;
        }
        for (std::size_t row = 0; row + 1 < problem_.rows; ++row) {
            const float *end = y() + row * y_stride_ + problem_.columns;
            EXPECT_TRUE(all_canaries(end, y() + (row + 1) * y_stride_))
                << "written after row " << row << ": " << layout_;
        }
        EXPECT_TRUE(same_bits(gamma_.data(), problem_.gamma.data(), gamma_.size())) << "gamma changed";
        EXPECT_TRUE(same_bits(beta_.data(), problem_.beta.data(), beta_.size())) << "beta changed";
        for (std::size_t row = 0; !layout_.in_place && row < problem_.rows; ++row) {
            const float *source = problem_.x.data() + row * problem_.columns;
            EXPECT_TRUE(same_bits(x_.data() + row * x_stride_, source, problem_.columns)) << "x changed";
        }
    }

    const Problem &problem_;
    const Layout layout_;
    const std::size_t x_stride_;
    const std::size_t y_stride_;
    Buffer x_, y_, gamma_, beta_, mean_, rstd_;
    simdnorm_layer_norm_args args_ = {};
    simdnorm_status status_ = SIMDNORM_OK;
};

inline Result layer_norm(const Problem &problem, const Layout &layout = {}) {
    Call call(problem, layout);
    call.run();
    return call.result();
}

// Statistics are compared where `actual` asked for them.
inline testing::AssertionResult same_bits(const Result &actual, const Result &expected) {
    if (auto same = same_bits("y", actual.y, expected.y); !same) {
        return same;
    }
    if (auto same = same_bits("mean", actual.mean, expected.mean); !actual.mean.empty() && !same) {
        return same;
    }
    if (auto same = same_bits("rstd", actual.rstd, expected.rstd); !actual.rstd.empty() && !same) {
        return same;
    }
    return testing::AssertionSuccess();
}

// Rows of different families one after another, so that rows on every path of the library stand side by side.
inline Problem mixed_problem(std::uint64_t seed, std::size_t rows, std::size_t columns) {
    Problem problem{.rows = rows, .columns = columns};
    Random random(seed);
    problem.x.reserve(rows * columns);
    for (std::size_t row = 0; row < rows; ++row) {
        // Every other row is ordinary: the paths for groups of rows want a few of those together.
        const bool ordinary = random.below(2) == 0;
        const Family &family = ordinary ? all_families().front() : all_families()[random.below(all_families().size())];
        const std::vector<float> values = family.row(random.bits(), columns);
        problem.x.insert(problem.x.end(), values.begin(), values.end());
    }
    problem.gamma = normal_row(random.bits(), columns);
    problem.beta = normal_row(random.bits(), columns);
    return problem;
}

// Ordinary rows.
inline Problem normal_problem(std::uint64_t seed, std::size_t rows, std::size_t columns) {
    Problem problem{.rows = rows, .columns = columns};
    problem.x = normal_row(seed, rows * columns);
    problem.gamma = normal_row(seed + 1, columns);
    problem.beta = normal_row(seed + 2, columns);
    return problem;
}

} // namespace simdnorm_test
