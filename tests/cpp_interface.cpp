// The C++ face: views and spans instead of pointers, exceptions instead of status codes, the same results.
#include "call.hpp"
#include "instruction_sets.hpp"

#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace simdnorm_test {
namespace {

constexpr std::size_t rows = 3;
constexpr std::size_t columns = 5;

class CppInterface : public OnInstructionSet {
  protected:
    const Problem problem_ = mixed_problem(seed_for("C++"), rows, columns);
    std::vector<float> x_ = problem_.x;
    std::vector<float> y_ = constant_row(rows * columns, 0);
    std::vector<float> mean_ = constant_row(rows, 0);
    std::vector<float> rstd_ = constant_row(rows, 0);
};

TEST_P(CppInterface, ComputesWhatTheCInterfaceComputes) {
    simdnorm::layer_norm({.x = {x_.data(), rows, columns},
                          .gamma = problem_.gamma,
                          .beta = problem_.beta,
                          .y = {y_.data(), rows, columns},
                          .mean = mean_,
                          .rstd = rstd_});
    EXPECT_TRUE(same_bits({y_, mean_, rstd_}, layer_norm(problem_)));
}

TEST_P(CppInterface, ArgumentsLeftOut) {
    Problem plain = problem_;
    plain.gamma.clear();
    plain.beta.clear();
    const Result expected = layer_norm(plain);
    simdnorm::layer_norm({.x = {x_.data(), rows, columns}, .y = {y_.data(), rows, columns}});
    EXPECT_TRUE(same_bits("y", y_, expected.y));

    simdnorm::layer_norm({.x = {x_.data(), rows, columns}, .y = {y_.data(), rows, columns}, .rstd = rstd_});
    EXPECT_TRUE(same_bits("rstd", rstd_, expected.rstd));
    EXPECT_EQ(mean_, constant_row(rows, 0));

    // An empty span that points somewhere is left out as well.
    const std::span<float> empty = std::span<float>(mean_).first(0);
    y_ = constant_row(rows * columns, 0);
    simdnorm::layer_norm({.x = {x_.data(), rows, columns},
                          .gamma = empty,
                          .beta = empty,
                          .y = {y_.data(), rows, columns},
                          .mean = empty});
    EXPECT_TRUE(same_bits("y", y_, expected.y));
    EXPECT_EQ(mean_, constant_row(rows, 0));
}

TEST_P(CppInterface, EpsilonIsPyTorchsUnlessGiven) {
    simdnorm::layer_norm({.x = {x_.data(), rows, columns}, .y = {y_.data(), rows, columns}, .rstd = rstd_});
    Problem given = problem_;
    given.epsilon = 1e-5;
    EXPECT_TRUE(same_bits("rstd", rstd_, layer_norm(given).rstd));

    given.epsilon = 3;
    simdnorm::layer_norm(
        {.x = {x_.data(), rows, columns}, .epsilon = 3, .y = {y_.data(), rows, columns}, .rstd = rstd_});
    EXPECT_TRUE(same_bits("rstd", rstd_, layer_norm(given).rstd));
}

TEST_P(CppInterface, Strides) {
    constexpr std::size_t x_stride = columns + 2, y_stride = columns + 4;
    std::vector<float> x(rows * x_stride, canary()), y(rows * y_stride, canary());
    for (std::size_t row = 0; row < rows; ++row) {
        std::copy_n(problem_.x.begin() + static_cast<std::ptrdiff_t>(row * columns), columns,
                    x.begin() + static_cast<std::ptrdiff_t>(row * x_stride));
    }
    simdnorm::layer_norm({.x = {x.data(), rows, columns, x_stride},
                          .gamma = problem_.gamma,
                          .beta = problem_.beta,
                          .y = {y.data(), rows, columns, y_stride}});
    const Result expected = layer_norm(problem_);
    for (std::size_t row = 0; row < rows; ++row) {
        const float *of_row = y.data() + row * y_stride;
        EXPECT_TRUE(same_bits(of_row, expected.y.data() + row * columns, columns));
        EXPECT_TRUE(all_canaries(of_row + columns, of_row + y_stride));
    }
}

TEST_P(CppInterface, InPlaceThreadsAndStores) {
    const Result expected = layer_norm(problem_);
    for (const simdnorm::store store :
         {simdnorm::store::automatic, simdnorm::store::cached, simdnorm::store::streaming}) {
        std::vector<float> matrix = problem_.x;
        const simdnorm::matrix_view<float> view = {matrix.data(), rows, columns};
        simdnorm::layer_norm(
            {.x = view, .gamma = problem_.gamma, .beta = problem_.beta, .y = view, .threads = 2, .store = store});
        EXPECT_TRUE(same_bits("y", matrix, expected.y));
    }
}

TEST_P(CppInterface, NoRows) {
    simdnorm::layer_norm({.x = {nullptr, 0, columns}, .gamma = problem_.gamma, .y = {nullptr, 0, columns}});
    EXPECT_THROW(simdnorm::layer_norm({.x = {nullptr, 0, 0}, .y = {nullptr, 0, 0}}), simdnorm::error);
}

TEST_P(CppInterface, NamesTheInstructionSet) {
    EXPECT_EQ(simdnorm::instruction_set(), GetParam());
    EXPECT_TRUE(simdnorm::has_instruction_set(GetParam()));
    EXPECT_FALSE(simdnorm::has_instruction_set("nonsense"));
    EXPECT_EQ(simdnorm::version(), simdnorm_version());
    simdnorm::use_instruction_set("scalar");
    EXPECT_EQ(simdnorm::instruction_set(), "scalar");
    simdnorm::use_instruction_set(GetParam());
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(CppInterface);

// The exception carries the status and the message; nothing is written.
void expect_error(const std::function<void()> &call, simdnorm_status status, const std::vector<std::string> &words) {
    try {
        call();
        ADD_FAILURE() << "no exception";
    } catch (const simdnorm::error &error) {
        EXPECT_EQ(error.status(), status);
        for (const std::string &word : words) {
            EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << word << " in: " << error.what();
        }
    }
}

TEST(CppErrors, OfTheCInterface) {
    const std::vector<float> x(rows * columns, 1);
    std::vector<float> y(rows * columns, canary());
    const auto with_epsilon = [&] {
        simdnorm::layer_norm({.x = {x.data(), rows, columns}, .epsilon = -2, .y = {y.data(), rows, columns}});
    };
    expect_error(with_epsilon, SIMDNORM_INVALID_ARGUMENT, {"epsilon", "-2"});
    EXPECT_STREQ(simdnorm_last_error(),
                 [&] {
                     try {
                         with_epsilon();
                     } catch (const std::runtime_error &error) {
                         return std::string(error.what());
                     }
                     return std::string();
                 }()
                     .c_str());
    expect_error(
        [&] {
            simdnorm::layer_norm(
                {.x = {x.data(), rows, columns, columns - 1}, .y = {y.data(), rows, columns}, .threads = 1});
        },
        SIMDNORM_INVALID_ARGUMENT, {"x_stride", "4"});
    expect_error([] { simdnorm::use_instruction_set("nonsense"); }, SIMDNORM_INVALID_ARGUMENT, {"nonsense"});
    for (const std::string &name : all_instruction_sets()) {
        if (!simdnorm::has_instruction_set(name)) {
            expect_error([&] { simdnorm::use_instruction_set(name); }, SIMDNORM_UNSUPPORTED, {name});
        }
    }
    EXPECT_TRUE(all_canaries(y.data(), y.data() + y.size()));
}

TEST(CppErrors, SizesThatDoNotFit) {
    const std::vector<float> x(rows * columns, 1), long_input(100, 1);
    std::vector<float> y(100, canary()), output(100, canary());
    const auto expect_mismatch = [&](auto spoil, const std::vector<std::string> &words) {
        simdnorm::layer_norm_args args;
        args.x = {x.data(), rows, columns};
        args.y = {y.data(), rows, columns};
        spoil(args);
        expect_error([&] { simdnorm::layer_norm(args); }, SIMDNORM_INVALID_ARGUMENT, words);
        EXPECT_TRUE(all_canaries(y.data(), y.data() + y.size()) &&
                    all_canaries(output.data(), output.data() + output.size()));
    };
    const std::span<const float> input = long_input;
    const std::span<float> out = output;
    using Args = simdnorm::layer_norm_args;
    expect_mismatch([&](Args &a) { a.y.rows = rows + 1; }, {"y", "4", "rows", "3"});
    expect_mismatch([&](Args &a) { a.y.rows = rows - 1; }, {"y", "2", "rows", "3"});
    expect_mismatch([&](Args &a) { a.y.columns = columns + 1; }, {"y", "6", "columns", "5"});
    expect_mismatch([&](Args &a) { a.y.columns = columns - 1; }, {"y", "4", "columns", "5"});
    for (const std::size_t size : {columns - 1, columns + 1, rows}) {
        expect_mismatch([&](Args &a) { a.gamma = input.first(size); }, {"gamma", std::to_string(size), "5"});
        expect_mismatch([&](Args &a) { a.beta = input.first(size); }, {"beta", std::to_string(size), "5"});
    }
    for (const std::size_t size : {rows - 1, rows + 1, columns}) {
        expect_mismatch([&](Args &a) { a.mean = out.first(size); }, {"mean", std::to_string(size), "3"});
        expect_mismatch([&](Args &a) { a.rstd = out.first(size); }, {"rstd", std::to_string(size), "3"});
    }
}

std::string message_of(const std::function<void()> &call) {
    try {
        call();
    } catch (const simdnorm::error &error) {
        return error.what();
    }
    return "none";
}

TEST(CppErrors, ArgumentsLeftOut) {
    std::vector<float> matrix(rows * columns, canary());
    EXPECT_EQ(message_of([&] {
                  simdnorm::layer_norm({.x = {}, .y = {matrix.data(), rows, columns}});
              }),
              "simdnorm::layer_norm: x is left out");
    EXPECT_EQ(message_of([&] {
                  simdnorm::layer_norm({.x = {matrix.data(), rows, columns}, .y = {}});
              }),
              "simdnorm::layer_norm: y is left out");
    EXPECT_EQ(message_of([&] {
                  simdnorm::layer_norm({.x = {nullptr, rows, columns}, .y = {matrix.data(), rows, columns}});
              }),
              "simdnorm_layer_norm: x is NULL");
    EXPECT_TRUE(all_canaries(matrix.data(), matrix.data() + matrix.size()));
}

TEST(CppTypes, ViewsAndErrors) {
    static_assert(std::is_base_of_v<std::runtime_error, simdnorm::error>);
    static_assert(std::is_convertible_v<simdnorm::matrix_view<float>, simdnorm::matrix_view<const float>>);
    static_assert(!std::is_convertible_v<simdnorm::matrix_view<const float>, simdnorm::matrix_view<float>>);
    float element = 0;
    const simdnorm::matrix_view<const float> view = simdnorm::matrix_view<float>(&element, 1, 2, 3);
    EXPECT_EQ(view.data, &element);
    EXPECT_EQ(view.rows, 1u);
    EXPECT_EQ(view.columns, 2u);
    EXPECT_EQ(view.stride, 3u);
}

TEST(CppInterfaceBackward, BackwardGivesTheBitsOfC) {
    const std::vector<float> x = {1, 2, 3, 5, 8, 13}, dy = {1, 0, 2, -1, 3, 1}, gamma = {1, 2, 3};
    std::vector<float> y(6), mean(2), rstd(2), dx(6), dgamma(3), dbeta(3);
    simdnorm::layer_norm({.x = {x.data(), 2, 3}, .y = {y.data(), 2, 3}, .mean = mean, .rstd = rstd});
    simdnorm::layer_norm_backward({.dy = {dy.data(), 2, 3},
                                   .x = {x.data(), 2, 3},
                                   .gamma = gamma,
                                   .mean = mean,
                                   .rstd = rstd,
                                   .dx = {dx.data(), 2, 3},
                                   .dgamma = dgamma,
                                   .dbeta = dbeta});
    simdnorm_layer_norm_backward_args args = {};
    std::vector<float> expected_dx(6), expected_dgamma(3), expected_dbeta(3);
    args.rows = 2;
    args.columns = 3;
    args.dy = dy.data();
    args.x = x.data();
    args.gamma = gamma.data();
    args.mean = mean.data();
    args.rstd = rstd.data();
    args.dx = expected_dx.data();
    args.dgamma = expected_dgamma.data();
    args.dbeta = expected_dbeta.data();
    ASSERT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OK);
    EXPECT_EQ(dx, expected_dx);
    EXPECT_EQ(dgamma, expected_dgamma);
    EXPECT_EQ(dbeta, (std::vector<float>{0, 3, 3}));
    EXPECT_EQ(dbeta, expected_dbeta);
}

TEST(CppInterfaceBackward, BackwardTellsWhatIsLeftOutAndWhichShapeDoesNotFit) {
    std::vector<float> values(6), row(2);
    using Args = simdnorm::layer_norm_backward_args;
    const auto message = [&](auto spoil) {
        Args args = {.dy = {values.data(), 2, 3}, .x = {values.data(), 2, 3}, .mean = row, .rstd = row};
        spoil(args);
        return message_of([&] { simdnorm::layer_norm_backward(args); });
    };
    EXPECT_EQ(message([](Args &) {}), "none");
    EXPECT_EQ(message([](Args &a) { a.dy = {}; }), "simdnorm::layer_norm_backward: dy is left out");
    EXPECT_EQ(message([](Args &a) { a.x = {}; }), "simdnorm::layer_norm_backward: x is left out");
    EXPECT_EQ(message([](Args &a) { a.mean = {}; }), "simdnorm::layer_norm_backward: mean is left out");
    EXPECT_EQ(message([](Args &a) { a.rstd = {}; }), "simdnorm::layer_norm_backward: rstd is left out");
    EXPECT_EQ(message([](Args &a) { a.dy.rows = 1; }), "simdnorm::layer_norm_backward: dy has 1 rows; x has 2");
    EXPECT_EQ(message([](Args &a) { a.rstd = a.rstd.first(1); }),
              "simdnorm::layer_norm_backward: rstd has 1 rows; x has 2");
    EXPECT_EQ(message([&](Args &a) { a.dgamma = values; }),
              "simdnorm::layer_norm_backward: dgamma has 6 elements; x has 3 columns");
    // No rows: nothing is left out.
    EXPECT_EQ(message([](Args &a) {
                  a.dy.rows = a.x.rows = 0;
                  a.mean = a.rstd = {};
              }),
              "none");
}

} // namespace
} // namespace simdnorm_test
