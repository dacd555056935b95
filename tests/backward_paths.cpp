// Which path a call of the backward pass takes, and that each gives the same bits as the scalar set's plainest one:
// every size of group with every way to store dx, and rows shared by threads, on every set.
#include "backward_call.hpp"
#include "execution_plan.hpp"
#include "families.hpp"
#include "guarded_call.hpp"
#include "instruction_sets.hpp"
#include "layer_norm.hpp"
#include "plans.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

using simdnorm::any_number_of_lines;
using simdnorm::BackwardPlan;
using simdnorm::Division;
using simdnorm::FetchInto;
using simdnorm::Traffic;
using simdnorm::Walk;

// The rest of a plan follows from the shape, and bits depend on it.
struct Path {
    std::size_t rows_of_group;
    Traffic traffic;
    Division division = {.threads = 1, .shares_rows = false};
    bool merges_together = false;
    bool in_turns = false;
};

// Of rows that a thread has to itself: every size of group, and one or two in turns with the next.
std::vector<Path> paths_of_own_rows(std::size_t columns) {
    std::vector<Path> paths;
    for (const Traffic traffic : all_traffics) {
        for (const std::size_t rows_of_group : Sizes{1, 2, 4, 8}) {
            paths.push_back({.rows_of_group = rows_of_group, .traffic = traffic});
        }
        for (const std::size_t rows_of_group : Sizes{1, 2}) {
            if (simdnorm::can_take_turns(columns, rows_of_group, traffic)) {
                paths.push_back({.rows_of_group = rows_of_group, .traffic = traffic, .in_turns = true});
            }
        }
    }
    return paths;
}

std::string describe(const Backward &problem, const Path &path) {
    return "groups of " + std::to_string(path.rows_of_group) + ", " + testing::PrintToString(path.traffic) + ", " +
           std::to_string(path.division.threads) + " threads" +
           (path.division.shares_rows ? " that share rows"
            : path.merges_together    ? " that merge together"
            : path.in_turns           ? ", in turns"
                                      : "") +
           ", " + std::to_string(problem.forward.rows) + " x " + std::to_string(problem.forward.columns);
}

// A call that goes that way.
auto along(const Path &path) {
    return [path](const simdnorm_layer_norm_backward_args &args) {
        BackwardPlan plan = simdnorm::plan_layer_norm_backward(args, simdnorm::this_machine());
        plan.division = path.division;
        plan.merges_together = path.merges_together;
        plan.rows_of_group = path.rows_of_group;
        plan.traffic = path.traffic;
        plan.in_turns = path.in_turns;
        plan.lines_at_once = args.rows % 2 == 0 ? 5 : any_number_of_lines;
        plan.fetch_into = args.rows < 8 ? FetchInto::l1 : FetchInto::l2;
        plan.walk = args.rows % 3 == 2 ? Walk::in_loops : Walk::unrolled;
        return simdnorm::layer_norm_backward(args, plan);
    };
}

Gradients by_path(const Backward &problem, const Layout &layout, const Path &path) {
    return layer_norm_backward(problem, layout, {}, along(path));
}

Gradients plainest(const Backward &problem) {
    const UseInstructionSet scalar("scalar");
    return by_path(problem, {}, {1, Traffic::cached});
}

// dx without gaps from the start of a line on, with gaps from anywhere, and over dy. Rows that fill whole lines may be
// streamed.
std::vector<Layout> layouts(std::size_t columns, Traffic traffic) {
    if (!can_carry(traffic, columns)) {
        return {};
    }
    if (traffic == Traffic::streamed) {
        return {{}, {.x_stride = columns + simdnorm::cache_line_floats}};
    }
    return {{},
            {.beta_offset = 5},
            {.x_stride = columns + 3, .y_stride = columns + 7, .x_offset = 1, .y_offset = 11, .beta_offset = 3},
            {.x_offset = 9, .y_offset = 2, .in_place = true}};
}

class BackwardPaths : public OnInstructionSet {
  protected:
    static void expect_same_bits(const Backward &problem, const Path &path) {
        const Gradients expected = plainest(problem);
        for (const Layout &layout : layouts(problem.forward.columns, path.traffic)) {
            ASSERT_TRUE(same_bits(by_path(problem, layout, path), expected))
                << describe(problem, path) << ", " << layout;
        }
    }
};

