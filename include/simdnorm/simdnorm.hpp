// simdnorm for C++20: the calls of simdnorm.h on views and spans, with exceptions instead of status codes.
//
//     simdnorm::layer_norm({.x = {x, rows, columns}, .gamma = gamma, .beta = beta,
//                           .y = {y, rows, columns}, .mean = mean, .rstd = rstd});
//
// Header only, over the C interface; simdnorm.h holds what each call promises.
#pragma once

#if __cplusplus < 202002L
#error "simdnorm.hpp needs C++20: -std=c++20, or target_compile_features(... cxx_std_20)"
#endif

#include <simdnorm/simdnorm.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace simdnorm {

// What a failed call throws. what() names the call, the argument and its value: it is the text of
// simdnorm_last_error(), or, where sizes do not fit each other, one of this header's own, which simdnorm_last_error()
// does not repeat.
class error : public std::runtime_error {
  public:
    error(simdnorm_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
    simdnorm_status status() const noexcept { return status_; }

  private:
    simdnorm_status status_;
};

// rows x columns elements, row after row, `stride` elements from a row's start to the next row's (0: columns). Owns
// nothing.
template <class Element>
struct matrix_view {
    Element *data = nullptr;
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::size_t stride = 0;

    constexpr matrix_view() = default;
    constexpr matrix_view(Element *data_, std::size_t rows_, std::size_t columns_, std::size_t stride_ = 0)
        : data(data_), rows(rows_), columns(columns_), stride(stride_) {}

