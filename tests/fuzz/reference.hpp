// What a sound call must leave in memory: by the scalar set, in the plainest way there is, one row at a time, and
// checked against what the header says of the row.
#pragma once

#include "case.hpp"
#include "memory.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace simdnorm_test {

// An output's elements, and where any NaN may stand for the one that is here.
struct Expected {
    std::size_t argument;
    std::vector<float> values;
    std::vector<bool> any_nan;
};

struct Reference {
    std::vector<Expected> outputs = {}; // those that are wanted
    std::string contradiction = {};     // of the header by the scalar set itself; empty if there is none
};

// For the backward pass: mean and rstd as the forward pass gives them, put into the image.
void keep_statistics(const Case &problem, const Memory &memory, Image &before);

Reference reference(const Case &problem, const Memory &memory, const Image &before);

} // namespace simdnorm_test