TEST_P(BackwardPaths, EveryGroupAndTraffic) {
    for (const std::size_t columns : Sizes{1,   7,   16,  17,  31,  32,  33,   64,   96,   100,  127,  128,
                                           129, 192, 256, 300, 512, 768, 1000, 1024, 1025, 4096, 4097, 8200}) {
        for (const std::size_t rows : Sizes{1, 2, 7, 8, 16, 17, 41, 69}) { // 69: leaves of more than two batches
            if (rows * columns > 70000) {
                continue;
            }
            const std::uint64_t seed = seed_for("backward paths", rows, columns);
            for (const Problem &forward : {mixed_problem(seed, rows, columns), normal_problem(seed, rows, columns)}) {
                const Backward problem(forward, seed);
                for (const Path &path : paths_of_own_rows(columns)) {
                    expect_same_bits(problem, path);
                }
            }
        }
    }
}

TEST_P(BackwardPaths, AnUnusualGroupBetweenOrdinaryOnes) {
    for (const std::size_t columns : Sizes{1, 7, 24, 33, 64, 100, 128, 300, 5000}) {
        const std::uint64_t seed = seed_for("unusual group", columns);
        Problem forward = normal_problem(seed, 32, columns);
        for (std::size_t i = 8 * columns; i < 16 * columns; ++i) {
            forward.x[i] *= 1e15F;
        }
        const Backward problem(forward, seed);
        for (const Path &path : paths_of_own_rows(columns)) {
            expect_same_bits(problem, path);
        }
    }
}

TEST_P(BackwardPaths, DealtOutLeaves) {
    for (const Shape &shape :
         {Shape{17, 1}, Shape{40, 30}, Shape{21, 5000}, Shape{70, 8200}, Shape{150, 2100}, Shape{9000, 100}}) {
        const std::uint64_t seed = seed_for("dealt out", shape.rows, shape.columns);
        const Backward problem(normal_problem(seed, shape.rows, shape.columns), seed);
        const Gradients expected = plainest(problem);
        for (const int threads : {1, 2, 3, 8}) {
            for (const bool merges_together : {false, true}) {
                Path path = {4, Traffic::cached, {.threads = threads, .shares_rows = false}, merges_together};
                ASSERT_TRUE(same_bits(by_path(problem, {}, path), expected)) << describe(problem, path);
                path.rows_of_group = 1;
                path.traffic = Traffic::packed;
                path.in_turns = simdnorm::can_take_turns(shape.columns, 1, Traffic::packed);
                ASSERT_TRUE(same_bits(by_path(problem, {}, path), expected)) << describe(problem, path);
                path.rows_of_group = 2;
                path.traffic = Traffic::fetched;
                path.in_turns = simdnorm::can_take_turns(shape.columns, 2, Traffic::fetched);
                ASSERT_TRUE(same_bits(by_path(problem, {}, path), expected)) << describe(problem, path);
            }
        }
    }
}

TEST_P(BackwardPaths, SharedRows) {
    for (const Shape &shape : {Shape{2, 1}, Shape{1, 4097}, Shape{5, 12288}, Shape{19, 9001}}) {
        const std::uint64_t seed = seed_for("shared", shape.rows, shape.columns);
        for (const Problem &forward :
             {mixed_problem(seed, shape.rows, shape.columns), normal_problem(seed, shape.rows, shape.columns)}) {
            const Backward problem(forward, seed);
            for (const int threads : {1, 2, 3, 8}) {
                for (const std::size_t rows_of_group : Sizes{1, 2, 4, 8}) {
                    for (const Traffic traffic : all_traffics) {
                        expect_same_bits(problem, {rows_of_group, traffic, {.threads = threads, .shares_rows = true}});
                    }
                }
            }
        }
    }
}

// Every argument between forbidden pages, dx apart from dy and over it.
void expect_nothing_beside_touched(GuardedBackwardCall &guarded, const Backward &problem, const Gradients &expected,
                                   const Path &path) {
    if (!can_carry(path.traffic, problem.forward.columns)) {
        return;
    }
    for (const Flush flush : both_ends) {
        for (const bool in_place : {false, true}) {
            ASSERT_TRUE(same_bits(guarded.layer_norm_backward(problem, {.in_place = in_place}, {}, flush, along(path)),
                                  expected))
                << describe(problem, path) << (in_place ? ", in place" : "");
        }
    }
}

