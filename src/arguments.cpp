#include "arguments.hpp"

#include "error.hpp"

#include <bit>
#include <cstdint>
#include <initializer_list>

namespace simdnorm {
namespace {

// One array argument: rows x columns floats, `stride` from row to row. `bytes` from its first element to its last; more
// than PTRDIFF_MAX if that is too many to count.
struct Array {
    const char *name;
    const float *data;
    std::size_t rows;
    std::size_t columns;
    std::size_t stride;
    std::size_t bytes;
};

constexpr std::size_t too_many = SIZE_MAX;

Array matrix_argument(const char *name, const float *data, std::size_t rows, std::size_t columns, std::size_t stride) {
    Array array = {name, data, rows, columns, stride, 0};
    const bool is_empty = data == nullptr || rows == 0 || columns == 0;
    if (!is_empty && (__builtin_mul_overflow(rows - 1, stride, &array.bytes) ||
                      __builtin_add_overflow(array.bytes, columns, &array.bytes) ||
                      __builtin_mul_overflow(array.bytes, sizeof(float), &array.bytes))) {
        array.bytes = too_many;
    }
    return array;
}

Array vector_argument(const char *name, const float *data, std::size_t length) {
    return matrix_argument(name, data, 1, length, length);
}

std::uintptr_t address(const Array &array) {
    return reinterpret_cast<std::uintptr_t>(array.data);
}

// Distances are taken modulo the address space, so that no sum of address and size can wrap around. An empty array
// overlaps nothing.
bool ranges_overlap(const Array &a, const Array &b) {
    return (address(b) - address(a) < a.bytes && b.bytes > 0) || (address(a) - address(b) < b.bytes && a.bytes > 0);
}

bool same_elements(const Array &a, const Array &b) {
    return a.data == b.data && a.columns == b.columns && (a.stride == b.stride || a.rows == 1);
}

// Two views of one matrix with columns apart: row starts of b lie at one place between those of a.
bool rows_share_no_element(const Array &a, const Array &b) {
    if (a.stride != b.stride) {
        return false;
    }
    const bool forward = address(b) >= address(a);
    const std::size_t distance = (forward ? address(b) - address(a) : address(a) - address(b)) / sizeof(float);
    const std::size_t within = distance % a.stride;
    const Array &first = forward ? a : b;
    const Array &second = forward ? b : a;
    return within >= first.columns && a.stride - within >= second.columns;
}

class Checker {
  public:
    explicit Checker(const char *call) : call_(call) {}

    simdnorm_status status() const { return status_; }

    void at_least_one(const char *name, std::size_t value) {
        require(value >= 1, "%s: %s is %zu; it must be at least 1", call_, name, value);
    }

    void stride(const char *name, std::size_t value, std::size_t columns) {
        require(value == 0 || value >= columns, "%s: %s is %zu; it must be 0 or at least columns, which is %zu", call_,
                name, value, columns);
    }

    // By its bits: the caller's floating-point environment may take a denormal for zero.
    void epsilon(double value) {
        constexpr std::uint64_t sign = 1ULL << 63;
        constexpr std::uint64_t infinity = 0x7FFULL << 52;
        const auto bits = std::bit_cast<std::uint64_t>(value);
        require((bits & infinity) != infinity && (bits <= sign),
                "%s: epsilon is %.15g; it must be finite and at least 0", call_, value);
    }

    void threads(int value) { require(value >= 0, "%s: threads is %d; it must be at least 0", call_, value); }

    void store(int value) {
        require(value >= SIMDNORM_STORE_AUTO && value <= SIMDNORM_STORE_STREAMING,
                "%s: store is %d; it must be a simdnorm_store, 0 to 2", call_, value);
    }

    void required(const Array &array) { required(array, array.rows); }

    // Where there are rows.
    void required(const Array &array, std::size_t rows) {
        require(array.data != nullptr || rows == 0, "%s: %s is NULL", call_, array.name);
        optional(array);
    }

    void optional(const Array &array) {
        require(array.bytes <= PTRDIFF_MAX,
                "%s: %s of rows %zu, columns %zu and stride %zu takes more than PTRDIFF_MAX bytes", call_, array.name,
                array.rows, array.columns, array.stride);
        require(address(array) % sizeof(float) == 0, "%s: %s is %p; it must be aligned to 4 bytes", call_, array.name,
                pointer(array));
    }

    void apart(const Array &output, const Array &other) {
        require(!ranges_overlap(output, other), "%s: %s at %p (%zu bytes) overlaps %s at %p (%zu bytes)", call_,
                output.name, pointer(output), output.bytes, other.name, pointer(other), other.bytes);
    }

    void apart_or_same(const Array &output, const Array &input) {
        if (!same_elements(output, input)) {
            const bool in_place = output.data == input.data && ranges_overlap(output, input);
            require(!in_place, "%s: %s is %s, but its stride is %zu, not %zu as in place it must be", call_,
                    output.name, input.name, output.stride, input.stride);
            apart_or_slices(output, input);
        }
    }

