// What a call does when memory runs out: each of its allocations fails once, one after the other.
#include "backward_call.hpp"
#include "call.hpp"
#include "families.hpp"
#include "instruction_sets.hpp"
#include "random.hpp"

#include <simdnorm/simdnorm.h>

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <new>
#include <vector>

namespace {

// How many allocations still succeed before one fails; below zero, all do.
std::atomic<int> successes{-1};

bool fails_now() {
    return successes >= 0 && successes-- == 0;
}

} // namespace

// The library's way to ask for memory.
void *operator new[](std::size_t size, const std::nothrow_t &) noexcept {
    return fails_now() ? nullptr : ::operator new[](size);
}

namespace simdnorm_test {
namespace {

class OutOfMemory : public OnInstructionSet {};

Problem problem_of(std::size_t rows, std::size_t columns) {
    return mixed_problem(seed_for("out of memory", columns, rows), rows, columns);
}

// Calls with the first allocation failing, then with the second, until none is left to fail; then the call succeeds.
simdnorm_status fail_each_allocation(const simdnorm_layer_norm_backward_args &args, int &allocations) {
    const auto outputs = [&] {
        std::vector<float> values(args.dx, args.dx + args.rows * args.columns);
        values.insert(values.end(), args.dgamma, args.dgamma + args.columns);
        return values;
    };
    const std::vector<float> before = outputs();
    for (allocations = 0;; ++allocations) {
        successes = allocations;
        const simdnorm_status status = simdnorm_layer_norm_backward(&args);
        if (successes.exchange(-1) >= 0) {
            return status;
        }
        EXPECT_EQ(status, SIMDNORM_OUT_OF_MEMORY) << "allocation " << allocations;
        EXPECT_TRUE(same_bits("dx and dgamma", outputs(), before)) << "allocation " << allocations;
    }
}

// Without dbeta, for which there is then a place to be had too.
int allocations_that_fail(std::size_t rows, std::size_t columns) {
    const Backward problem(problem_of(rows, columns), seed_for("dy", columns, rows));
    int allocations = 0;
    layer_norm_backward(problem, {.threads = 2}, {.dbeta = false}, [&](const simdnorm_layer_norm_backward_args &args) {
        return fail_each_allocation(args, allocations);
    });
    return allocations;
}

TEST_P(OutOfMemory, BackwardTellsItAndWritesNothing) {
    EXPECT_EQ(allocations_that_fail(200, 1200), 1); // trees, their sums, the place of dbeta
}

TEST_P(OutOfMemory, BackwardOfSharedRowsTellsItAndWritesNothing) {
    EXPECT_EQ(allocations_that_fail(1, 300'000), 1); // the place of dbeta, the sums of blocks
}

TEST_P(OutOfMemory, BackwardOfNothingWantedTakesNone) {
    const Problem problem = problem_of(200, 1200);
    const std::vector<float> statistics(200, 1.0F);
    simdnorm_layer_norm_backward_args args = {};
    args.rows = 200;
    args.columns = 1200;
    args.dy = problem.x.data();
    args.x = problem.x.data();
    args.mean = statistics.data();
    args.rstd = statistics.data();
    args.threads = 2;
    successes = 0;
    EXPECT_EQ(simdnorm_layer_norm_backward(&args), SIMDNORM_OK);
    EXPECT_EQ(successes.exchange(-1), 0) << "an allocation was asked for";
}

TEST_P(OutOfMemory, ForwardKeepsEachRowOnOneThread) {
    const Problem problem = problem_of(1, 300'000);
    const Result expected = layer_norm(problem);
    successes = 0;
    const Result actual = layer_norm(problem, {.threads = 2});
    EXPECT_LT(successes.exchange(-1), 0) << "no allocation failed";
    EXPECT_TRUE(same_bits(actual, expected));
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(OutOfMemory);

} // namespace
} // namespace simdnorm_test
