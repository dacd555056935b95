#include "layer_norm.hpp"

#include "arguments.hpp"
#include "floating_point_environment.hpp"
#include "instruction_set.hpp"
#include "threads.hpp"

#include <simdnorm/simdnorm.h>

#include <cstddef>
#include <memory>
#include <new>

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
            .grouping = plan.grouping,
            .traffic = plan.traffic,
            .lines_at_once = plan.lines_at_once,
            .fetch_into = plan.fetch_into,
            .fetches_twice = plan.fetches_twice,
            .asks_for_y = plan.asks_for_y,
            .walk = plan.walk};
}

// The moments of a row's blocks, for two rows in turn: a thread that is done with one row may already measure the next
// while another thread still reads those of the first. It cannot be two ahead, since they meet at every row.
class SharedMoments {
  public:
    explicit SharedMoments(std::size_t columns)
        : blocks_(blocks_of(columns)), moments_(new (std::nothrow) BlockMoments[2 * blocks_]) {}

    bool exist() const { return moments_ != nullptr; }
    std::size_t blocks() const { return blocks_; }
    BlockMoments *of_row(std::size_t row) { return moments_.get() + row % 2 * blocks_; }

  private:
    std::size_t blocks_;
    std::unique_ptr<BlockMoments[]> moments_;
};

LayerNormRows some_rows(const LayerNormRows &all, const Share &share) {
    LayerNormRows some = all;
    some.rows = share.count;
    some.x += share.first * all.x_stride;
    some.y += share.first * all.y_stride;
    some.mean += all.mean != nullptr ? share.first : 0;
    some.rstd += all.rstd != nullptr ? share.first : 0;
    return some;
}

void deal_out_rows(const KernelTable &kernels, const LayerNormRows &rows, int threads) {
    run_on_team(threads, [&](int thread, int team) {
        const DefaultFloatingPointEnvironment environment;
        if (team == 1) { // a division and a copy less, which a small call feels
            kernels.layer_norm(rows);
        } else {
            kernels.layer_norm(some_rows(rows, share_of_thread(rows.rows, thread, team)));
        }
    });
}

// Of a row's blocks each thread measures some, and normalises the same when all are measured.
void share_rows(const KernelTable &kernels, const LayerNormRows &rows, int threads, SharedMoments &moments) {
    run_on_team(threads, [&](int thread, int team) {
        const DefaultFloatingPointEnvironment environment;
        const Share share = share_of_thread(moments.blocks(), thread, team);
        const BlockRange blocks = {share.first, share.count};
        for (std::size_t row = 0; row < rows.rows; ++row) {
            kernels.measure_blocks(rows, row, blocks, moments.of_row(row));
            wait_for_team();
            kernels.normalize_blocks(rows, row, blocks, moments.of_row(row));
        }
    });
}

} // namespace

void layer_norm(const simdnorm_layer_norm_args &args, const ExecutionPlan &plan) {
    const KernelTable &kernels = *instruction_set_in_use().kernels;
    const LayerNormRows rows = all_rows(args, plan);
    if (plan.division.shares_rows) {
        if (SharedMoments moments(rows.columns); moments.exist()) {
            share_rows(kernels, rows, plan.division.threads, moments);
            return;
        }
    }
    deal_out_rows(kernels, rows, plan.division.threads);
}

} // namespace simdnorm

simdnorm_status simdnorm_layer_norm(const simdnorm_layer_norm_args *args) noexcept {
    using namespace simdnorm;
    if (const simdnorm_status status = check_arguments(args); status != SIMDNORM_OK || args->rows == 0) {
        return status;
    }
    layer_norm(*args, plan_layer_norm(*args, machine_in_use()));
    return SIMDNORM_OK;
}