TEST_P(BackwardPaths, NothingBesideTheArgumentsIsTouched) {
    GuardedBackwardCall guarded(17 * 8193, 8193);
    for (const std::size_t columns : guarded_columns()) {
        for (const std::size_t rows : Sizes{1, 3, 8, 17}) {
            const std::uint64_t seed = seed_for("guarded backward", rows, columns);
            const Backward problem(normal_problem(seed, rows, columns), seed);
            const Gradients expected = plainest(problem);
            for (const Path &path : paths_of_own_rows(columns)) {
                expect_nothing_beside_touched(guarded, problem, expected, path);
            }
        }
    }
}

TEST_P(BackwardPaths, NothingBesideSharedRowsIsTouched) {
    GuardedBackwardCall guarded(17 * 12289, 12289);
    for (const std::size_t columns : Sizes{1, 33, 4095, 4096, 4097, 8192, 8193, 12289}) {
        const std::uint64_t seed = seed_for("guarded backward", 17, columns);
        const Backward problem(normal_problem(seed, 17, columns), seed);
        const Gradients expected = plainest(problem);
        for (const int threads : {1, 2, 3}) {
            for (const std::size_t rows_of_group : Sizes{1, 2, 4, 8}) {
                for (const Traffic traffic : all_traffics) {
                    expect_nothing_beside_touched(guarded, problem, expected,
                                                  {rows_of_group, traffic, {.threads = threads, .shares_rows = true}});
                }
            }
        }
    }
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(BackwardPaths);

// The plan looks at sizes and addresses alone: nothing here is ever read.
BackwardPlan plan(Shape shape, int store = SIMDNORM_STORE_AUTO, bool in_place = false, std::size_t offset_of_dx = 0,
                  int threads = 1, const simdnorm::Machine &machine = zen_4, std::size_t dx_stride = 0) {
    alignas(64) static float memory[256];
    simdnorm_layer_norm_backward_args args = {};
    args.dx_stride = dx_stride;
    args.rows = shape.rows;
    args.columns = shape.columns;
    args.dx = memory + offset_of_dx;
    args.dy = in_place ? args.dx : memory + 128;
    args.threads = threads;
    args.store = store;
    return simdnorm::plan_layer_norm_backward(args, machine);
}

TEST(BackwardPlanning, GroupsRowsInCache) {
    EXPECT_EQ(plan({8, 1}).rows_of_group, 8U);
    EXPECT_EQ(plan({8, 4096}).rows_of_group, 8U);
    EXPECT_EQ(plan({1, 4097}).rows_of_group, 4U);
    const auto on_emerald_rapids = [](std::size_t columns) {
        return plan({8, columns}, SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids).rows_of_group;
    };
    EXPECT_EQ(on_emerald_rapids(512), 8U);
    EXPECT_EQ(on_emerald_rapids(513), 4U);
    EXPECT_EQ(on_emerald_rapids(8192), 4U);
}

TEST(BackwardPlanning, GroupsRowsInMemory) {
    const auto rows = [](std::size_t columns) { return plan(in_memory(columns)).rows_of_group; };
    EXPECT_EQ(rows(64), 8U);
    EXPECT_EQ(rows(112), 8U);
    EXPECT_EQ(rows(113), 4U);
    EXPECT_EQ(rows(192), 4U);
    EXPECT_EQ(rows(193), 2U);
    EXPECT_EQ(rows(480), 2U);
    EXPECT_EQ(rows(481), 1U);
    EXPECT_EQ(rows(2047), 1U);
    EXPECT_EQ(rows(2048), 4U);
    EXPECT_EQ(rows(8192), 4U);
    EXPECT_EQ(rows(8193), 1U);
    EXPECT_EQ(plan(in_memory(47)).rows_of_group, 8U); // by ordinary stores
    EXPECT_EQ(plan(in_memory(49)).rows_of_group, 4U);
    EXPECT_EQ(plan(in_memory(95)).rows_of_group, 4U);
    const auto on_emerald_rapids = [](std::size_t columns) {
        return plan(in_memory(columns), SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids).rows_of_group;
    };
    EXPECT_EQ(on_emerald_rapids(128), 8U);
    EXPECT_EQ(on_emerald_rapids(129), 4U);
    EXPECT_EQ(on_emerald_rapids(192), 4U);
    EXPECT_EQ(on_emerald_rapids(193), 2U);
    EXPECT_EQ(on_emerald_rapids(640), 2U);
    EXPECT_EQ(on_emerald_rapids(641), 1U);
    EXPECT_EQ(on_emerald_rapids(2544), 1U);
    for (const std::size_t columns : Sizes{2560, 8192, 3000000}) { // in turns
        EXPECT_EQ(on_emerald_rapids(columns), 2U) << columns;
    }
    EXPECT_EQ(on_emerald_rapids(2561), 1U); // in turns, and packed
    EXPECT_EQ(plan(in_memory(2560), SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids).prefetch_lead, 512U);
    EXPECT_EQ(plan({2, 5000000}, SIMDNORM_STORE_AUTO, false, 0, 2, emerald_rapids).rows_of_group, 1U); // shared
    EXPECT_EQ(plan(in_memory(64)).prefetch_lead, 2048U);
    EXPECT_EQ(plan(in_memory(64), SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids).prefetch_lead, 256U);
}

TEST(BackwardPlanning, TakesTurnsWithLongRowsInMemoryOnEmeraldRapids) {
    const auto takes_turns = [](std::size_t columns, const simdnorm::Machine &machine) {
        return plan(in_memory(columns), SIMDNORM_STORE_AUTO, false, 0, 1, machine).in_turns;
    };
    EXPECT_FALSE(takes_turns(2559, emerald_rapids));
    EXPECT_TRUE(takes_turns(2560, emerald_rapids));
    EXPECT_TRUE(takes_turns(3000000, emerald_rapids));
    EXPECT_FALSE(takes_turns(2560, zen_4));
    EXPECT_FALSE(takes_turns(8193, zen_5));
    EXPECT_FALSE(plan({8, 4096}, SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids).in_turns);
    EXPECT_FALSE(plan({2, 5000000}, SIMDNORM_STORE_AUTO, false, 0, 2, emerald_rapids).in_turns); // threads share rows
    simdnorm_layer_norm_backward_args without_dx = {};
    without_dx.rows = 4096;
    without_dx.columns = 4096;
    without_dx.store = SIMDNORM_STORE_STREAMING;
    EXPECT_FALSE(simdnorm::plan_layer_norm_backward(without_dx, emerald_rapids).in_turns);
    EXPECT_FALSE(simdnorm::can_take_turns(128, 1, Traffic::streamed));
    EXPECT_TRUE(simdnorm::can_take_turns(129, 1, Traffic::fetched));
    EXPECT_TRUE(simdnorm::can_take_turns(129, 2, Traffic::streamed));
    EXPECT_FALSE(simdnorm::can_take_turns(129, 4, Traffic::streamed));
    EXPECT_FALSE(simdnorm::can_take_turns(129, 1, Traffic::cached));
}

TEST(BackwardPlanning, GroupsRowsOnZen5) {
    const auto plan_of = [](Shape shape) { return plan(shape, SIMDNORM_STORE_AUTO, false, 0, 1, zen_5); };
    EXPECT_EQ(plan_of({8, 512}).rows_of_group, 8U);
    EXPECT_EQ(plan_of({8, 513}).rows_of_group, 4U);
    EXPECT_EQ(plan_of(in_memory(96)).rows_of_group, 8U);
    EXPECT_EQ(plan_of(in_memory(97)).rows_of_group, 4U);
    EXPECT_EQ(plan_of(in_memory(33)).rows_of_group, 8U); // by ordinary stores
    EXPECT_EQ(plan_of(in_memory(67)).traffic, Traffic::fetched);
    EXPECT_EQ(plan_of(in_memory(68)).traffic, Traffic::packed);
    EXPECT_EQ(plan_of(in_memory(160)).rows_of_group, 4U);
    EXPECT_EQ(plan_of(in_memory(161)).rows_of_group, 2U);
    EXPECT_EQ(plan_of(in_memory(640)).rows_of_group, 2U);
    EXPECT_EQ(plan_of(in_memory(641)).rows_of_group, 1U);
    EXPECT_EQ(plan_of(in_memory(4096)).rows_of_group, 4U);
    EXPECT_EQ(plan_of(in_memory(4097)).rows_of_group, 1U);
    EXPECT_EQ(plan_of(in_memory(4096)).lines_at_once, any_number_of_lines);
    EXPECT_EQ(plan_of(in_memory(4112)).lines_at_once, 8U);
    EXPECT_EQ(plan_of(in_memory(639)).lines_at_once, any_number_of_lines);
    EXPECT_EQ(plan_of(in_memory(641)).lines_at_once, 16U);
    EXPECT_EQ(plan_of(in_memory(65552)).lines_at_once, any_number_of_lines);
    EXPECT_EQ(plan_of(in_memory(64)).prefetch_lead, 1024U);
    EXPECT_EQ(plan_of(in_memory(64)).fetch_into, FetchInto::l1);
}

TEST(BackwardPlanning, SumsInLoopsOnZen4Alone) {
    for (const Shape &shape : {Shape{8, 256}, in_memory(256)}) {
        EXPECT_EQ(plan(shape).walk, Walk::in_loops);
        EXPECT_EQ(plan(shape, SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids).walk, Walk::unrolled);
        EXPECT_EQ(plan(shape, SIMDNORM_STORE_AUTO, false, 0, 1, zen_5).walk, Walk::unrolled);
    }
}

TEST(BackwardPlanning, LimitsLinesAtOnceOnZen4) {
    const auto lines = [](std::size_t columns, Traffic traffic) {
        return simdnorm::gradient_lines_at_once_in_memory(columns, traffic, zen_4);
    };
    EXPECT_EQ(lines(1024, Traffic::streamed), any_number_of_lines);
    EXPECT_EQ(lines(1025, Traffic::streamed), 8U);
    EXPECT_EQ(lines(2047, Traffic::streamed), 8U);
    EXPECT_EQ(lines(2048, Traffic::streamed), 4U);
    EXPECT_EQ(lines(2047, Traffic::packed), any_number_of_lines);
    EXPECT_EQ(lines(2048, Traffic::packed), 8U);
    EXPECT_EQ(lines(45056, Traffic::streamed), 4U);
    EXPECT_EQ(lines(45057, Traffic::streamed), any_number_of_lines);
    EXPECT_EQ(lines(45056, Traffic::fetched), any_number_of_lines);
    EXPECT_EQ(lines(45056, Traffic::cached), any_number_of_lines);
    EXPECT_EQ(plan(in_memory(8192)).lines_at_once, 4U);
    EXPECT_EQ(plan(in_memory(8192), SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids).lines_at_once,
              any_number_of_lines);
}

TEST(BackwardPlanning, StreamsWhatDoesNotFitInTheCaches) {
    EXPECT_EQ(plan({100, 64}).traffic, Traffic::cached);
    EXPECT_EQ(plan(in_memory(64)).traffic, Traffic::streamed);
    EXPECT_EQ(plan(in_memory(97)).traffic, Traffic::packed);
    EXPECT_EQ(plan(in_memory(95)).traffic, Traffic::cached);
    const auto on_emerald_rapids = [](std::size_t columns) {
        return plan(in_memory(columns), SIMDNORM_STORE_AUTO, false, 0, 1, emerald_rapids);
    };
    EXPECT_EQ(on_emerald_rapids(19).traffic, Traffic::cached);
    EXPECT_EQ(on_emerald_rapids(20).traffic, Traffic::fetched);
    EXPECT_EQ(on_emerald_rapids(47).traffic, Traffic::fetched);
    EXPECT_EQ(plan(in_memory(48), SIMDNORM_STORE_AUTO, false, 1, 1, emerald_rapids).traffic, Traffic::packed);
    const auto traffic_held = [](std::size_t columns, std::size_t held, std::size_t stride) {
        const simdnorm::Machine machine = with_held_columns(emerald_rapids, held);
        return plan(in_memory(columns), SIMDNORM_STORE_AUTO, false, 1, 1, machine, stride).traffic;
    };
    EXPECT_EQ(traffic_held(23, 128, 0), Traffic::fetched);
    EXPECT_EQ(traffic_held(24, 128, 0), Traffic::packed);
    EXPECT_EQ(traffic_held(24, 128, 24), Traffic::packed);
    EXPECT_EQ(traffic_held(24, 128, 25), Traffic::fetched);
    EXPECT_EQ(traffic_held(47, 128, 48), Traffic::fetched);
    EXPECT_EQ(traffic_held(48, 128, 49), Traffic::packed);
    EXPECT_EQ(traffic_held(47, 24, 0), Traffic::fetched);
    for (const std::size_t columns : Sizes{1, 19}) {
        EXPECT_EQ(plan(in_memory(columns), SIMDNORM_STORE_AUTO, false, 0, 1, zen_5).traffic, Traffic::fetched);
    }
    EXPECT_EQ(plan(in_memory(96), SIMDNORM_STORE_AUTO, false, 1).traffic, Traffic::packed);
    EXPECT_EQ(plan(in_memory(64), SIMDNORM_STORE_AUTO, true).traffic, Traffic::fetched);
    EXPECT_EQ(plan(in_memory(64), SIMDNORM_STORE_CACHED).traffic, Traffic::fetched);
    EXPECT_EQ(plan({2, 64}, SIMDNORM_STORE_STREAMING).traffic, Traffic::streamed);
    EXPECT_EQ(plan({2, 33}, SIMDNORM_STORE_STREAMING).traffic, Traffic::packed);
}

TEST(BackwardPlanning, CutsRowsIntoLeavesForTwoThreads) {
    const auto expect = [](Shape shape, std::size_t rows_of_leaf, std::size_t leaves) {
        // By the shape alone: bits depend on it.
        for (const simdnorm::Machine &machine : {zen_4, zen_5, emerald_rapids}) {
            for (const int threads : {1, 2, 8}) {
                for (const int store : {SIMDNORM_STORE_CACHED, SIMDNORM_STORE_STREAMING}) {
                    const BackwardPlan actual = plan(shape, store, threads == 2, 0, threads, machine);
                    EXPECT_EQ(actual.rows_of_leaf, rows_of_leaf) << shape.rows << " x " << shape.columns;
                    EXPECT_EQ(actual.leaves, leaves) << shape.rows << " x " << shape.columns;
                }
            }
        }
    };
    expect({1, 768}, 16, 1);
    expect({16, 768}, 16, 1);
    expect({17, 768}, 12, 2);
    expect({42, 2048}, 24, 2); // not one of 32 and one of 10
    expect({68, 1280}, 36, 2);
    expect({28, 3072}, 16, 2);
    expect({1365, 64}, 684, 2);
    expect({1365, 512}, 116, 12); // not eleven of 128
    expect({436, 1600}, 56, 8);
    expect({28, 8191}, 16, 2);
    expect({28, 8192}, 28, 1); // two blocks, which threads can share
    expect({65536, 64}, 1024, 64);
    expect({4096, 4096}, 64, 64);
    expect({4100, 4096}, 64, 65);
    expect({66000, 1}, 33000, 2);
}

TEST(BackwardPlanning, MergesTogetherWhereThatTakesLongerThanMeeting) {
    const auto merges_together = [](Shape shape, int threads) {
        return plan(shape, SIMDNORM_STORE_AUTO, false, 0, threads).merges_together;
    };
    EXPECT_FALSE(merges_together({300, 1535}, 2));
    EXPECT_TRUE(merges_together({300, 1536}, 2));
    EXPECT_FALSE(merges_together({300, 1536}, 1));
    EXPECT_FALSE(merges_together({2, 3000000}, 2)); // shared
}

TEST(BackwardPlanning, DealsOutLeavesAndSharesRowsWhereTheseAreFew) {
    const auto expect = [](Shape shape, int wanted, int threads, bool shares_rows,
                           const simdnorm::Machine &machine = zen_4) {
        const simdnorm::Division actual = plan(shape, SIMDNORM_STORE_AUTO, false, 0, wanted, machine).division;
        EXPECT_EQ(actual.threads, threads) << shape.rows << " x " << shape.columns << " on " << wanted;
        EXPECT_EQ(actual.shares_rows, shares_rows) << shape.rows << " x " << shape.columns << " on " << wanted;
    };
    expect({2, 3000000}, 1, 1, false);
    expect({3000000, 2}, 4, 4, false);
    expect({2, 3000000}, 4, 4, true);
    expect({42, 16384}, 4, 4, true); // one leaf; threads meet once for four rows, each with 16,384 elements
    expect({42, 8192}, 4, 2, true);
    expect({1, 16384}, 4, 1, false);   // one row, which is too little to meet for
    expect({16, 4096}, 4, 1, false);   // one batch of rows of one block
    expect({42, 4096}, 4, 2, false);   // two leaves
    expect({129, 16384}, 2, 2, false); // four leaves
    expect({129, 16384}, 3, 3, true);  // dealt out, one thread would have 72 rows and each of the others 36 at most
    expect({256, 16384}, 4, 4, false);
    expect({85, 512}, 2, 2, false);
    expect({85, 512}, 2, 1, false, zen_5);
    expect({42, 16384}, 4, 1, false, zen_5); // one leaf, and a group of four rows is too little to meet for
}

} // namespace
} // namespace simdnorm_test
