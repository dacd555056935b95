#include "execution_plan.hpp"

#include "cache_sizes.hpp"
#include "threads.hpp"

#include <algorithm>
#include <cstdint>

namespace simdnorm {
namespace {

// A thread has to have so many elements of its own before a team is worth starting, or meeting for a row that it
// shares: some microseconds of work, against the one or two that starting a team or a barrier costs.
constexpr std::size_t least_elements_per_thread = 16384;

// Ordinary stores leave y in the caches for whoever reads it next; past the last cache there is nothing to leave.
Traffic choose_traffic(const simdnorm_layer_norm_args &args) {
    // As a real number: the arrays may have more bytes together than size_t can tell.
    const std::size_t vectors = (args.gamma != nullptr ? 1 : 0) + (args.beta != nullptr ? 1 : 0);
    const double bytes = sizeof(float) * (2.0 * static_cast<double>(args.rows) + static_cast<double>(vectors)) *
                         static_cast<double>(args.columns);
    const bool in_memory = bytes > static_cast<double>(cache_sizes().last_level);
    const bool streams =
        args.store == SIMDNORM_STORE_STREAMING || (args.store == SIMDNORM_STORE_AUTO && in_memory && args.y != args.x);
    if (!streams) {
        return in_memory ? Traffic::fetched : Traffic::cached;
    }
    const auto fills_lines = [](std::uintptr_t floats) { return floats % cache_line_floats == 0; };
    const bool rows_fill_lines = fills_lines(args.columns) && fills_lines(args.y_stride) &&
                                 fills_lines(reinterpret_cast<std::uintptr_t>(args.y) / sizeof(float));
    return rows_fill_lines ? Traffic::streamed : Traffic::packed;
}

// The shorter a row, the more of its time goes into steps that wait for each other, and the more other rows it takes to
// fill it. Measured on Zen 4, whose L1 has 32 KiB (docs/performance.md).
Grouping grouping_in_cache(std::size_t columns) {
    return columns <= 192    ? Grouping::overlapped_eights
           : columns <= 512  ? Grouping::overlapped_pairs
           : columns <= 1152 ? Grouping::overlapped_rows
                             : Grouping::pairs;
}

} // namespace

// What lies in memory gains as long as the rows under way, gamma and beta stay in L1: its misses would queue behind the
// streaming stores. Rows too long for that share at least gamma and beta, until a pair of them is too much for L2.
Grouping grouping_in_memory(std::size_t columns, std::size_t l1d) {
    constexpr double measured_l1d = 32U << 10;
    const double scaled = static_cast<double>(columns) * measured_l1d / static_cast<double>(l1d);
    if (columns <= statistics_block && scaled <= 1024) {
        return scaled <= 128   ? Grouping::overlapped_eights
               : scaled <= 384 ? Grouping::overlapped_pairs
                               : Grouping::overlapped_rows;
    }
    return scaled <= 2048 || columns > 32768 ? Grouping::rows : Grouping::pairs;
}

Division divide(std::size_t rows, std::size_t columns, std::size_t pieces, int threads) {
    const std::size_t by_work = rows * columns / least_elements_per_thread;
    if (threads == 1 || by_work <= 1) {
        return {1, false};
    }
    const auto allowed = static_cast<std::size_t>(threads_allowed(threads));
    const std::size_t dealing = std::min({allowed, by_work, pieces});
    const std::size_t sharing = std::min(allowed, columns / least_elements_per_thread);
    // As many threads share a row as would have pieces of their own: better where some of these would get one more than
    // others, and few altogether.
    const bool uneven = pieces % dealing != 0 && pieces < 4 * dealing;
    const bool shares = sharing > dealing || (sharing == dealing && uneven);
    return {static_cast<int>(shares ? sharing : dealing), shares};
}

ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args) {
    const Traffic traffic = choose_traffic(args);
    const Grouping grouping = traffic == Traffic::cached ? grouping_in_cache(args.columns)
                                                         : grouping_in_memory(args.columns, cache_sizes().l1d);
    return {divide(args.rows, args.columns, args.rows, args.threads), grouping, traffic};
}

} // namespace simdnorm
