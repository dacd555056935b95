// The caller's floating-point environment changes no bit, and a call changes nothing of it, flags included.
#include "backward_call.hpp"
#include "call.hpp"
#include "instruction_sets.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cfenv>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

// All that a thread's environment consists of.
struct Environment {
    std::uint64_t control = 0; // x86: MXCSR with its flags; Arm: FPCR
    std::uint64_t status = 0;  // x86: the x87 control word; Arm: FPSR
    int rounding = 0;

    bool operator==(const Environment &) const = default;
};

std::ostream &operator<<(std::ostream &out, const Environment &environment) {
    return out << std::hex << "control 0x" << environment.control << ", status 0x" << environment.status
               << ", rounding 0x" << environment.rounding;
}

#if defined(__x86_64__)

Environment environment_now() {
    std::uint16_t x87 = 0;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return {_mm_getcsr(), x87, std::fegetround()};
}

void flush_denormals() {
    _mm_setcsr(_mm_getcsr() | 0x8040); // FTZ and DAZ
}

#elif defined(__aarch64__)

Environment environment_now() {
    Environment now;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now.control));
    __asm__ volatile("mrs %0, fpsr" : "=r"(now.status));
    now.rounding = std::fegetround();
    return now;
}

void flush_denormals() {
    std::uint64_t control = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | std::uint64_t{1} << 24)); // FZ
}

#else
#error "tell the tests how this CPU keeps its floating-point environment"
#endif

struct Alteration {
    const char *name;
    void (*apply)();
};

constexpr Alteration alterations[] = {
    {"as it is", [] {}},
    {"rounding up", [] { std::fesetround(FE_UPWARD); }},
    {"rounding down", [] { std::fesetround(FE_DOWNWARD); }},
    {"rounding towards zero", [] { std::fesetround(FE_TOWARDZERO); }},
    {"flushing denormals", flush_denormals},
    {"flushing denormals and rounding up",
     [] {
         std::fesetround(FE_UPWARD);
         flush_denormals();
     }},
    {"with flags raised", [] { std::feraiseexcept(FE_DIVBYZERO | FE_OVERFLOW | FE_INVALID); }},
    {"with every flag raised and rounding down",
     [] {
         std::fesetround(FE_DOWNWARD);
         std::feraiseexcept(FE_ALL_EXCEPT);
     }},
    // A processor without traps leaves them masked: then this one is the environment as it is.
    {"with traps unmasked", [] { feenableexcept(FE_ALL_EXCEPT); }},
    {"with traps unmasked and flushing denormals",
     [] {
         flush_denormals();
         feenableexcept(FE_ALL_EXCEPT);
     }},
};

struct Observed {
    Environment before;
    Environment after;
    int traps_before;
    int traps_after;
};

// Between the two looks at the environment, nothing but the call.
template <class Run>
Observed run_altered(const Alteration &alteration, const Run &run) {
    std::fenv_t saved;
    std::fegetenv(&saved);
    std::feclearexcept(FE_ALL_EXCEPT);
    alteration.apply();
    Observed observed = {};
    observed.traps_before = fegetexcept();
    observed.before = environment_now();
    run();
    observed.after = environment_now();
    observed.traps_after = fegetexcept();
    std::fesetenv(&saved);
    return observed;
}

Observed run_altered(Call &call, const Alteration &alteration) {
    return run_altered(alteration, [&] { call.run(); });
}

std::vector<Problem> finite_problems() {
    std::vector<Problem> problems;
    for (const Family &family : all_families()) {
        for (const std::size_t d : Sizes{1, 7, 33, 257, 4097}) {
            for (const double epsilon : {1e-5, 0.0}) {
                const std::uint64_t seed = seed_for(family.name, d);
                Problem problem{.rows = 3, .columns = d, .epsilon = epsilon};
                for (std::uint64_t row = 0; row < problem.rows; ++row) {
                    const std::vector<float> values = family.row(seed + row, d);
                    problem.x.insert(problem.x.end(), values.begin(), values.end());
                }
                problem.gamma = normal_row(seed + 3, d);
                problem.beta = scaled_normal_row(seed + 4, d, 0, 1e-39);
                problems.push_back(problem);
            }
        }
    }
    // Enough for several threads.
    problems.push_back(mixed_problem(seed_for("large"), 60, 4001));
    problems.push_back(mixed_problem(seed_for("many"), 3000, 33));
    problems.push_back(mixed_problem(seed_for("long"), 1, 200001));
    return problems;
}

std::vector<Problem> problems() {
    std::vector<Problem> problems = finite_problems();
    Problem not_finite = mixed_problem(seed_for("large"), 60, 4001);
    not_finite.x[5] = float_of(0x7f800001); // a signalling NaN
    not_finite.x[9000] = infinity;
    problems.push_back(not_finite);
    return problems;
}

class FloatingEnvironment : public OnInstructionSet {};

