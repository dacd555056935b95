#include "check.hpp"

#include "check_parts.hpp"

#include <cinttypes>
#include <cstdio>

namespace bench {

namespace {

constexpr std::size_t elements_to_check = std::size_t{1} << 20;

std::string value_and_bits(float value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.9g (0x%08" PRIx32 ")", static_cast<double>(value), bits(value));
    return text;
}

} // namespace

std::string describe(const Mismatch &mismatch) {
    return mismatch.quantity + " differs at row " + std::to_string(mismatch.row) + ", column " +
           std::to_string(mismatch.column) + ": expected " + value_and_bits(mismatch.expected) + ", found " +
           value_and_bits(mismatch.found);
}

std::vector<std::size_t> rows_to_check(const Shape &shape) {
    const std::size_t count = std::min(shape.rows, std::max<std::size_t>(3, elements_to_check / shape.columns));
    std::vector<std::size_t> rows(count);
    for (std::size_t i = 0; i < count; ++i) {
        rows[i] = count == 1 ? 0 : (shape.rows - 1) * i / (count - 1);
    }
    return rows;
}

} // namespace bench
