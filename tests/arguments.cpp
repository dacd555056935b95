// Calls that must fail: their status, their message, and that nothing has been written. And calls close to those that
// must succeed.
#include "bits.hpp"
#include "buffer.hpp"

#include <simdnorm/simdnorm.h>

#include <gtest/gtest.h>

#include <cctype>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace simdnorm_test {
namespace {

constexpr std::size_t rows = 5;
constexpr std::size_t columns = 7;

// A sound call in memory of its own, prefilled with canaries; tests spoil it.
class SoundCall {
  public:
    SoundCall() {
        args.rows = rows;
        args.columns = columns;
        args.x = x_.data();
        args.gamma = gamma_.data();
        args.beta = beta_.data();
        args.epsilon = 1e-5;
        args.y = y_.data();
        args.mean = mean_.data();
        args.rstd = rstd_.data();
    }

    bool untouched() const {
        for (const Buffer *buffer : {&x_, &gamma_, &beta_, &y_, &mean_, &rstd_}) {
            if (!buffer->margins_untouched() || !all_canaries(buffer->data(), buffer->data() + buffer->size())) {
                return false;
            }
        }
        return true;
    }

    simdnorm_layer_norm_args args = {};

  private:
    // Canaries are NaN, so x is one as well: the checks come before any arithmetic.
    Buffer x_{rows * columns}, gamma_{columns}, beta_{columns}, y_{rows * columns}, mean_{rows}, rstd_{rows};
};

// Not a plain strstr: "x" must not be found in "x_stride" or "columns" in "xcolumns".
bool mentions(const std::string &message, const std::string &word) {
    const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    for (std::size_t at = message.find(word); at != std::string::npos; at = message.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if ((at == 0 || !is_part(message[at - 1])) && (end == message.size() || !is_part(message[end]))) {
            return true;
        }
    }
    return false;
}

void expect_failure(const simdnorm_layer_norm_args *args, const std::vector<std::string> &words) {
    EXPECT_EQ(simdnorm_layer_norm(args), SIMDNORM_INVALID_ARGUMENT);
    const std::string message = simdnorm_last_error();
    EXPECT_TRUE(mentions(message, "simdnorm_layer_norm")) << message;
    for (const std::string &word : words) {
        EXPECT_TRUE(mentions(message, word)) << "no \"" << word << "\" in: " << message;
    }
}

std::string address_of(const float *pointer) {
    char text[64];
    std::snprintf(text, sizeof text, "%p", static_cast<const void *>(pointer));
    return text;
}

template <class Pointer>
Pointer moved_by_bytes(Pointer pointer, std::size_t bytes) {
    return reinterpret_cast<Pointer>(reinterpret_cast<std::uintptr_t>(pointer) + bytes);
}

struct BadCall {
    const char *name;
    void (*spoil)(simdnorm_layer_norm_args &);
    std::vector<std::string> words; // the argument and its value
    bool fails_without_rows = true; // with rows 0 as well
};

std::ostream &operator<<(std::ostream &out, const BadCall &bad) {
    return out << bad.name;
}

using Args = simdnorm_layer_norm_args;

constexpr std::size_t too_many = PTRDIFF_MAX / sizeof(float) + 1;    // floats for one array
constexpr std::size_t too_far = PTRDIFF_MAX / sizeof(float) / 4 + 1; // from each of five rows to the next
constexpr std::size_t wraps = SIZE_MAX / sizeof(float) + 1;          // in bytes, a whole address space

const BadCall bad_calls[] = {
    {"no_columns", [](Args &a) { a.columns = 0; }, {"columns", "0"}},
    {"x_missing", [](Args &a) { a.x = nullptr; }, {"x", "NULL"}, false},
    {"y_missing", [](Args &a) { a.y = nullptr; }, {"y", "NULL"}, false},
    {"epsilon_negative", [](Args &a) { a.epsilon = -1e-5; }, {"epsilon", "is -1e-05;"}},
    {"epsilon_negative_denormal", [](Args &a) { a.epsilon = -5e-324; }, {"epsilon"}},
    {"epsilon_infinite", [](Args &a) { a.epsilon = HUGE_VAL; }, {"epsilon", "inf"}},
    {"epsilon_minus_infinite", [](Args &a) { a.epsilon = -HUGE_VAL; }, {"epsilon", "inf"}},
    {"epsilon_nan", [](Args &a) { a.epsilon = std::numeric_limits<double>::quiet_NaN(); }, {"epsilon", "nan"}},
    {"x_stride_below_columns", [](Args &a) { a.x_stride = columns - 1; }, {"x_stride", "6", "7"}},
    {"x_stride_one", [](Args &a) { a.x_stride = 1; }, {"x_stride", "1"}},
    {"y_stride_below_columns", [](Args &a) { a.y_stride = columns - 1; }, {"y_stride", "6", "7"}},
    {"threads_negative", [](Args &a) { a.threads = -1; }, {"threads", "-1"}},
    {"threads_least", [](Args &a) { a.threads = INT_MIN; }, {"threads", "-2147483648"}},
    {"store_unknown", [](Args &a) { a.store = 3; }, {"store", "3"}},
    {"store_negative", [](Args &a) { a.store = -1; }, {"store", "-1"}},
    {"store_largest", [](Args &a) { a.store = INT_MAX; }, {"store", "2147483647"}},
    {"x_stride_too_large", [](Args &a) { a.x_stride = too_far; }, {"x", std::to_string(too_far)}, false},
    {"y_stride_too_large", [](Args &a) { a.y_stride = too_far; }, {"y", std::to_string(too_far)}, false},
    {"x_stride_wraps_to_a_small_size", [](Args &a) { a.x_stride = wraps; }, {"x", std::to_string(wraps)}, false},
    {"y_stride_largest", [](Args &a) { a.y_stride = SIZE_MAX; }, {"y", std::to_string(SIZE_MAX)}, false},
    {"columns_too_many", [](Args &a) { a.columns = too_many; }, {"x", "columns", std::to_string(too_many)}, false},
    {"columns_largest", [](Args &a) { a.columns = SIZE_MAX; }, {"x", "columns", std::to_string(SIZE_MAX)}, false},
    {"rows_too_many", [](Args &a) { a.rows = too_many / columns + 1; }, {"x", "rows"}, false},
    {"rows_largest", [](Args &a) { a.rows = SIZE_MAX; }, {"x", "rows", std::to_string(SIZE_MAX)}, false},
    {"rows_whose_product_wraps_to_0", [](Args &a) { a.rows = a.columns = SIZE_MAX / 2 + 1; }, {"x", "rows"}, false},
};

class BadCalls : public testing::TestWithParam<BadCall> {};

TEST_P(BadCalls, FailAndWriteNothing) {
    SoundCall call;
    GetParam().spoil(call.args);
    expect_failure(&call.args, GetParam().words);
    EXPECT_TRUE(call.untouched());
}

TEST_P(BadCalls, AreJudgedWithoutRowsToo) {
    SoundCall call;
    GetParam().spoil(call.args);
    call.args.rows = 0;
    if (GetParam().fails_without_rows) {
        expect_failure(&call.args, GetParam().words);
    } else {
        call.args.gamma = call.args.beta = nullptr; // which may be too long as well
        EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
    }
    EXPECT_TRUE(call.untouched());
}

INSTANTIATE_TEST_SUITE_P(Arguments, BadCalls, testing::ValuesIn(bad_calls),
                         [](const testing::TestParamInfo<BadCall> &bad) { return std::string(bad.param.name); });

TEST(Arguments, Missing) {
    expect_failure(nullptr, {"args", "NULL"});
}

TEST(Arguments, NotAlignedToFloats) {
    for (std::size_t bytes = 1; bytes < sizeof(float); ++bytes) {
        const auto expect_misaligned = [&](const char *name, auto Args::*member) {
            SoundCall call;
            call.args.*member = moved_by_bytes(call.args.*member, bytes);
            expect_failure(&call.args, {name, address_of(call.args.*member)});
            EXPECT_TRUE(call.untouched());
            call.args.rows = 0;
            expect_failure(&call.args, {name, address_of(call.args.*member)});
        };
        expect_misaligned("x", &Args::x);
        expect_misaligned("y", &Args::y);
        expect_misaligned("gamma", &Args::gamma);
        expect_misaligned("beta", &Args::beta);
        expect_misaligned("mean", &Args::mean);
        expect_misaligned("rstd", &Args::rstd);
    }
}

TEST(Arguments, AtTheirLimits) {
    SoundCall call;
    call.args.rows = 1;
    for (const std::size_t stride :
         {std::size_t{0}, columns, columns + 1, std::size_t{PTRDIFF_MAX}, std::size_t{SIZE_MAX}}) {
        call.args.x_stride = call.args.y_stride = stride; // of one row, a stride leads nowhere
        EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
    }
    call.args.x_stride = call.args.y_stride = 0;
    for (const double epsilon : {0.0, -0.0, 5e-324, std::numeric_limits<double>::max()}) {
        call.args.epsilon = epsilon;
        EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
    }
    call.args.epsilon = 1;
    for (const int threads : {0, 1, 2, 1000, INT_MAX}) {
        call.args.threads = threads;
        EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
    }
    call.args.gamma = call.args.beta = nullptr;
    call.args.mean = call.args.rstd = nullptr;
    EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
}

// One piece of memory from which tests cut overlapping arguments.
class Arena {
  public:
    Arena() : buffer_(400) {}

