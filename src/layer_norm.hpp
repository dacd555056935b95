// Check the arguments, choose a plan, run it over the rows. The first two steps apart from the third, for tests of it.
#pragma once

#include "execution_plan.hpp"

#include <simdnorm/simdnorm.h>

namespace simdnorm {

// Arguments that have been checked, of at least one row; any plan that they allow (execution_plan.hpp).
void layer_norm(const simdnorm_layer_norm_args &args, const ExecutionPlan &plan);
simdnorm_status layer_norm_backward(const simdnorm_layer_norm_backward_args &args, const BackwardPlan &plan);

} // namespace simdnorm
