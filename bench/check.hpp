// Whether an output is right. Nothing is timed before this has been seen.
#pragma once

#include "contender.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace bench {

struct Mismatch {
    std::string quantity; // "y", "mean" or "rstd"
    std::size_t row;
    std::size_t column; // 0 for mean and rstd
    float expected;
    float found;
};

std::string describe(const Mismatch &mismatch);

// Overwrites what the check will look at, so that an output that was never written cannot pass for a right one.
void spoil_outputs(const Problem &problem);

// Compares the outputs with the reference: the scalar set, row by row, which in turn must agree with two plain passes
// in double. Looks at every row of a matrix of up to a million elements, and at so many elements of a larger one, in
// rows spread over it from the first to the last. May leave the scalar set in use.
std::optional<Mismatch> find_mismatch(const Problem &problem, Kind kind);

} // namespace bench
