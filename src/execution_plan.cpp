#include "execution_plan.hpp"

#include "cache_sizes.hpp"
#include "threads.hpp"

#include <algorithm>
#include <limits>

namespace simdnorm {
namespace {

// A thread has to have so many elements of its own before a team is worth starting: some microseconds of work, against
// the one or two that starting and joining a team costs.
constexpr std::size_t least_elements_per_thread = 16384;

int choose_threads(const simdnorm_layer_norm_args &args) {
    const std::size_t by_work = args.rows * args.columns / least_elements_per_thread;
    const std::size_t useful = std::min({args.rows, by_work, std::size_t{std::numeric_limits<int>::max()}});
    if (args.threads == 1 || useful <= 1) {
        return 1;
    }
    return std::min(threads_allowed(args.threads), static_cast<int>(useful));
}

// Ordinary stores leave y in the caches for whoever reads it next; past the last cache there is nothing to leave.
bool choose_streaming(const simdnorm_layer_norm_args &args) {
    if (args.store != SIMDNORM_STORE_AUTO) {
        return args.store == SIMDNORM_STORE_STREAMING;
    }
    const std::size_t bytes = 2 * sizeof(float) * args.rows * args.columns;
    return args.y != args.x && bytes > last_level_cache_size();
}

} // namespace

ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args) {
    return {choose_threads(args), choose_streaming(args)};
}

} // namespace simdnorm
