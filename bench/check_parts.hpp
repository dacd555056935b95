// What the checks of both passes are made of.
#pragma once

#include "check.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bench {

inline std::uint32_t bits(float value) {
    return std::bit_cast<std::uint32_t>(value);
}

inline Mismatch mismatch(const std::string &quantity, std::size_t row, std::size_t column, double expected,
                         float found) {
    return {quantity, row, column, static_cast<float>(expected), found};
}

inline bool within(double found, double expected, double bound) {
    return std::abs(found - expected) <= bound;
}

// Of floats that belong to the columns of a row, or of all rows; bit for bit.
inline std::optional<Mismatch> first_difference(const std::string &quantity, std::size_t row, const float *found,
                                                const std::vector<float> &expected) {
    for (std::size_t j = 0; j < expected.size(); ++j) {
        if (bits(found[j]) != bits(expected[j])) {
            return mismatch(quantity, row, j, expected[j], found[j]);
        }
    }
    return std::nullopt;
}

// Peers add in orders of their own, and some put a whole row, or column, into one float, whose error grows with it.
inline double tolerance_of_peers(std::size_t terms) {
    return std::max(1e-4, 1e-9 * static_cast<double>(terms));
}

// All of a matrix of up to a million elements; so many elements of a larger one, in rows spread over it.
std::vector<std::size_t> rows_to_check(const Shape &shape);

// The first mismatch of the rows to check, each judged alone.
template <class FindInRow>
std::optional<Mismatch> first_mismatch(const Shape &shape, const FindInRow &find_in_row) {
    for (const std::size_t row : rows_to_check(shape)) {
        if (std::optional<Mismatch> found = find_in_row(row)) {
            return found;
        }
    }
    return std::nullopt;
}

} // namespace bench