TEST_P(FloatingEnvironment, ChangesNoBitAndIsLeftAsItWas) {
    for (const Problem &problem : problems()) {
        const Result expected = layer_norm(problem);
        for (const Alteration &alteration : alterations) {
            for (const int threads : {1, 3}) {
                Call call(problem, {.threads = threads});
                const Observed observed = run_altered(call, alteration);
                ASSERT_EQ(observed.after, observed.before) << alteration.name << ", threads " << threads;
                ASSERT_EQ(observed.traps_after, observed.traps_before) << alteration.name << ", threads " << threads;
                ASSERT_TRUE(same_bits(call.result(), expected))
                    << alteration.name << ", " << problem.rows << " x " << problem.columns << ", threads " << threads;
            }
        }
    }
}

// Only what is finite has gradients whose bits the header settles.
TEST_P(FloatingEnvironment, ChangesNoBitOfTheBackwardPassAndIsLeftAsItWas) {
    for (const Problem &problem : finite_problems()) {
        const Backward backward(problem, seed_for("dy", problem.rows, problem.columns));
        const Gradients expected = layer_norm_backward(backward);
        for (const Alteration &alteration : alterations) {
            for (const int threads : {1, 3}) {
                Observed observed = {};
                const auto run = [&](const simdnorm_layer_norm_backward_args &args) {
                    simdnorm_status status = SIMDNORM_OK;
                    observed = run_altered(alteration, [&] { status = simdnorm_layer_norm_backward(&args); });
                    return status;
                };
                const Gradients actual = layer_norm_backward(backward, {.threads = threads}, {}, run);
                ASSERT_EQ(observed.after, observed.before) << alteration.name << ", threads " << threads;
                ASSERT_EQ(observed.traps_after, observed.traps_before) << alteration.name << ", threads " << threads;
                ASSERT_TRUE(same_bits(actual, expected))
                    << alteration.name << ", " << problem.rows << " x " << problem.columns << ", threads " << threads;
            }
        }
    }
}

// The first team of threads of a process takes over the environment of the thread that starts it.
TEST_P(FloatingEnvironment, OfTheThreadThatStartsATeamChangesNoBit) {
    const Problem problem = mixed_problem(seed_for("team"), 100, 3000);
    Call call(problem, {.threads = 3});
    run_altered(call, {"", [] {
                           std::fesetround(FE_UPWARD);
                           flush_denormals();
                       }});
    const Result in_altered_team = call.result();
    EXPECT_TRUE(same_bits(in_altered_team, layer_norm(problem, {.threads = 1})));
    EXPECT_TRUE(same_bits(layer_norm(problem, {.threads = 3}), in_altered_team));
}

#ifdef _OPENMP

// Each thread of a team has an environment of its own, here as the program has left it; LLVM's OpenMP overwrites it
// with that of the thread that starts a region, so it is looked at only once that has happened.
TEST_P(FloatingEnvironment, OfEveryThreadOfATeamChangesNoBitAndIsLeftAsItWas) {
    const Problem problem = mixed_problem(seed_for("threads of a team"), 100, 3000);
    const Result expected = layer_norm(problem, {.threads = 1});
    constexpr int team = 3;
    Environment before[team];
    Environment after[team];
    Call call(problem, {.threads = team});
#pragma omp parallel num_threads(team)
    {
        std::fesetround(FE_UPWARD);
        flush_denormals();
    }
#pragma omp parallel num_threads(team)
    before[omp_get_thread_num()] = environment_now();
    call.run();
#pragma omp parallel num_threads(team)
    after[omp_get_thread_num()] = environment_now();
#pragma omp parallel num_threads(team)
    std::fesetenv(FE_DFL_ENV);

    EXPECT_TRUE(same_bits(call.result(), expected));
    for (int thread = 0; thread < team; ++thread) {
        EXPECT_EQ(after[thread], before[thread]) << "thread " << thread;
    }
}

#endif

// A failing call, whose message prints a number, must not trap either.
TEST_P(FloatingEnvironment, OfAFailingCallIsLeftAsItWas) {
    float x = 1, y = 0;
    simdnorm_layer_norm_args args = {};
    args.rows = args.columns = 1;
    args.x = &x;
    args.y = &y;
    for (const Alteration &alteration : alterations) {
        for (const double epsilon : {-0.1, -1e-310, static_cast<double>(infinity)}) {
            args.epsilon = epsilon;
            std::fenv_t saved;
            std::fegetenv(&saved);
            std::feclearexcept(FE_ALL_EXCEPT);
            alteration.apply();
            const Environment before = environment_now();
            const simdnorm_status status = simdnorm_layer_norm(&args);
            const Environment after = environment_now();
            std::fesetenv(&saved);
            EXPECT_EQ(status, SIMDNORM_INVALID_ARGUMENT) << alteration.name << ", epsilon " << epsilon;
            EXPECT_EQ(after, before) << alteration.name << ", epsilon " << epsilon;
        }
    }
}

// A denormal epsilon is a valid one, also for a caller whose comparisons take it for zero.
TEST_P(FloatingEnvironment, KeepsADenormalEpsilon) {
    Problem problem{.rows = 2, .columns = 2, .x = {3, 3, 0, 1e-30f}, .epsilon = 1e-310};
    const Result expected = layer_norm(problem);
    EXPECT_TRUE(has_bits(expected.rstd[0], plus_infinity_bits));
    Call call(problem, {});
    run_altered(call, {"", flush_denormals});
    EXPECT_TRUE(same_bits(call.result(), expected));
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(FloatingEnvironment);

} // namespace
} // namespace simdnorm_test
