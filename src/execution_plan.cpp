#include "execution_plan.hpp"

#include "machine.hpp"
#include "threads.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>

namespace simdnorm {
namespace {

// A thread has to have so many elements of its own before a team is worth starting, or meeting for a row that it
// shares: some microseconds of work. An empty parallel region on two threads took 0.6 microseconds on Zen 4, 1.3 on
// Emerald Rapids and 2.9 on Zen 5, where two threads are slower than one up to some 65,000 elements.
std::size_t least_elements_per_thread(const Machine &machine) {
    return machine.core == Core::zen_5 ? 49152 : 16384;
}

// The choice of a pivot and the end of its sums take a row about as long as so many elements do. Measured on Zen 5.
constexpr std::size_t elements_of_row = 32;

// What a call reads and writes, and how it wants its output written.
struct Transfer {
    double matrices; // of rows x columns
    double vectors;  // of columns
    std::size_t rows;
    std::size_t columns;
    const float *output;
    std::size_t output_stride;
    bool in_place;
    int store;
};

bool lies_in_memory(const Transfer &transfer, const Machine &machine) {
    // As a real number: the arrays may have more bytes together than size_t can tell. Those that exist are counted
    // exactly, so that no floating-point flag of the caller is raised.
    const double bytes = sizeof(float) * (transfer.matrices * static_cast<double>(transfer.rows) + transfer.vectors) *
                         static_cast<double>(transfer.columns);
    return bytes > static_cast<double>(machine.last_level);
}

bool rows_fill_lines(const Transfer &transfer) {
    const auto fills_lines = [](std::uintptr_t floats) { return floats % cache_line_floats == 0; };
    return fills_lines(transfer.columns) && fills_lines(transfer.output_stride) &&
           fills_lines(reinterpret_cast<std::uintptr_t>(transfer.output) / sizeof(float));
}

// Rows too short to be packed. On Zen 5 asking for x and y ahead gains at most widths, some twofold; on Zen 4 it loses
// a third; on Emerald Rapids it gains up to 15%, but the shortest rows lose a quarter.
Traffic traffic_of_short_rows(std::size_t columns, const Machine &machine) {
    const std::size_t least_fetched = machine.core == Core::emerald_rapids ? 20 : 1;
    return machine.core != Core::zen_4 && columns >= least_fetched ? Traffic::fetched : Traffic::cached;
}

// Ordinary stores leave the output in the caches for whoever reads it next; past the last cache there is nothing to
// leave. Rows of less than `least_packed` columns that do not fill lines are written by ordinary stores all the same.
Traffic choose_traffic(const Transfer &transfer, const Machine &machine, std::size_t least_packed) {
    const bool in_memory = lies_in_memory(transfer, machine);
    const bool streams = transfer.store == SIMDNORM_STORE_STREAMING ||
                         (transfer.store == SIMDNORM_STORE_AUTO && in_memory && !transfer.in_place);
    if (!streams) {
        return in_memory ? Traffic::fetched : Traffic::cached;
    }
    return rows_fill_lines(transfer) ? Traffic::streamed
           : transfer.store == SIMDNORM_STORE_STREAMING || transfer.columns >= least_packed
               ? Traffic::packed
               : traffic_of_short_rows(transfer.columns, machine);
}

// Whether columns are held in registers, and rows follow each other without gaps.
bool are_held_without_gaps(const Transfer &transfer, const Machine &machine) {
    return transfer.columns <= machine.held_columns &&
           (transfer.output_stride == 0 || transfer.output_stride == transfer.columns);
}

// Of shorter rows, holding back what does not fill a line costs more than it saves: on Zen 4 in both passes, on Emerald
// Rapids, where ordinary stores to memory cost twice as much, and on Zen 5 less so.
std::size_t least_packed_columns(const Transfer &transfer, const Machine &machine) {
    const bool held = are_held_without_gaps(transfer, machine);
    return machine.core == Core::zen_4 ? 96 : machine.core == Core::zen_5 ? 60 : held ? 33 : 36;
}
std::size_t least_packed_gradients(const Transfer &transfer, const Machine &machine) {
    const bool held = are_held_without_gaps(transfer, machine);
    return machine.core == Core::zen_4 ? 96 : machine.core == Core::zen_5 ? 68 : held ? 24 : 48;
}

double present(const float *array) {
    return array != nullptr ? 1.0 : 0.0;
}

// Of rows too short to be written past the caches: their stores wait for the lines of y, and more rows under way do not
// help. Measured on Zen 4.
Grouping grouping_of_short_rows_in_memory(std::size_t columns) {
    return columns <= 48 ? Grouping::overlapped_eights : Grouping::overlapped_pairs;
}

// Many, as steps wait for each other. Of long rows fewer: on Zen 4 so many as stay in L2, on the others as measured.
std::size_t gradient_rows_in_cache(std::size_t columns, const Machine &machine) {
    return columns <= (machine.core == Core::zen_4 ? 4096 : 512) ? 8 : 4;
}

// How far what is asked for of x and dy lies beyond the next group: on Zen 4 less cost up to 15%, on Emerald Rapids
// more up to 10%, on Zen 5 both.
std::size_t gradient_prefetch_lead(const Machine &machine) {
    return machine.core == Core::zen_4 ? 2048 : machine.core == Core::zen_5 ? 1024 : 256;
}

// Into L1 on Zen 5 alone: what is asked for into L2 is often not fetched there where its page has to be found first.
FetchInto fetch_into(const Machine &machine) {
    return machine.core == Core::zen_5 ? FetchInto::l1 : FetchInto::l2;
}

// Forward, of rows in memory that go singly, and backward, of all rows. Unrolled, Zen 4 loses a third forward at some
// widths, and up to 18% backward. Zen 5 gains 3 to 15% forward from 768 columns on, and backward 2 to 25% in cache,
// while in memory it gains as much at some widths as it loses at others. Emerald Rapids gains 1 to 3% forward and 3 to
// 8% backward.
Walk preferred_walk(const Machine &machine) {
    return machine.core == Core::zen_4 ? Walk::in_loops : Walk::unrolled;
}

// Of groups that overlap step by step. Emerald Rapids gains 3 to 4% on average, and loses up to 2% with AVX2; not
// measured on the others.
bool fetches_twice(Grouping grouping, Traffic traffic, const Machine &machine) {
    const bool step_by_step = is_overlapped(grouping) && grouping != Grouping::interleaved_eights;
    return machine.core == Core::emerald_rapids && traffic != Traffic::cached && step_by_step;
}

// Before ordinary stores. On AMD's CPUs it costs up to a sixth where y is in the caches. Where y is in memory, Zen 5
// gains, but not in place, where x has brought the line.
bool asks_for_y(const Transfer &transfer, Traffic traffic, const Machine &machine) {
    return machine.core == Core::emerald_rapids ||
           (machine.core == Core::zen_5 && traffic == Traffic::fetched && !transfer.in_place);
}

std::size_t gradient_rows_of_short_rows_in_memory(std::size_t columns) {
    return columns <= 48 ? 8 : 4;
}

// A row of so many columns, with gamma and beta, stays in an L2 of 1 MiB, for which alone this was measured; one of x
// and one of dy, with gamma and both sums over rows.
constexpr std::size_t longest_in_l2 = 65536;
constexpr std::size_t longest_gradient_in_l2 = 45056;

// So many columns of an L1 of 32 KiB, for which thresholds were measured first, in this one. Integers alone: a plan
// must not raise the caller's floating-point flags.
std::size_t scaled(std::size_t columns, std::size_t l1d) {
    return columns * l1d / (32U << 10);
}

// Which rows go together, by how long they are. Where kinds end was measured on each CPU (docs/measurements). The
// shorter a row, the more of its time goes into steps that wait for each other, and the more other rows it takes to
// fill it. Rows that do not fill lines gain less by company: more of their loads and stores straddle two lines. Long
// rows share at least what is loaded of gamma and beta.

struct Kind {
    std::size_t longest;
    Grouping grouping;
};

constexpr std::size_t any_length = SIZE_MAX;

// The first kind that takes rows of so many columns; the last one takes any.
Grouping first_that_takes(std::size_t columns, std::initializer_list<Kind> kinds) {
    return std::find_if(kinds.begin(), kinds.end(), [&](const Kind &kind) { return columns <= kind.longest; })
        ->grouping;
}

// What is under way in cache has to stay in L1: of three single rows that overlap, with y, gamma and beta, 24 bytes a
// column.
Grouping grouping_in_cache_of_zen_4(std::size_t columns, bool rows_fill_lines) {
    return first_that_takes(columns, {{96, Grouping::interleaved_eights},
                                      {128, Grouping::overlapped_eights},
                                      {rows_fill_lines ? 336U : 240U, Grouping::overlapped_fours},
                                      {rows_fill_lines ? 704U : 464U, Grouping::overlapped_pairs},
                                      {1280, Grouping::overlapped_rows},
                                      {any_length, Grouping::fours}});
}

Grouping grouping_in_cache_of_zen_5(std::size_t columns) {
    return first_that_takes(columns, {{160, Grouping::overlapped_eights},
                                      {384, Grouping::overlapped_fours},
                                      {640, Grouping::overlapped_pairs},
                                      {2048, Grouping::overlapped_rows},
                                      {any_length, Grouping::fours}});
}

// Longer rows gain by turns: so many at a time as it takes to fill the time that the ends of their sums wait, and of
// long ones as many as stay in L1, two rows of x and one of y, with gamma and beta 20 bytes a column; then four, which
// come from L2 the second time, but share gamma and beta.
Grouping grouping_in_cache_of_emerald_rapids(std::size_t columns, bool rows_fill_lines, std::size_t l1d) {
    return first_that_takes(columns, {{192, Grouping::overlapped_eights},
                                      {320, rows_fill_lines ? Grouping::overlapped_fours : Grouping::overlapped_pairs},
                                      {704, Grouping::fours_in_turns},
                                      {rows_fill_lines ? 1152U : 960U, Grouping::pairs_in_turns},
                                      {scaled(1600, l1d), Grouping::rows_in_turns},
                                      {any_length, Grouping::fours_in_turns}});
}

// What lies in memory gains as long as the rows under way, gamma and beta stay in L1: its misses would queue behind the
// streaming stores. Of rows too long for that only one is under way, until four, which share a block of gamma and beta,
// are better all the same, and these until they are too much for L2.
Grouping grouping_in_memory_of_zen_4(std::size_t columns, bool rows_fill_lines) {
    if (rows_fill_lines) {
        return first_that_takes(columns, {{112, Grouping::overlapped_eights},
                                          {208, Grouping::overlapped_fours},
                                          {288, Grouping::overlapped_pairs},
                                          {1024, Grouping::overlapped_rows},
                                          {2816, Grouping::rows},
                                          {32768, Grouping::fours},
                                          {any_length, Grouping::rows}});
    }
    return first_that_takes(columns, {{144, Grouping::overlapped_eights},
                                      {704, Grouping::overlapped_pairs},
                                      {1024, Grouping::overlapped_rows},
                                      {4096, Grouping::rows},
                                      {32768, Grouping::fours},
                                      {any_length, Grouping::rows}});
}

Grouping grouping_in_memory_of_zen_5(std::size_t columns, bool rows_fill_lines) {
    return first_that_takes(columns, {{100, Grouping::overlapped_eights},
                                      {192, Grouping::overlapped_fours},
                                      {rows_fill_lines ? 400U : 512U, Grouping::overlapped_pairs},
                                      {rows_fill_lines ? 2048U : 960U, Grouping::overlapped_rows},
                                      {any_length, Grouping::rows}});
}

// One row at a time streams best, but of long ones four share gamma and beta, until they are too much for L2.
Grouping grouping_in_memory_of_emerald_rapids(std::size_t columns) {
    return first_that_takes(columns, {{128, Grouping::overlapped_eights},
                                      {192, Grouping::overlapped_fours},
                                      {320, Grouping::overlapped_rows},
                                      {3072, Grouping::rows_in_turns},
                                      {24576, Grouping::fours_in_turns},
                                      {any_length, Grouping::rows_in_turns}});
}

bool goes_singly(Grouping grouping) {
    return grouping == Grouping::overlapped_rows || grouping == Grouping::rows;
}

} // namespace

Grouping grouping_in_cache(std::size_t columns, bool rows_fill_lines, const Machine &machine) {
    switch (machine.core) {
    case Core::zen_4:
        return grouping_in_cache_of_zen_4(columns, rows_fill_lines);
    case Core::zen_5:
        return grouping_in_cache_of_zen_5(columns);
    case Core::emerald_rapids:
        break;
    }
    return grouping_in_cache_of_emerald_rapids(columns, rows_fill_lines, machine.l1d);
}

Grouping grouping_in_memory(std::size_t columns, bool rows_fill_lines, const Machine &machine) {
    switch (machine.core) {
    case Core::zen_4:
        return grouping_in_memory_of_zen_4(columns, rows_fill_lines);
    case Core::zen_5:
        return grouping_in_memory_of_zen_5(columns, rows_fill_lines);
    case Core::emerald_rapids:
        break;
    }
    return grouping_in_memory_of_emerald_rapids(columns);
}

// Zen 4 has buffers for 24 lines under way to L1, which loads fill and streaming stores wait for; Zen 5 gains by
// waiting, too; Emerald Rapids lost up to a fifth, and gained nothing. A line of y takes three where x, gamma and beta
// come from L2, fewer where some of them are in L1; rows of some hundred columns need no limit. Holding back elements
// that fill no line keeps the CPU from looking as far ahead. What comes from beyond L2 takes too long to be waited for.
std::size_t lines_at_once_in_memory(std::size_t columns, Traffic traffic, const Machine &machine) {
    if (machine.core == Core::emerald_rapids || !passes_caches(traffic) || columns > longest_in_l2) {
        return any_number_of_lines;
    }
    if (machine.core == Core::zen_5) {
        return columns <= 320 ? any_number_of_lines : traffic == Traffic::packed ? 24 : 12;
    }
    if (columns <= (traffic == Traffic::packed ? 1600 : 544)) {
        return any_number_of_lines;
    }
    return columns > 2560 ? 8 : columns > 2048 && traffic == Traffic::streamed ? 12 : 16;
}

namespace {

// Up to how many columns rows of the backward pass go by eights, fours and pairs, and singly, and then once more by
// fours. Longer rows go singly.
struct GradientLimits {
    std::size_t eights;
    std::size_t fours;
    std::size_t pairs;
    std::size_t rows;
    std::size_t long_fours;
};

// So few that x and dy of those under way stay in L1, and fewer still on Zen 4. Eight of the shortest have one tree for
// the ends of their sums. Of rows too long for L1 some share a block of gamma and of the sums over rows, as many as
// stay in L2 with those asked for ahead, where that pays.
GradientLimits gradient_limits_in_memory(const Machine &machine) {
    switch (machine.core) {
    case Core::zen_4:
        return {.eights = 112, .fours = 192, .pairs = 480, .rows = 2047, .long_fours = 8192};
    case Core::zen_5:
        return {.eights = 96, .fours = 160, .pairs = 640, .rows = 2047, .long_fours = 4096};
    case Core::emerald_rapids:
        break;
    }
    return {.eights = 128, .fours = 192, .pairs = 640, .rows = SIZE_MAX, .long_fours = 0};
}

} // namespace

bool can_take_turns(std::size_t columns, std::size_t rows_of_group, Traffic traffic) {
    return rows_of_group <= 2 && traffic != Traffic::cached && columns > longest_short_row;
}

std::size_t gradient_rows_in_memory(std::size_t columns, const Machine &machine) {
    const GradientLimits limits = gradient_limits_in_memory(machine);
    return columns <= limits.eights       ? 8
           : columns <= limits.fours      ? 4
           : columns <= limits.pairs      ? 2
           : columns <= limits.rows       ? 1
           : columns <= limits.long_fours ? 4
                                          : 1;
}

namespace {

std::size_t gradient_lines_on_zen_4(std::size_t columns, bool packs) {
    if (columns <= 1024 || (packs && columns < 2048) || columns > longest_gradient_in_l2) {
        return any_number_of_lines;
    }
    return columns < 2048 || packs ? 8 : 4;
}

std::size_t gradient_lines_on_zen_5(std::size_t columns, bool packs) {
    const std::size_t most_without_waits = packs ? 640 : statistics_block;
    return columns <= most_without_waits ? any_number_of_lines : packs ? 16 : 8;
}

} // namespace

// As lines_at_once_in_memory, but a line of dx takes five: of x, dy, gamma and both sums over rows.
std::size_t gradient_lines_at_once_in_memory(std::size_t columns, Traffic traffic, const Machine &machine) {
    if (machine.core == Core::emerald_rapids || !passes_caches(traffic) || columns > longest_in_l2) {
        return any_number_of_lines;
    }
    const bool packs = traffic == Traffic::packed;
    return machine.core == Core::zen_5 ? gradient_lines_on_zen_5(columns, packs)
                                       : gradient_lines_on_zen_4(columns, packs);
}

Division divide(std::size_t rows, std::size_t columns, std::size_t rows_of_piece, std::size_t rows_of_group,
                int threads, const Machine &machine) {
    const std::size_t least = least_elements_per_thread(machine);
    const std::size_t by_work = (rows * columns / elements_of_row + rows) / (least / elements_of_row);
    if (threads == 1 || by_work <= 1) {
        return {1, false};
    }
    const auto allowed = static_cast<std::size_t>(threads_allowed(threads));
    const std::size_t pieces = quotient_rounded_up(rows, rows_of_piece);
    const std::size_t dealing = std::min({allowed, by_work, pieces});
    const std::size_t rows_shared = std::min(rows, rows_of_group);
    const std::size_t sharing = std::min({allowed, rows_shared * columns / least, blocks_of(columns)});
    // As many threads share a row as would have pieces of their own: better where one of these would have a quarter
    // more to do than it should.
    const std::size_t fair = rows / dealing;
    const bool uneven = std::min(rows, quotient_rounded_up(pieces, dealing) * rows_of_piece) > fair + fair / 4;
    const bool shares = sharing > dealing || (sharing == dealing && uneven);
    return {static_cast<int>(shares ? sharing : dealing), shares};
}

namespace {

Transfer transfer_of(const simdnorm_layer_norm_args &args) {
    return {.matrices = 2,
            .vectors = present(args.gamma) + present(args.beta),
            .rows = args.rows,
            .columns = args.columns,
            .output = args.y,
            .output_stride = args.y_stride,
            .in_place = args.y == args.x,
            .store = args.store};
}

ExecutionPlan plan_with(const Transfer &transfer, Grouping grouping, Traffic traffic, int threads,
                        const Machine &machine) {
    return {divide(transfer.rows, transfer.columns, 1, 1, threads, machine),
            grouping,
            traffic,
            lines_at_once_in_memory(transfer.columns, traffic, machine),
            fetch_into(machine),
            fetches_twice(grouping, traffic, machine),
            asks_for_y(transfer, traffic, machine),
            goes_singly(grouping) && traffic != Traffic::cached ? preferred_walk(machine) : Walk::unrolled};
}

} // namespace

ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args, Grouping grouping, Traffic traffic,
                              const Machine &machine) {
    return plan_with(transfer_of(args), grouping, traffic, args.threads, machine);
}