    constexpr operator matrix_view<const Element>() const requires(!std::is_const_v<Element>) {
        return {data, rows, columns, stride};
    }
};

enum class store : int {
    automatic = SIMDNORM_STORE_AUTO,
    cached = SIMDNORM_STORE_CACHED,
    streaming = SIMDNORM_STORE_STREAMING,
};

// As simdnorm_layer_norm_args, but for epsilon, whose default here is PyTorch's. An empty span is an argument left out.
struct layer_norm_args {
    matrix_view<const float> x;
    std::span<const float> gamma = {};
    std::span<const float> beta = {};
    double epsilon = 1e-5;
    matrix_view<float> y;
    std::span<float> mean = {};
    std::span<float> rstd = {};
    int threads = 0;
    simdnorm::store store = simdnorm::store::automatic;
};

// As simdnorm_layer_norm_backward_args. An empty span, or a dx without data, is an argument left out.
struct layer_norm_backward_args {
    matrix_view<const float> dy;
    matrix_view<const float> x;
    std::span<const float> gamma = {};
    std::span<const float> mean;
    std::span<const float> rstd;
    matrix_view<float> dx = {};
    std::span<float> dgamma = {};
    std::span<float> dbeta = {};
    int threads = 0;
    simdnorm::store store = simdnorm::store::automatic;
};

namespace detail {

inline void check(simdnorm_status status) {
    if (status != SIMDNORM_OK) {
        throw error(status, simdnorm_last_error());
    }
}

inline void check_given(const char *call, const char *name, bool is_given) {
    if (!is_given) {
        throw error(SIMDNORM_INVALID_ARGUMENT, std::string(call) + ": " + name + " is left out");
    }
}

// A view that was left out is all zero; one of no rows may have no data.
template <class Element>
void check_given(const char *call, const char *name, matrix_view<Element> view) {
    check_given(call, name, view.data != nullptr || view.columns != 0);
}

inline void check_size(const char *call, const char *name, std::size_t size, std::size_t expected, const char *unit) {
    if (size != expected) {
        throw error(SIMDNORM_INVALID_ARGUMENT, std::string(call) + ": " + name + " has " + std::to_string(size) + " " +
                                                   unit + "; x has " + std::to_string(expected));
    }
}

template <class Element>
void check_optional(const char *call, const char *name, std::span<Element> span, std::size_t expected,
                    const char *dimension) {
    if (!span.empty() && span.size() != expected) {
        throw error(SIMDNORM_INVALID_ARGUMENT, std::string(call) + ": " + name + " has " + std::to_string(span.size()) +
                                                   " elements; x has " + std::to_string(expected) + " " + dimension);
    }
}

// NULL for an argument left out: an empty span may still point somewhere.
template <class Element>
Element *data_or_null(std::span<Element> span) {
    return span.empty() ? nullptr : span.data();
}

} // namespace detail

// simdnorm_layer_norm; throws simdnorm::error, also where x or y is left out, or the shape of y or the size of a span
// does not fit x. Nothing has been written then.
inline void layer_norm(const layer_norm_args &args) {
    const char *call = "simdnorm::layer_norm";
    detail::check_given(call, "x", args.x);
    detail::check_given(call, "y", args.y);
    detail::check_size(call, "y", args.y.rows, args.x.rows, "rows");
    detail::check_size(call, "y", args.y.columns, args.x.columns, "columns");
    detail::check_optional(call, "gamma", args.gamma, args.x.columns, "columns");
    detail::check_optional(call, "beta", args.beta, args.x.columns, "columns");
    detail::check_optional(call, "mean", args.mean, args.x.rows, "rows");
    detail::check_optional(call, "rstd", args.rstd, args.x.rows, "rows");

    simdnorm_layer_norm_args c = {};
    c.rows = args.x.rows;
    c.columns = args.x.columns;
    c.x = args.x.data;
    c.x_stride = args.x.stride;
    c.gamma = detail::data_or_null(args.gamma);
    c.beta = detail::data_or_null(args.beta);
    c.epsilon = args.epsilon;
    c.y = args.y.data;
    c.y_stride = args.y.stride;
    c.mean = detail::data_or_null(args.mean);
    c.rstd = detail::data_or_null(args.rstd);
    c.threads = args.threads;
    c.store = static_cast<int>(args.store);
    detail::check(simdnorm_layer_norm(&c));
}

// simdnorm_layer_norm_backward; throws simdnorm::error, also where dy, x, mean or rstd is left out, or a shape or the
// size of a span does not fit x. Nothing has been written then.
inline void layer_norm_backward(const layer_norm_backward_args &args) {
    const char *call = "simdnorm::layer_norm_backward";
    detail::check_given(call, "dy", args.dy);
    detail::check_given(call, "x", args.x);
    detail::check_given(call, "mean", !args.mean.empty() || args.x.rows == 0);
    detail::check_given(call, "rstd", !args.rstd.empty() || args.x.rows == 0);
    detail::check_size(call, "dy", args.dy.rows, args.x.rows, "rows");
    detail::check_size(call, "dy", args.dy.columns, args.x.columns, "columns");
    detail::check_size(call, "mean", args.mean.size(), args.x.rows, "rows");
    detail::check_size(call, "rstd", args.rstd.size(), args.x.rows, "rows");
    if (args.dx.data != nullptr) {
        detail::check_size(call, "dx", args.dx.rows, args.x.rows, "rows");
        detail::check_size(call, "dx", args.dx.columns, args.x.columns, "columns");
    }
    detail::check_optional(call, "gamma", args.gamma, args.x.columns, "columns");
    detail::check_optional(call, "dgamma", args.dgamma, args.x.columns, "columns");
    detail::check_optional(call, "dbeta", args.dbeta, args.x.columns, "columns");

    simdnorm_layer_norm_backward_args c = {};
    c.rows = args.x.rows;
    c.columns = args.x.columns;
    c.dy = args.dy.data;
    c.dy_stride = args.dy.stride;
    c.x = args.x.data;
    c.x_stride = args.x.stride;
    c.gamma = detail::data_or_null(args.gamma);
    c.mean = detail::data_or_null(args.mean);
    c.rstd = detail::data_or_null(args.rstd);
    c.dx = args.dx.data;
    c.dx_stride = args.dx.stride;
    c.dgamma = detail::data_or_null(args.dgamma);
    c.dbeta = detail::data_or_null(args.dbeta);
    c.threads = args.threads;
    c.store = static_cast<int>(args.store);
    detail::check(simdnorm_layer_norm_backward(&c));
}

inline std::string version() {
    return simdnorm_version();
}

// The name of the instruction set in use.
inline std::string instruction_set() {
    return simdnorm_instruction_set();
}

inline bool has_instruction_set(const std::string &name) {
    return simdnorm_has_instruction_set(name.c_str()) != 0;
}

// By its name, or the fastest this CPU has for "auto". Throws simdnorm::error as simdnorm_use_instruction_set fails.
inline void use_instruction_set(const std::string &name) {
    detail::check(simdnorm_use_instruction_set(name.c_str()));
}

} // namespace simdnorm