    float *at(std::size_t element) { return buffer_.data() + element; }

    bool untouched() const {
        return buffer_.margins_untouched() && all_canaries(buffer_.data(), buffer_.data() + buffer_.size());
    }

    // The status counts here, and after a failure that nothing has been written.
    void expect(bool succeeds, const Args &args, const std::vector<std::string> &words, const std::string &what) {
        const Arena before = *this;
        const simdnorm_status status = simdnorm_layer_norm(&args);
        EXPECT_EQ(status, succeeds ? SIMDNORM_OK : SIMDNORM_INVALID_ARGUMENT)
            << what << (status == SIMDNORM_OK ? "" : simdnorm_last_error());
        if (status == SIMDNORM_INVALID_ARGUMENT) {
            EXPECT_TRUE(same_bits(buffer_.data(), before.buffer_.data(), buffer_.size())) << what;
            for (const std::string &word : words) {
                EXPECT_TRUE(mentions(simdnorm_last_error(), word)) << what << ": " << simdnorm_last_error();
            }
        }
    }

  private:
    Buffer buffer_;
};

// One argument of a call in an arena: its name, its pointer, and the elements from its first to its last.
struct Argument {
    std::string name;
    std::function<void(Args &, float *)> place;
    std::size_t extent;
};

const std::vector<Argument> &all_arguments() {
    static const std::vector<Argument> arguments = {
        {"x", [](Args &a, float *p) { a.x = p; }, rows * columns},
        {"y", [](Args &a, float *p) { a.y = p; }, rows * columns},
        {"gamma", [](Args &a, float *p) { a.gamma = p; }, columns},
        {"beta", [](Args &a, float *p) { a.beta = p; }, columns},
        {"mean", [](Args &a, float *p) { a.mean = p; }, rows},
        {"rstd", [](Args &a, float *p) { a.rstd = p; }, rows},
    };
    return arguments;
}

bool is_output(const Argument &argument) {
    return argument.name == "y" || argument.name == "mean" || argument.name == "rstd";
}

TEST(Overlap, OfAnOutputWithAnyOtherArgumentByOneElementFails) {
    for (const Argument &output : all_arguments()) {
        for (const Argument &other : all_arguments()) {
            if (!is_output(output) || output.name == other.name) {
                continue;
            }
            const std::string what = output.name + " and " + other.name + ": ";
            constexpr std::size_t place = 200;
            const auto expect = [&](bool succeeds, std::size_t element) {
                SoundCall call;
                Arena arena;
                other.place(call.args, arena.at(place));
                output.place(call.args, arena.at(element));
                arena.expect(succeeds, call.args, {output.name, other.name}, what);
            };
            expect(true, place - output.extent);
            expect(false, place - output.extent + 1);
            expect(false, place + other.extent - 1);
            expect(true, place + other.extent);
            // One inside the other, and both in one place: allowed for y and x alone.
            expect(false, place + other.extent / 2);
            const bool in_place = output.name == "y" && other.name == "x";
            expect(in_place, place);
        }
    }
}

TEST(Overlap, OfInputsIsAllowed) {
    SoundCall call;
    Arena arena;
    call.args.x = arena.at(0);
    call.args.gamma = arena.at(3);
    call.args.beta = arena.at(3);
    EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
    EXPECT_TRUE(arena.untouched());
}

// An output left out lies nowhere.
TEST(Overlap, OfWhatIsLeftOutIsNone) {
    SoundCall call;
    Arena arena;
    call.args.x = arena.at(0);
    call.args.y = arena.at(rows * columns);
    call.args.gamma = call.args.beta = nullptr;
    call.args.mean = call.args.rstd = nullptr;
    EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
}

TEST(Overlap, WithoutRowsIsNone) {
    SoundCall call;
    Arena arena;
    call.args.rows = 0;
    call.args.x = arena.at(0);
    call.args.y = arena.at(1);
    call.args.mean = call.args.rstd = arena.at(2);
    EXPECT_EQ(simdnorm_layer_norm(&call.args), SIMDNORM_OK) << simdnorm_last_error();
    EXPECT_TRUE(arena.untouched());
}

// A matrix is the range from its first element to its last: the gaps between its rows belong to it, what lies behind
// its last row does not.
TEST(Overlap, WithTheGapsOfAMatrix) {
    constexpr std::size_t stride = columns + 20;
    constexpr std::size_t last = (rows - 1) * stride + columns;
    for (const Argument &output : all_arguments()) {
        if (output.name != "mean" && output.name != "rstd") {
            continue;
        }
        for (const bool of_x : {true, false}) {
            const auto expect = [&](bool succeeds, std::size_t element) {
                SoundCall call;
                Arena arena;
                (of_x ? call.args.x_stride : call.args.y_stride) = stride;
                if (of_x) {
                    call.args.x = arena.at(50);
                } else {
                    call.args.y = arena.at(50);
                }
                output.place(call.args, arena.at(50 + element));
                arena.expect(succeeds, call.args, {output.name, of_x ? "x" : "y"}, output.name + " in a gap: ");
            };
            expect(false, columns);      // between the first two rows
            expect(false, last - 1);     // the last element
            expect(true, last);          // behind the last row, where a next one's gap would be
            expect(true, last + stride); // far behind
        }
    }
    SoundCall call;
    Arena arena;
    call.args.y = arena.at(50);
    call.args.y_stride = stride;
    call.args.gamma = arena.at(50 + columns + 3);
    arena.expect(false, call.args, {"y", "gamma"}, "gamma in a gap of y: ");
}

struct Views {
    std::size_t rows, columns, x_stride, y_stride;
};

std::ostream &operator<<(std::ostream &out, const Views &views) {
    return out << views.rows << " x " << views.columns << ", strides " << views.x_stride << " and " << views.y_stride;
}

std::set<std::size_t> elements(std::size_t first, std::size_t count, std::size_t length, std::size_t stride) {
    std::set<std::size_t> all;
    for (std::size_t row = 0; row < count; ++row) {
        for (std::size_t j = 0; j < length; ++j) {
            all.insert(first + row * stride + j);
        }
    }
    return all;
}

// The rule for x and y, told with sets of elements.
bool views_are_allowed(const Views &views, std::size_t x, std::size_t y) {
    const std::set<std::size_t> of_x = elements(x, views.rows, views.columns, views.x_stride);
    const std::set<std::size_t> of_y = elements(y, views.rows, views.columns, views.y_stride);
    if (*of_x.rbegin() < *of_y.begin() || *of_y.rbegin() < *of_x.begin()) {
        return true;
    }
    if (views.x_stride != views.y_stride) {
        return x == y && views.rows == 1;
    }
    std::size_t shared = 0;
    for (const std::size_t element : of_y) {
        shared += of_x.count(element);
    }
    return x == y || shared == 0;
}

// Column slices, shifted rows, interleaved rows: every distance of y from x.
TEST(Overlap, OfViewsOfOneMatrix) {
    const Views all_views[] = {{1, 7, 7, 7}, {1, 7, 9, 12},  {2, 5, 5, 5},   {3, 5, 10, 10}, {3, 5, 11, 11},
                               {3, 5, 9, 9}, {4, 3, 20, 20}, {3, 5, 10, 11}, {3, 4, 8, 16},  {2, 4, 16, 8},
                               {2, 1, 2, 2}, {5, 1, 1, 1},   {3, 1, 4, 2},   {6, 2, 6, 6}};
    for (const Views &views : all_views) {
        constexpr std::size_t x = 150;
        std::size_t allowed = 0;
        for (std::size_t y = 50; y <= 250; ++y) {
            Arena arena;
            Args args = {};
            args.rows = views.rows;
            args.columns = views.columns;
            args.x = arena.at(x);
            args.x_stride = views.x_stride;
            args.y = arena.at(y);
            args.y_stride = views.y_stride;
            const bool succeeds = views_are_allowed(views, x, y);
            std::ostringstream what;
            what << views << ", y " << y << " for x " << x << ": ";
            arena.expect(succeeds, args, {"y", "x"}, what.str());
            allowed += succeeds ? 1 : 0;
        }
        EXPECT_TRUE(0 < allowed && allowed < 201) << views;
    }
}

// A stride of 0 is the stride of `columns`.
TEST(Overlap, StrideLeftOutInPlace) {
    Arena arena;
    SoundCall call;
    call.args.x = call.args.y = arena.at(100);
    call.args.x_stride = columns;
    arena.expect(true, call.args, {}, "x_stride given: ");
    call.args.x_stride = 0;
    call.args.y_stride = columns;
    arena.expect(true, call.args, {}, "y_stride given: ");
    call.args.y_stride = columns + 1;
    arena.expect(false, call.args, {"y", "x", "stride", std::to_string(columns + 1), std::to_string(columns)},
                 "another stride in place: ");
    call.args.rows = 1;
    arena.expect(true, call.args, {}, "another stride in place, one row: ");
}

TEST(Status, EachHasAMessageOfItsOwn) {
    std::set<std::string> messages;
    for (const int status : {SIMDNORM_OK, SIMDNORM_INVALID_ARGUMENT, SIMDNORM_UNSUPPORTED, SIMDNORM_OUT_OF_MEMORY}) {
        ASSERT_NE(simdnorm_status_message(status), nullptr);
        EXPECT_STRNE(simdnorm_status_message(status), "");
        EXPECT_TRUE(messages.insert(simdnorm_status_message(status)).second) << simdnorm_status_message(status);
    }
    for (const int unknown : {-1, 4, 5, 1000, INT_MAX, INT_MIN}) {
        ASSERT_NE(simdnorm_status_message(unknown), nullptr);
        EXPECT_STRNE(simdnorm_status_message(unknown), "");
        EXPECT_EQ(messages.count(simdnorm_status_message(unknown)), 0u) << simdnorm_status_message(unknown);
    }
}

simdnorm_status fail_with_threads(int threads) {
    SoundCall call;
    call.args.threads = threads;
    return simdnorm_layer_norm(&call.args);
}

TEST(LastError, BelongsToItsThread) {
    ASSERT_EQ(fail_with_threads(-11), SIMDNORM_INVALID_ARGUMENT);
    std::string before, after;
    std::thread([&] {
        before = simdnorm_last_error();
        fail_with_threads(-22);
        after = simdnorm_last_error();
    }).join();
    EXPECT_EQ(before, "");
    EXPECT_TRUE(mentions(after, "-22")) << after;
    EXPECT_TRUE(mentions(simdnorm_last_error(), "-11")) << simdnorm_last_error();
}

TEST(LastError, IsEmptyBeforeTheFirstFailureAndSurvivesSuccess) {
    std::string at_first, after_success, after_failure, after_success_again, after_second_failure;
    std::thread([&] {
        at_first = simdnorm_last_error();
        EXPECT_EQ(fail_with_threads(1), SIMDNORM_OK);
        after_success = simdnorm_last_error();
        fail_with_threads(-33);
        after_failure = simdnorm_last_error();
        EXPECT_EQ(fail_with_threads(1), SIMDNORM_OK);
        after_success_again = simdnorm_last_error();
        fail_with_threads(-44);
        after_second_failure = simdnorm_last_error();
    }).join();
    EXPECT_EQ(at_first, "");
    EXPECT_EQ(after_success, "");
    EXPECT_TRUE(mentions(after_failure, "-33")) << after_failure;
    EXPECT_EQ(after_success_again, after_failure);
    EXPECT_TRUE(mentions(after_second_failure, "-44")) << after_second_failure;
}

TEST(Version, IsTheProjects) {
    EXPECT_STREQ(simdnorm_version(), SIMDNORM_TEST_VERSION);
}

} // namespace
} // namespace simdnorm_test