ExecutionPlan plan_layer_norm(const simdnorm_layer_norm_args &args, const Machine &machine) {
    const Transfer transfer = transfer_of(args);
    const Traffic traffic = choose_traffic(transfer, machine, least_packed_columns(transfer, machine));
    const bool fills_lines = rows_fill_lines(transfer);
    const Grouping grouping = args.rows == 1               ? Grouping::rows // groups would be looked for in vain
                              : traffic != Traffic::cached ? grouping_in_memory(args.columns, fills_lines, machine)
                              : lies_in_memory(transfer, machine)
                                  ? grouping_of_short_rows_in_memory(args.columns)
                                  : grouping_in_cache(args.columns, fills_lines, machine);
    return plan_with(transfer, grouping, traffic, args.threads, machine);
}

namespace {

// A leaf has so much work that adding the columns of two leaves does not count beside it; and leaves are an even
// number, for two threads, and have about the same number of rows, a multiple of what most groups have. Few rows of two
// whole blocks are better shared than dealt out: a second leaf costs a single thread 3 to 6%, before its first batch
// was stored a tenth. One batch is one leaf. The bits of dgamma and dbeta depend on these numbers.
std::size_t choose_rows_of_leaf(std::size_t rows, std::size_t columns) {
    constexpr std::size_t elements_of_leaf = 65536;
    constexpr std::size_t rows_of_most_groups = 4;
    if (rows <= rows_of_batch) {
        return rows_of_batch;
    }
    const std::size_t most_batches = std::max<std::size_t>(4, elements_of_leaf / columns / rows_of_batch);
    const std::size_t least_leaves = columns < 2 * statistics_block ? 2 : 1;
    const std::size_t enough = std::max(least_leaves, quotient_rounded_up(rows, most_batches * rows_of_batch));
    const std::size_t leaves = enough == 1 ? 1 : enough + enough % 2;
    return quotient_rounded_up(quotient_rounded_up(rows, leaves), rows_of_most_groups) * rows_of_most_groups;
}

// Sums over fewer columns are merged by one thread in less time than threads take to meet, some microsecond. Measured
// on Emerald Rapids, with two threads.
constexpr std::size_t least_columns_to_merge_together = 1536;

// Emerald Rapids gains from there on, on average over sizes. Not measured on AMD's CPUs.
constexpr std::size_t least_columns_in_turns = 2560;

// Pairs that go in turns share what is loaded of gamma and of the sums over rows. x and dy are asked for beside what is
// written, and when one row of the next pair is summed, only half of these columns are written: so further ahead.
constexpr std::size_t prefetch_lead_of_pairs_in_turns = 512;

bool takes_turns(const simdnorm_layer_norm_backward_args &args, std::size_t rows_of_group, Traffic traffic,
                 const Machine &machine) {
    return machine.core == Core::emerald_rapids && args.dx != nullptr && args.columns >= least_columns_in_turns &&
           can_take_turns(args.columns, rows_of_group, traffic);
}

} // namespace

