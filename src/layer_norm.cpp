// Check the arguments, choose a plan, run it over the rows.
#include "arguments.hpp"
#include "execution_plan.hpp"
#include "floating_point_environment.hpp"
#include "instruction_set.hpp"
#include "threads.hpp"

#include <simdnorm/simdnorm.h>

namespace simdnorm {
namespace {

LayerNormRows all_rows(const simdnorm_layer_norm_args &args, const ExecutionPlan &plan) {
    return {.rows = args.rows,
            .columns = args.columns,
            .x = args.x,
            .x_stride = stride_or(args.x_stride, args.columns),
            .gamma = args.gamma,
            .beta = args.beta,
            .epsilon = args.epsilon,
            .y = args.y,
            .y_stride = stride_or(args.y_stride, args.columns),
            .mean = args.mean,
            .rstd = args.rstd,
            .streaming = plan.streaming};
}

LayerNormRows some_rows(const LayerNormRows &all, const RowRange &range) {
    LayerNormRows some = all;
    some.rows = range.count;
    some.x += range.first * all.x_stride;
    some.y += range.first * all.y_stride;
    some.mean += all.mean != nullptr ? range.first : 0;
    some.rstd += all.rstd != nullptr ? range.first : 0;
    return some;
}

} // namespace
} // namespace simdnorm

simdnorm_status simdnorm_layer_norm(const simdnorm_layer_norm_args *args) noexcept {
    using namespace simdnorm;
    if (const simdnorm_status status = check_arguments(args); status != SIMDNORM_OK || args->rows == 0) {
        return status;
    }
    const KernelTable &kernels = *instruction_set_in_use().kernels;
    const ExecutionPlan plan = plan_layer_norm(*args);
    const LayerNormRows rows = all_rows(*args, plan);
    run_on_team(plan.threads, [&](int thread, int team) {
        const DefaultFloatingPointEnvironment environment;
        kernels.layer_norm(some_rows(rows, rows_of_thread(rows.rows, thread, team)));
    });
    return SIMDNORM_OK;
}
