// What a plan chooses, taken each way: how its limits are found, and seen to be right.
#pragma once

#include "contender.hpp"

#include <string>
#include <vector>

namespace bench {

// One for each value of each choice that a plan makes, as "grouping" (the contender's name) and "fours" (its set): the
// library on that instruction set, by its own plan with that value in it, and all else that follows from it. It takes
// the shapes that can go so.
std::vector<Contender> plan_contenders(const std::string &instruction_set);

// The value of that choice in the library's own plan, for data of the benchmark.
std::string planned_value(const std::string &instruction_set, Pass pass, const std::string &choice, const Shape &shape,
                          int threads);

} // namespace bench