BackwardPlan plan_layer_norm_backward(const simdnorm_layer_norm_backward_args &args, std::size_t rows_of_group,
                                      Traffic traffic, const Machine &machine) {
    const std::size_t rows_of_leaf = choose_rows_of_leaf(args.rows, args.columns);
    const Division division = divide(args.rows, args.columns, rows_of_leaf, rows_of_group, args.threads, machine);
    return {rows_of_leaf,
            quotient_rounded_up(args.rows, rows_of_leaf),
            division,
            rows_of_group,
            traffic,
            gradient_lines_at_once_in_memory(args.columns, traffic, machine),
            gradient_prefetch_lead(machine),
            !division.shares_rows && takes_turns(args, rows_of_group, traffic, machine),
            fetch_into(machine),
            preferred_walk(machine),
            division.threads > 1 && !division.shares_rows && args.columns >= least_columns_to_merge_together};
}

BackwardPlan plan_layer_norm_backward(const simdnorm_layer_norm_backward_args &args, const Machine &machine) {
    const Transfer transfer = {.matrices = 2 + present(args.dx),
                               .vectors = present(args.gamma),
                               .rows = args.rows,
                               .columns = args.columns,
                               .output = args.dx,
                               .output_stride = args.dx_stride,
                               .in_place = args.dx == args.dy || args.dx == nullptr, // nothing to stream
                               .store = args.store};
    const Traffic traffic = choose_traffic(transfer, machine, least_packed_gradients(transfer, machine));
    const std::size_t rows_of_group = traffic != Traffic::cached ? gradient_rows_in_memory(args.columns, machine)
                                      : lies_in_memory(transfer, machine)
                                          ? gradient_rows_of_short_rows_in_memory(args.columns)
                                          : gradient_rows_in_cache(args.columns, machine);
    BackwardPlan plan = plan_layer_norm_backward(args, rows_of_group, traffic, machine);
    if (plan.in_turns && traffic != Traffic::packed) {
        plan.rows_of_group = 2;
        plan.prefetch_lead = prefetch_lead_of_pairs_in_turns;
    }
    return plan;
}

} // namespace simdnorm