    // Slices: of the columns of one matrix.
    void apart_or_slices(const Array &output, const Array &input) {
        if (ranges_overlap(output, input) && !rows_share_no_element(output, input)) {
            apart(output, input);
        }
    }

  private:
    static const void *pointer(const Array &array) { return array.data; }

    // The first failure is the one that is told.
    template <class... Values>
    void require(bool condition, const char *format, Values... values) {
        if (status_ == SIMDNORM_OK && !condition) {
            status_ = fail(SIMDNORM_INVALID_ARGUMENT, format, values...);
        }
    }

    const char *call_;
    simdnorm_status status_ = SIMDNORM_OK;
};

} // namespace

simdnorm_status check_arguments(const simdnorm_layer_norm_args *args) {
    const char *call = "simdnorm_layer_norm";
    if (args == nullptr) {
        return fail(SIMDNORM_INVALID_ARGUMENT, "%s: args is NULL", call);
    }
    const std::size_t rows = args->rows;
    const std::size_t columns = args->columns;
    const Array x = matrix_argument("x", args->x, rows, columns, stride_or(args->x_stride, columns));
    const Array y = matrix_argument("y", args->y, rows, columns, stride_or(args->y_stride, columns));
    const Array gamma = vector_argument("gamma", args->gamma, columns);
    const Array beta = vector_argument("beta", args->beta, columns);
    const Array mean = vector_argument("mean", args->mean, rows);
    const Array rstd = vector_argument("rstd", args->rstd, rows);

    Checker check(call);
    check.at_least_one("columns", columns);
    check.stride("x_stride", args->x_stride, columns);
    check.stride("y_stride", args->y_stride, columns);
    check.epsilon(args->epsilon);
    check.threads(args->threads);
    check.store(args->store);
    check.required(x);
    check.required(y);
    for (const Array *array : {&gamma, &beta, &mean, &rstd}) {
        check.optional(*array);
    }
    if (check.status() != SIMDNORM_OK || rows == 0) {
        return check.status();
    }

    check.apart_or_same(y, x);
    for (const Array *other : {&gamma, &beta, &mean, &rstd}) {
        check.apart(y, *other);
    }
    for (const Array *other : {&x, &gamma, &beta, &rstd}) {
        check.apart(mean, *other);
    }
    for (const Array *other : {&x, &gamma, &beta}) {
        check.apart(rstd, *other);
    }
    return check.status();
}

simdnorm_status check_arguments(const simdnorm_layer_norm_backward_args *args) {
    const char *call = "simdnorm_layer_norm_backward";
    if (args == nullptr) {
        return fail(SIMDNORM_INVALID_ARGUMENT, "%s: args is NULL", call);
    }
    const std::size_t rows = args->rows;
    const std::size_t columns = args->columns;
    const Array dy = matrix_argument("dy", args->dy, rows, columns, stride_or(args->dy_stride, columns));
    const Array x = matrix_argument("x", args->x, rows, columns, stride_or(args->x_stride, columns));
    const Array dx = matrix_argument("dx", args->dx, rows, columns, stride_or(args->dx_stride, columns));
    const Array gamma = vector_argument("gamma", args->gamma, columns);
    const Array mean = vector_argument("mean", args->mean, rows);
    const Array rstd = vector_argument("rstd", args->rstd, rows);
    const Array dgamma = vector_argument("dgamma", args->dgamma, columns);
    const Array dbeta = vector_argument("dbeta", args->dbeta, columns);

    Checker check(call);
    check.at_least_one("columns", columns);
    check.stride("dy_stride", args->dy_stride, columns);
    check.stride("x_stride", args->x_stride, columns);
    check.stride("dx_stride", args->dx_stride, columns);
    check.threads(args->threads);
    check.store(args->store);
    for (const Array *array : {&dy, &x}) {
        check.required(*array);
    }
    for (const Array *array : {&mean, &rstd}) {
        check.required(*array, rows);
    }
    for (const Array *array : {&gamma, &dx, &dgamma, &dbeta}) {
        check.optional(*array);
    }
    if (check.status() != SIMDNORM_OK) {
        return check.status();
    }

    check.apart_or_same(dx, dy);
    check.apart_or_slices(dx, x);
    for (const Array *other : {&gamma, &mean, &rstd, &dgamma, &dbeta}) {
        check.apart(dx, *other);
    }
    for (const Array *other : {&dy, &x, &gamma, &mean, &rstd, &dbeta}) {
        check.apart(dgamma, *other);
    }
    for (const Array *other : {&dy, &x, &gamma, &mean, &rstd}) {
        check.apart(dbeta, *other);
    }
    return check.status();
}

} // namespace simdnorm
