// simdnorm's arguments for a problem, and its instruction sets.
#pragma once

#include "contender.hpp"

#include <simdnorm/simdnorm.h>

#include <string>

namespace bench {

// Throws where the machine does not have it.
void use_instruction_set(const std::string &name);

simdnorm_layer_norm_args arguments(const ForwardProblem &problem);
simdnorm_layer_norm_backward_args arguments(const BackwardProblem &problem);

} // namespace bench
