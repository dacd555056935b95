// Which path a call takes, and that each path gives the same bits as the scalar set's plainest one: every way to group
// rows with every way to store y, and rows shared by threads, on every set. What the plan would choose does not matter
// here, so that paths for data in memory are seen on small data as well.
#include "call.hpp"
#include "execution_plan.hpp"
#include "families.hpp"
#include "guarded_call.hpp"
#include "instruction_set.hpp"
#include "instruction_sets.hpp"
#include "layer_norm.hpp"
#include "plans.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace simdnorm {

inline std::ostream &operator<<(std::ostream &out, Grouping grouping) {
    constexpr const char *names[] = {"interleaved eights",
                                     "overlapped eights",
                                     "overlapped fours",
                                     "overlapped pairs",
                                     "overlapped rows",
                                     "fours in turns",
                                     "pairs in turns",
                                     "rows in turns",
                                     "fours",
                                     "rows"};
    static_assert(std::size(names) == static_cast<std::size_t>(Grouping::rows) + 1);
    return out << names[static_cast<int>(grouping)];
}

} // namespace simdnorm

namespace simdnorm_test {
namespace {

using simdnorm::any_number_of_lines;
using simdnorm::ExecutionPlan;
using simdnorm::FetchInto;
using simdnorm::Grouping;
using simdnorm::Traffic;
using simdnorm::Walk;

constexpr Grouping all_groupings[] = {Grouping::interleaved_eights,
                                      Grouping::overlapped_eights,
                                      Grouping::overlapped_fours,
                                      Grouping::overlapped_pairs,
                                      Grouping::overlapped_rows,
                                      Grouping::fours_in_turns,
                                      Grouping::pairs_in_turns,
                                      Grouping::rows_in_turns,
                                      Grouping::fours,
                                      Grouping::rows};

bool is_possible(Grouping grouping, std::size_t columns) {
    return !simdnorm::is_overlapped(grouping) || columns <= simdnorm::statistics_block;
}

std::string describe(const Problem &problem, const ExecutionPlan &plan) {
    return testing::PrintToString(plan.grouping) + ", " + testing::PrintToString(plan.traffic) + ", " +
           std::to_string(plan.division.threads) + " threads" + (plan.division.shares_rows ? " that share rows" : "") +
           ", " + std::to_string(problem.rows) + " x " + std::to_string(problem.columns);
}

Result plainest(const Problem &problem) {
    const UseInstructionSet scalar("scalar");
    Call call(problem, {});
    call.run([](const simdnorm_layer_norm_args &args) {
        simdnorm::layer_norm(
            args,
            {.division = {.threads = 1, .shares_rows = false}, .grouping = Grouping::rows, .traffic = Traffic::cached});
    });
    return call.result();
}

Result by_plan(const Problem &problem, const Layout &layout, const ExecutionPlan &plan) {
    Call call(problem, layout);
    call.run([&](const simdnorm_layer_norm_args &args) { simdnorm::layer_norm(args, plan); });
    return call.result();
}

// Rows without gaps from the start of a line on; rows with gaps from anywhere; in place. Those that fill whole lines
// may be streamed.
std::vector<Layout> layouts(std::size_t columns, Traffic traffic) {
    if (!can_carry(traffic, columns)) {
        return {};
    }
    if (traffic == Traffic::streamed) {
        return {{.x_offset = 3}, {.y_stride = columns + simdnorm::cache_line_floats}};
    }
    return {{},
            {.y_offset = 5},
            {.x_stride = columns + 3, .y_stride = columns + 7, .x_offset = 1, .y_offset = 11, .gamma_offset = 2},
            {.x_offset = 9, .in_place = true}};
}

class Paths : public OnInstructionSet {
  protected:
    static void expect_same_bits(const Problem &problem, const ExecutionPlan &plan) {
        const Result expected = plainest(problem);
        for (const Layout &layout : layouts(problem.columns, plan.traffic)) {
            ASSERT_TRUE(same_bits(by_plan(problem, layout, plan), expected))
                << describe(problem, plan) << ", " << layout;
        }
    }
};

TEST_P(Paths, EveryGroupingAndTraffic) {
    for (const std::size_t columns : Sizes{1,   7,   16,  17,   31,   33,   64,   96,   100,  127,  128,  129,  192,
                                           300, 512, 768, 1000, 1024, 1025, 2048, 4095, 4096, 4097, 8200, 12288}) {
        for (const std::size_t rows : Sizes{1, 2, 3, 6, 7, 8, 17, 41}) {
            if (rows * columns > 100000) {
                continue;
            }
            const std::uint64_t seed = seed_for("paths", rows, columns);
            for (const Problem &problem : {mixed_problem(seed, rows, columns), normal_problem(seed, rows, columns)}) {
                for (const Grouping grouping : all_groupings) {
                    if (!is_possible(grouping, columns)) {
                        continue;
                    }
                    for (const Traffic traffic : all_traffics) {
                        expect_same_bits(problem, {.division = {.threads = 1, .shares_rows = false},
                                                   .grouping = grouping,
                                                   .traffic = traffic,
                                                   .lines_at_once = rows % 2 == 0 ? 5 : any_number_of_lines,
                                                   .fetch_into = rows < 8 ? FetchInto::l1 : FetchInto::l2,
                                                   .fetches_twice = rows != 8,
                                                   .asks_for_y = rows % 4 < 2,
                                                   .walk = rows % 3 == 2 ? Walk::in_loops : Walk::unrolled});
                    }
                }
            }
        }
    }
}

// Every argument between forbidden pages.
void expect_nothing_beside_touched(GuardedCall &guarded, const Problem &problem, const Result &expected,
                                   const ExecutionPlan &plan) {
    if (!is_possible(plan.grouping, problem.columns) || !can_carry(plan.traffic, problem.columns)) {
        return;
    }
    for (const Flush flush : both_ends) {
        const auto run = [&](const simdnorm_layer_norm_args &args) { simdnorm::layer_norm(args, plan); };
        ASSERT_TRUE(same_bits(guarded.layer_norm(problem, {}, flush, run), expected)) << describe(problem, plan);
    }
}

TEST_P(Paths, NothingBesideTheArgumentsIsTouched) {
    GuardedCall guarded(9 * 8193, 8193);
    for (const std::size_t columns : guarded_columns()) {
        for (const std::size_t rows : Sizes{1, 2, 3, 9}) {
            const Problem problem = normal_problem(seed_for("guarded", rows, columns), rows, columns);
            const Result expected = plainest(problem);
            for (const Grouping grouping : all_groupings) {
                for (const Traffic traffic : all_traffics) {
                    expect_nothing_beside_touched(guarded, problem, expected,
                                                  {.division = {.threads = 1, .shares_rows = false},
                                                   .grouping = grouping,
                                                   .traffic = traffic,
                                                   .walk = rows < 3 ? Walk::in_loops : Walk::unrolled});
                }
            }
        }
    }
}

TEST_P(Paths, NothingBesideSharedRowsIsTouched) {
    GuardedCall guarded(3 * 12289, 12289);
    for (const std::size_t columns : Sizes{1, 33, 4095, 4096, 4097, 8192, 8193, 12289}) {
        const Problem problem = normal_problem(seed_for("guarded", 3, columns), 3, columns);
        const Result expected = plainest(problem);
        for (const int threads : {1, 2, 3}) {
            for (const Traffic traffic : all_traffics) {
                expect_nothing_beside_touched(guarded, problem, expected,
                                              {.division = {.threads = threads, .shares_rows = true},
                                               .grouping = Grouping::rows,
                                               .traffic = traffic,
                                               .walk = threads == 2 ? Walk::in_loops : Walk::unrolled});
            }
        }
    }
}

TEST_P(Paths, SharedRows) {
    for (const std::size_t columns : Sizes{1, 4096, 4097, 12288, 30000, 40961}) {
        for (const std::size_t rows : Sizes{1, 2, 5}) {
            const std::uint64_t seed = seed_for("shared", rows, columns);
            for (const Problem &problem : {mixed_problem(seed, rows, columns), normal_problem(seed, rows, columns)}) {
                for (const int threads : {1, 2, 3, 8}) {
                    for (const Traffic traffic : all_traffics) {
                        expect_same_bits(problem, {.division = {.threads = threads, .shares_rows = true},
                                                   .grouping = Grouping::rows,
                                                   .traffic = traffic,
                                                   .walk = rows == 2 ? Walk::in_loops : Walk::unrolled});
                    }
                }
            }
        }
    }
}

TEST_P(Paths, SharedRowsWithoutGammaBetaMeanAndRstd) {
    Problem problem = normal_problem(seed_for("shared", 3, 20000), 3, 20000);
    problem.gamma.clear();
    problem.beta.clear();
    const Result result = by_plan(
        problem, {.wants_mean = false, .wants_rstd = false},
        {.division = {.threads = 2, .shares_rows = true}, .grouping = Grouping::rows, .traffic = Traffic::cached});
    EXPECT_TRUE(same_bits(result, plainest(problem)));
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(Paths);

// The plan looks at sizes and addresses alone: nothing here is ever read.
ExecutionPlan plan(Shape shape, int threads = 1, int store = SIMDNORM_STORE_AUTO, std::size_t offset_of_y = 0,
                   bool in_place = false, const simdnorm::Machine &machine = zen_4, std::size_t y_stride = 0) {
    alignas(64) static float memory[256];
    simdnorm_layer_norm_args args = {};
    args.y_stride = y_stride;
    args.rows = shape.rows;
    args.columns = shape.columns;
    args.y = memory + offset_of_y;
    args.x = in_place ? args.y : memory + 128;
    args.threads = threads;
    args.store = store;
    return simdnorm::plan_layer_norm(args, machine);
}

TEST(Plan, GroupsRowsOnZen4) {
    const auto in_cache = [](std::size_t columns, bool rows_fill_lines) {
        return simdnorm::grouping_in_cache(columns, rows_fill_lines, zen_4);
    };
    EXPECT_EQ(in_cache(1, false), Grouping::interleaved_eights);
    EXPECT_EQ(in_cache(96, true), Grouping::interleaved_eights);
    EXPECT_EQ(in_cache(97, false), Grouping::overlapped_eights);
    EXPECT_EQ(in_cache(128, true), Grouping::overlapped_eights);
    EXPECT_EQ(in_cache(129, false), Grouping::overlapped_fours);
    EXPECT_EQ(in_cache(336, true), Grouping::overlapped_fours);
    EXPECT_EQ(in_cache(352, true), Grouping::overlapped_pairs);
    EXPECT_EQ(in_cache(704, true), Grouping::overlapped_pairs);
    EXPECT_EQ(in_cache(720, true), Grouping::overlapped_rows);
    EXPECT_EQ(in_cache(240, false), Grouping::overlapped_fours);
    EXPECT_EQ(in_cache(241, false), Grouping::overlapped_pairs);
    EXPECT_EQ(in_cache(464, false), Grouping::overlapped_pairs);
    EXPECT_EQ(in_cache(465, false), Grouping::overlapped_rows);
    EXPECT_EQ(in_cache(1280, true), Grouping::overlapped_rows);
    EXPECT_EQ(in_cache(1281, false), Grouping::fours);
    EXPECT_EQ(in_cache(1000000, true), Grouping::fours);
    const auto in_memory = [](std::size_t columns, bool rows_fill_lines) {
        return simdnorm::grouping_in_memory(columns, rows_fill_lines, zen_4);
    };
    EXPECT_EQ(in_memory(16, true), Grouping::overlapped_eights);
    EXPECT_EQ(in_memory(112, true), Grouping::overlapped_eights);
    EXPECT_EQ(in_memory(128, true), Grouping::overlapped_fours);
    EXPECT_EQ(in_memory(208, true), Grouping::overlapped_fours);
    EXPECT_EQ(in_memory(224, true), Grouping::overlapped_pairs);
    EXPECT_EQ(in_memory(288, true), Grouping::overlapped_pairs);
    EXPECT_EQ(in_memory(304, true), Grouping::overlapped_rows);
    EXPECT_EQ(in_memory(144, false), Grouping::overlapped_eights);
    EXPECT_EQ(in_memory(145, false), Grouping::overlapped_pairs);
    EXPECT_EQ(in_memory(704, false), Grouping::overlapped_pairs);
    EXPECT_EQ(in_memory(705, false), Grouping::overlapped_rows);
    EXPECT_EQ(in_memory(1024, true), Grouping::overlapped_rows);
    EXPECT_EQ(in_memory(1025, false), Grouping::rows);
    EXPECT_EQ(in_memory(2816, true), Grouping::rows);
    EXPECT_EQ(in_memory(2832, true), Grouping::fours);
    EXPECT_EQ(in_memory(4096, false), Grouping::rows);
    EXPECT_EQ(in_memory(4097, false), Grouping::fours);
    EXPECT_EQ(in_memory(32768, true), Grouping::fours);
    EXPECT_EQ(in_memory(32769, false), Grouping::rows);
}

TEST(Plan, GroupsByWhereRowsLieAndWhatTheyFill) {
    EXPECT_EQ(plan({8, 480}).grouping, Grouping::overlapped_pairs);
    EXPECT_EQ(plan({8, 480}, 1, SIMDNORM_STORE_AUTO, 1).grouping, Grouping::overlapped_rows);
    EXPECT_EQ(plan(in_memory(480)).grouping, Grouping::overlapped_rows);
    EXPECT_EQ(plan(in_memory(480), 1, SIMDNORM_STORE_AUTO, 1).grouping, Grouping::overlapped_pairs);
    EXPECT_EQ(plan(in_memory(47)).grouping, Grouping::overlapped_eights);
    EXPECT_EQ(plan(in_memory(49)).grouping, Grouping::overlapped_pairs);
    for (const std::size_t columns : Sizes{1, 64, 512, 1000000}) {
        EXPECT_EQ(plan({1, columns}).grouping, Grouping::rows);
        EXPECT_NE(plan({2, columns}).grouping, Grouping::rows);
    }
}

TEST(Plan, AsksForYWhereTheCpuGainsByIt) {
    const auto asks = [](Shape shape, const simdnorm::Machine &machine, bool in_place = false) {
        return plan(shape, 1, SIMDNORM_STORE_CACHED, 0, in_place, machine).asks_for_y;
    };
    EXPECT_FALSE(asks({8, 64}, zen_4));
    EXPECT_FALSE(asks(in_memory(64), zen_4));
    EXPECT_FALSE(asks({8, 64}, zen_5));
    EXPECT_TRUE(asks(in_memory(64), zen_5));
    EXPECT_FALSE(asks(in_memory(64), zen_5, true));
    EXPECT_TRUE(asks({8, 64}, emerald_rapids));
}

TEST(Plan, FetchesRowsOfOverlappingGroupsTwiceOnEmeraldRapids) {
    const auto fetches_twice = [](Shape shape, const simdnorm::Machine &machine) {
        return plan(shape, 1, SIMDNORM_STORE_AUTO, 0, false, machine).fetches_twice;
    };
    EXPECT_TRUE(fetches_twice(in_memory(64), emerald_rapids));
    EXPECT_TRUE(fetches_twice(in_memory(320), emerald_rapids));
    EXPECT_FALSE(fetches_twice(in_memory(336), emerald_rapids));
    EXPECT_FALSE(fetches_twice({8, 1024}, emerald_rapids));
    EXPECT_FALSE(fetches_twice(in_memory(1024), zen_4));
    EXPECT_FALSE(fetches_twice(in_memory(1024), zen_5));
}

TEST(Plan, SumsSingleRowsInMemoryInLoopsOnZen4Alone) {
    EXPECT_EQ(plan(in_memory(768)).walk, Walk::in_loops);
    EXPECT_EQ(plan(in_memory(1280)).walk, Walk::in_loops);
    EXPECT_EQ(plan(in_memory(1280), 1, SIMDNORM_STORE_CACHED).walk, Walk::in_loops);
    EXPECT_EQ(plan(in_memory(768), 1, SIMDNORM_STORE_AUTO, 0, false, zen_5).walk, Walk::unrolled);
    EXPECT_EQ(plan(in_memory(800), 1, SIMDNORM_STORE_AUTO, 0, false, emerald_rapids).walk, Walk::unrolled);
    EXPECT_EQ(plan(in_memory(256)).walk, Walk::unrolled);  // in pairs
    EXPECT_EQ(plan(in_memory(8192)).walk, Walk::unrolled); // in fours
    EXPECT_EQ(plan({8, 768}).walk, Walk::unrolled);
}

TEST(Plan, GroupsRowsOnEmeraldRapids) {
    const auto in_cache = [](std::size_t columns, bool rows_fill_lines) {
        return simdnorm::grouping_in_cache(columns, rows_fill_lines, emerald_rapids);
    };
    EXPECT_EQ(in_cache(1, true), Grouping::overlapped_eights);
    EXPECT_EQ(in_cache(192, true), Grouping::overlapped_eights);
    EXPECT_EQ(in_cache(208, true), Grouping::overlapped_fours);
    EXPECT_EQ(in_cache(320, true), Grouping::overlapped_fours);
    EXPECT_EQ(in_cache(192, false), Grouping::overlapped_eights);
    EXPECT_EQ(in_cache(193, false), Grouping::overlapped_pairs);
    EXPECT_EQ(in_cache(320, false), Grouping::overlapped_pairs);
    for (const bool rows_fill_lines : {false, true}) {
        EXPECT_EQ(in_cache(321, rows_fill_lines), Grouping::fours_in_turns);
        EXPECT_EQ(in_cache(704, rows_fill_lines), Grouping::fours_in_turns);
        EXPECT_EQ(in_cache(705, rows_fill_lines), Grouping::pairs_in_turns);
        EXPECT_EQ(in_cache(960, rows_fill_lines), Grouping::pairs_in_turns);
        EXPECT_EQ(in_cache(2400, rows_fill_lines), Grouping::rows_in_turns);
        EXPECT_EQ(in_cache(2401, rows_fill_lines), Grouping::fours_in_turns);
        EXPECT_EQ(in_cache(1000000, rows_fill_lines), Grouping::fours_in_turns);
    }
    EXPECT_EQ(in_cache(961, false), Grouping::rows_in_turns);
    EXPECT_EQ(in_cache(1152, true), Grouping::pairs_in_turns);
    EXPECT_EQ(in_cache(1168, true), Grouping::rows_in_turns);
    const auto planned = [](std::size_t offset_of_y) {
        return plan({8, 304}, 1, SIMDNORM_STORE_AUTO, offset_of_y, false, emerald_rapids).grouping;
    };
    EXPECT_EQ(planned(0), Grouping::overlapped_fours);
    EXPECT_EQ(planned(1), Grouping::overlapped_pairs);
    const auto on_half_of_that_l1 = [](std::size_t columns) {
        return simdnorm::grouping_in_cache(columns, true, with_l1(emerald_rapids, 24U << 10));
    };
    EXPECT_EQ(on_half_of_that_l1(1152), Grouping::pairs_in_turns);
    EXPECT_EQ(on_half_of_that_l1(1200), Grouping::rows_in_turns);
    EXPECT_EQ(on_half_of_that_l1(1216), Grouping::fours_in_turns);
    const auto in_memory = [](std::size_t columns) {
        return simdnorm::grouping_in_memory(columns, true, emerald_rapids);
    };
    EXPECT_EQ(in_memory(128), Grouping::overlapped_eights);
    EXPECT_EQ(in_memory(129), Grouping::overlapped_fours);
    EXPECT_EQ(in_memory(192), Grouping::overlapped_fours);
    EXPECT_EQ(in_memory(193), Grouping::overlapped_rows);
    EXPECT_EQ(in_memory(320), Grouping::overlapped_rows);
    EXPECT_EQ(in_memory(321), Grouping::rows_in_turns);
    EXPECT_EQ(in_memory(3072), Grouping::rows_in_turns);
    EXPECT_EQ(in_memory(3073), Grouping::fours_in_turns);
    EXPECT_EQ(in_memory(24576), Grouping::fours_in_turns);
    EXPECT_EQ(in_memory(24577), Grouping::rows_in_turns);
}

TEST(Plan, GroupsRowsOnZen5) {
    const auto in_cache = [](std::size_t columns, bool rows_fill_lines) {
        return simdnorm::grouping_in_cache(columns, rows_fill_lines, zen_5);
    };
    EXPECT_EQ(in_cache(1, false), Grouping::overlapped_eights);
    EXPECT_EQ(in_cache(160, true), Grouping::overlapped_eights);
    EXPECT_EQ(in_cache(161, false), Grouping::overlapped_fours);
    EXPECT_EQ(in_cache(384, true), Grouping::overlapped_fours);
    EXPECT_EQ(in_cache(385, false), Grouping::overlapped_pairs);
    EXPECT_EQ(in_cache(640, true), Grouping::overlapped_pairs);
    EXPECT_EQ(in_cache(641, false), Grouping::overlapped_rows);
    EXPECT_EQ(in_cache(2048, true), Grouping::overlapped_rows);
    EXPECT_EQ(in_cache(2049, false), Grouping::fours);
    EXPECT_EQ(in_cache(1000000, true), Grouping::fours);
    const auto plan_of = [](std::size_t columns) {
        return plan(in_memory(columns), 1, SIMDNORM_STORE_AUTO, 0, false, zen_5);
    };
    EXPECT_EQ(plan_of(100).grouping, Grouping::overlapped_eights);
    EXPECT_EQ(plan_of(101).grouping, Grouping::overlapped_fours);
    EXPECT_EQ(plan_of(192).grouping, Grouping::overlapped_fours);
    EXPECT_EQ(plan_of(193).grouping, Grouping::overlapped_pairs);
    EXPECT_EQ(plan_of(400).grouping, Grouping::overlapped_pairs);
    EXPECT_EQ(plan_of(416).grouping, Grouping::overlapped_rows);
    EXPECT_EQ(plan_of(2048).grouping, Grouping::overlapped_rows);
    EXPECT_EQ(plan_of(2064).grouping, Grouping::rows);
    EXPECT_EQ(plan_of(511).grouping, Grouping::overlapped_pairs);
    EXPECT_EQ(plan_of(513).grouping, Grouping::overlapped_rows);
    EXPECT_EQ(plan_of(959).grouping, Grouping::overlapped_rows);
    EXPECT_EQ(plan_of(961).grouping, Grouping::rows);
    EXPECT_EQ(plan_of(59).traffic, Traffic::fetched);
    EXPECT_EQ(plan_of(59).grouping, Grouping::overlapped_eights);
    EXPECT_EQ(plan_of(60).traffic, Traffic::packed);
    EXPECT_EQ(plan_of(320).lines_at_once, any_number_of_lines);
    EXPECT_EQ(plan_of(336).lines_at_once, 12U);
    EXPECT_EQ(plan_of(319).lines_at_once, any_number_of_lines);
    EXPECT_EQ(plan_of(321).lines_at_once, 24U);
    EXPECT_EQ(plan_of(65536).lines_at_once, 12U);
    EXPECT_EQ(plan_of(65552).lines_at_once, any_number_of_lines);
    EXPECT_EQ(plan_of(64).fetch_into, FetchInto::l1);
    EXPECT_EQ(plan(in_memory(64)).fetch_into, FetchInto::l2);
}

#if defined(__x86_64__) && defined(__linux__)
TEST(Machine, IsLikeTheCpuThatTheSystemNames) {
    std::ifstream file("/proc/cpuinfo");
    ASSERT_TRUE(file);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const bool is_zen =
        text.find("AuthenticAMD") != std::string::npos || text.find("HygonGenuine") != std::string::npos;
    const std::string name = "cpu family\t: ";
    const int family = std::stoi(text.substr(text.find(name) + name.size()));
    const simdnorm::Core expected = !is_zen       ? simdnorm::Core::emerald_rapids
                                    : family < 26 ? simdnorm::Core::zen_4
                                                  : simdnorm::Core::zen_5;
    EXPECT_EQ(simdnorm::this_machine().core, expected);
}
#endif

TEST(Plan, LimitsLinesAtOnceOnZen4) {
    const auto lines = [](std::size_t columns, Traffic traffic) {
        return simdnorm::lines_at_once_in_memory(columns, traffic, zen_4);
    };
    EXPECT_EQ(lines(544, Traffic::streamed), any_number_of_lines);
    EXPECT_EQ(lines(560, Traffic::streamed), 16U);
    EXPECT_EQ(lines(2048, Traffic::streamed), 16U);
    EXPECT_EQ(lines(2064, Traffic::streamed), 12U);
    EXPECT_EQ(lines(2560, Traffic::streamed), 12U);
    EXPECT_EQ(lines(2576, Traffic::streamed), 8U);
    EXPECT_EQ(lines(1600, Traffic::packed), any_number_of_lines);
    EXPECT_EQ(lines(1601, Traffic::packed), 16U);
    EXPECT_EQ(lines(2560, Traffic::packed), 16U);
    EXPECT_EQ(lines(2561, Traffic::packed), 8U);
    EXPECT_EQ(lines(65536, Traffic::streamed), 8U);
    EXPECT_EQ(lines(65537, Traffic::streamed), any_number_of_lines);
    EXPECT_EQ(lines(65536, Traffic::fetched), any_number_of_lines);
    EXPECT_EQ(lines(65536, Traffic::cached), any_number_of_lines);
    EXPECT_EQ(plan(in_memory(8192)).lines_at_once, 8U);
    EXPECT_EQ(plan(in_memory(8192), 1, SIMDNORM_STORE_AUTO, 0, false, emerald_rapids).lines_at_once,
              any_number_of_lines);
}

TEST(Plan, OverlapsOnlyRowsOfOneBlockHoweverLargeL1Is) {
    for (std::size_t columns = simdnorm::statistics_block + 1; columns != 0; columns *= 2) {
        for (const std::size_t l1d : Sizes{1, 32U << 10, 192U << 10, 1U << 30}) {
            for (const simdnorm::Machine &machine :
                 {with_l1(zen_4, l1d), with_l1(zen_5, l1d), with_l1(emerald_rapids, l1d)}) {
                for (const bool fills_lines : {false, true}) {
                    EXPECT_FALSE(simdnorm::is_overlapped(simdnorm::grouping_in_cache(columns, fills_lines, machine)))
                        << columns << ", " << l1d;
                    EXPECT_FALSE(simdnorm::is_overlapped(simdnorm::grouping_in_memory(columns, fills_lines, machine)))
                        << columns << ", " << l1d;
                }
            }
        }
        if (columns > SIZE_MAX / 2) {
            break;
        }
    }
}

TEST(Plan, StreamsWhatDoesNotFitInTheCaches) {
    EXPECT_EQ(plan({100, 64}).traffic, Traffic::cached);
    EXPECT_EQ(plan(in_memory(64)).traffic, Traffic::streamed);
    EXPECT_EQ(plan(in_memory(97)).traffic, Traffic::packed);
    EXPECT_EQ(plan(in_memory(95)).traffic, Traffic::cached);
    const auto traffic_on_emerald_rapids = [](std::size_t columns) {
        return plan(in_memory(columns), 1, SIMDNORM_STORE_AUTO, 0, false, emerald_rapids).traffic;
    };
    EXPECT_EQ(plan(in_memory(19), 1, SIMDNORM_STORE_AUTO, 0, false, emerald_rapids).grouping,
              Grouping::overlapped_eights);
    for (const std::size_t columns : Sizes{1, 19}) {
        EXPECT_EQ(plan(in_memory(columns), 1, SIMDNORM_STORE_AUTO, 0, false, zen_5).traffic, Traffic::fetched);
    }
    EXPECT_EQ(traffic_on_emerald_rapids(19), Traffic::cached);
    EXPECT_EQ(traffic_on_emerald_rapids(20), Traffic::fetched);
    EXPECT_EQ(traffic_on_emerald_rapids(32), Traffic::streamed);
    EXPECT_EQ(traffic_on_emerald_rapids(35), Traffic::fetched);
    EXPECT_EQ(traffic_on_emerald_rapids(36), Traffic::packed);
    const auto traffic_held = [](std::size_t columns, std::size_t held, std::size_t stride) {
        const simdnorm::Machine machine = with_held_columns(emerald_rapids, held);
        return plan(in_memory(columns), 1, SIMDNORM_STORE_AUTO, 1, false, machine, stride).traffic;
    };
    EXPECT_EQ(traffic_held(32, 128, 0), Traffic::fetched);
    EXPECT_EQ(traffic_held(33, 128, 0), Traffic::packed);
    EXPECT_EQ(traffic_held(33, 128, 33), Traffic::packed);
    EXPECT_EQ(traffic_held(33, 128, 34), Traffic::fetched);
    EXPECT_EQ(traffic_held(35, 24, 0), Traffic::fetched);
    EXPECT_EQ(traffic_held(36, 24, 0), Traffic::packed);
    EXPECT_EQ(plan(in_memory(95), 1, SIMDNORM_STORE_STREAMING).traffic, Traffic::packed);
    EXPECT_EQ(plan(in_memory(96), 1, SIMDNORM_STORE_AUTO, 4).traffic, Traffic::packed);
    EXPECT_EQ(plan(in_memory(64), 1, SIMDNORM_STORE_CACHED).traffic, Traffic::fetched);
    EXPECT_EQ(plan({100, 64}, 1, SIMDNORM_STORE_STREAMING).traffic, Traffic::streamed);
    EXPECT_EQ(plan({100, 65}, 1, SIMDNORM_STORE_STREAMING).traffic, Traffic::packed);
}

// A plan knows how many columns the set in use holds in registers.
TEST(Plan, GoesByTheInstructionSetInUse) {
    for (const std::string &name : usable_instruction_sets()) {
        const UseInstructionSet use(name);
        EXPECT_EQ(simdnorm::machine_in_use().held_columns, name == "avx512" ? 128U : name == "avx2" ? 24U : 0U) << name;
    }
}

TEST(Plan, StreamsBeyondTheShareOfTheLastCache) {
    EXPECT_LE(simdnorm::this_machine().last_level, 32U << 20);
    constexpr std::size_t rows = zen_4.last_level / (2 * sizeof(float) * 64);
    EXPECT_EQ(plan({rows, 64}).traffic, Traffic::cached);
    EXPECT_EQ(plan({rows + 1, 64}).traffic, Traffic::streamed);
}

TEST(Plan, NeverStreamsInPlaceUnasked) {
    EXPECT_EQ(plan(in_memory(64), 1, SIMDNORM_STORE_AUTO, 0, true).traffic, Traffic::fetched);
    EXPECT_EQ(plan(in_memory(64), 1, SIMDNORM_STORE_STREAMING, 0, true).traffic, Traffic::streamed);
}

TEST(Plan, DealsOutRowsAndSharesThemWhereTheyAreFew) {
    const auto expect = [](Shape shape, int wanted, int threads, bool shares_rows,
                           const simdnorm::Machine &machine = zen_4) {
        const ExecutionPlan actual = plan(shape, wanted, SIMDNORM_STORE_AUTO, 0, false, machine);
        EXPECT_EQ(actual.division.threads, threads) << shape.rows << " x " << shape.columns << " on " << wanted;
        EXPECT_EQ(actual.division.shares_rows, shares_rows) << shape.rows << " x " << shape.columns << " on " << wanted;
    };
    expect({1, 3000000}, 1, 1, false);
    expect({1000, 768}, 4, 4, false);
    expect({1000, 768}, 100, 48, false); // no thread of less work than 16,384 elements, and a row counts as 32 more
    expect({682, 16}, 2, 1, false);
    expect({683, 16}, 2, 2, false);
    expect({8, 768}, 4, 1, false);
    expect({2, 20000}, 8, 2, false);
    expect({4, 3000000}, 4, 4, false);
    expect({1, 3000000}, 4, 4, true);
    expect({1, 40000}, 8, 2, true);
    expect({1, 32767}, 8, 1, false);
    expect({2, 100000}, 8, 6, true);
    expect({3, 3000000}, 2, 2, true);    // dealt out, one thread would have twice the other's work
    expect({101, 3000000}, 2, 2, false); // one in a hundred more
    expect({64, 1024}, 2, 2, false);
    expect({64, 1024}, 2, 1, false, zen_5);
    expect({96, 1024}, 2, 2, false, zen_5);
    expect({1985, 33}, 2, 2, false, zen_5);
    expect({1, 98303}, 2, 1, false, zen_5);
    expect({1, 98304}, 2, 2, true, zen_5);
}

} // namespace
} // namespace simdnorm_test
