// The handwritten digits of examples/digits, for a network.
#pragma once

#include "network.hpp"

#include <span>
#include <string>
#include <vector>

struct Digits {
    Matrix pixels; // 0 to 1
    std::vector<Eigen::Index> labels;
};

// Throws CsvError.
Digits read_digits(const std::string &path);

Digits pick(const Digits &digits, std::span<const Eigen::Index> rows);
