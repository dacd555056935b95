// Floats as their bits.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace simdnorm_test {

inline constexpr std::uint32_t plus_zero_bits = 0x00000000;
inline constexpr std::uint32_t quiet_nan_bits = 0x7fc00000;
inline constexpr std::uint32_t plus_infinity_bits = 0x7f800000;
inline constexpr std::uint32_t minus_infinity_bits = 0xff800000;

inline constexpr float largest = std::numeric_limits<float>::max();
inline constexpr float smallest = std::numeric_limits<float>::denorm_min();
inline constexpr float infinity = std::numeric_limits<float>::infinity();

inline std::uint32_t bits_of(float value) {
    return std::bit_cast<std::uint32_t>(value);
}

inline float float_of(std::uint32_t bits) {
    return std::bit_cast<float>(bits);
}

inline std::string hex(float value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.9g (0x%08X)", static_cast<double>(value),
                  static_cast<unsigned>(bits_of(value)));
    return text;
}

inline bool same_bits(const float *a, const float *b, std::size_t size) {
    return size == 0 || std::memcmp(a, b, size * sizeof(float)) == 0;
}

inline testing::AssertionResult same_bits(const char *name, const std::vector<float> &actual,
                                          const std::vector<float> &expected) {
    if (actual.size() != expected.size()) {
        return testing::AssertionFailure()
               << name << " has " << actual.size() << " elements instead of " << expected.size();
    }
    if (same_bits(actual.data(), expected.data(), actual.size())) {
        return testing::AssertionSuccess();
    }
    std::size_t i = 0;
    while (bits_of(actual[i]) == bits_of(expected[i])) {
        ++i;
    }
    return testing::AssertionFailure() << name << "[" << i << "] of " << actual.size() << " is " << hex(actual[i])
                                       << " instead of " << hex(expected[i]);
}

inline testing::AssertionResult has_bits(float actual, std::uint32_t expected) {
    if (bits_of(actual) == expected) {
        return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << hex(actual) << " instead of " << hex(float_of(expected));
}

} // namespace simdnorm_test
