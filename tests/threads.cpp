// Calls from many threads, from OpenMP's threads, and from the child of a fork.
#include "call.hpp"
#include "instruction_sets.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace simdnorm_test {
namespace {

// Threads of this process, idle ones included.
std::size_t threads_alive() {
    std::error_code error;
    std::size_t count = 0;
    for (std::filesystem::directory_iterator entry("/proc/self/task", error), end; entry != end;
         entry.increment(error)) {
        ++count;
    }
    return count;
}

// Looks again and again how many threads there are: those of a nested team live no longer than their work.
class ThreadWatch {
  public:
    ThreadWatch() {
        while (looks_ < 2) {
            std::this_thread::yield();
        }
    }
    ~ThreadWatch() { stop(); }
    ThreadWatch(const ThreadWatch &) = delete;
    ThreadWatch &operator=(const ThreadWatch &) = delete;

    // How many more there have been at a time than at first.
    std::size_t started() {
        stop();
        return most_ - first_;
    }

  private:
    void watch() {
        first_ = most_ = threads_alive();
        for (; !done_; ++looks_) {
            most_ = std::max(most_, threads_alive());
        }
    }

    void stop() {
        done_ = true;
        if (watcher_.joinable()) {
            watcher_.join();
        }
    }

    std::atomic<bool> done_{false};
    std::atomic<int> looks_{0};
    std::size_t first_ = 0;
    std::size_t most_ = 0;
    std::thread watcher_{[this] { watch(); }};
};

// Large enough that more than one thread is worth while.
Problem large_problem(std::uint64_t seed) {
    return mixed_problem(seed, 300, 1500);
}

Result on_one_thread(const Problem &problem) {
    return layer_norm(problem, {.threads = 1});
}

class Threads : public OnInstructionSet {};

TEST_P(Threads, ManyCallAtOnceWithTheSameShape) {
    const Problem problem = mixed_problem(seed_for("same shape"), 7, 333);
    const Result expected = on_one_thread(problem);
    std::atomic<int> different{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 8; ++caller) {
        callers.emplace_back([&, caller] {
            for (int repeat = 0; repeat < 200; ++repeat) {
                const Result result = layer_norm(problem, {.threads = caller % 3, .store = repeat % 3});
                different += same_bits(result, expected) ? 0 : 1;
            }
        });
    }
    for (std::thread &caller : callers) {
        caller.join();
    }
    EXPECT_EQ(different, 0);
}

TEST_P(Threads, ManyCallAtOnceWithDifferentShapes) {
    std::vector<std::unique_ptr<Problem>> problems;
    std::vector<Result> expected;
    for (const Shape &shape : {Shape{300, 257}, Shape{1, 70001}, Shape{5, 12289}, Shape{1000, 33}, Shape{64, 768}}) {
        problems.push_back(
            std::make_unique<Problem>(mixed_problem(seed_for("shapes", shape.columns), shape.rows, shape.columns)));
        expected.push_back(on_one_thread(*problems.back()));
    }
    std::atomic<int> different{0};
    std::vector<std::thread> callers;
    for (std::size_t caller = 0; caller < 2 * problems.size(); ++caller) {
        callers.emplace_back([&, caller] {
            for (int repeat = 0; repeat < 10; ++repeat) {
                const std::size_t which = (caller + static_cast<std::size_t>(repeat)) % problems.size();
                const Result result = layer_norm(*problems[which], {.threads = repeat % 4});
                different += same_bits(result, expected[which]) ? 0 : 1;
            }
        });
    }
    for (std::thread &caller : callers) {
        caller.join();
    }
    EXPECT_EQ(different, 0);
}

TEST_P(Threads, OneMeansTheCallingThreadAlone) {
    const Problem problem = large_problem(seed_for("one thread"));
    ThreadWatch watch;
    for (int repeat = 0; repeat < 20; ++repeat) {
        on_one_thread(problem);
    }
    EXPECT_EQ(watch.started(), 0u);
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(Threads);

// Bits are the same on every set, so a set exchanged under way can only show in a crash or in a wrong bit.
TEST(ThreadsAndSets, TheSetIsSwitchedWhileOthersCall) {
    const Problem problem = mixed_problem(seed_for("switching"), 20, 700);
    const Result expected = on_one_thread(problem);
    const std::vector<std::string> sets = usable_instruction_sets();
    std::atomic<bool> done{false};
    std::atomic<int> different{0};
    std::thread switcher([&] {
        for (std::size_t turn = 0; !done; ++turn) {
            EXPECT_EQ(simdnorm_use_instruction_set(sets[turn % sets.size()].c_str()), SIMDNORM_OK);
        }
    });
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 300; ++repeat) {
                different += same_bits(layer_norm(problem, {.threads = repeat % 3}), expected) ? 0 : 1;
            }
        });
    }
    for (std::thread &caller : callers) {
        caller.join();
    }
    done = true;
    switcher.join();
    EXPECT_EQ(different, 0);
    EXPECT_EQ(simdnorm_use_instruction_set("auto"), SIMDNORM_OK);
}

// Runs a check in the child of a fork; a child that waits for ever is killed by its alarm.
template <class Check>
testing::AssertionResult in_child_of_fork(const Check &check) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(check() ? 0 : 1);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return testing::AssertionFailure() << "no child";
    }
    if (WIFSIGNALED(status)) {
        return testing::AssertionFailure() << "the child died of signal " << WTERMSIG(status)
                                           << (WTERMSIG(status) == SIGALRM ? ": it had waited for a minute" : "");
    }
    if (WEXITSTATUS(status) != 0) {
        return testing::AssertionFailure() << "the check failed in the child";
    }
    return testing::AssertionSuccess();
}

class Fork : public OnInstructionSet {};

// The child has none of the parent's threads: a call there stays on its own.
TEST_P(Fork, TheChildComputesTheSameBitsAlone) {
    const Problem problem = large_problem(seed_for("fork"));
    const Result expected = layer_norm(problem, {.threads = 3});
    for (const int threads : {0, 1, 3}) {
        EXPECT_TRUE(in_child_of_fork([&] {
            const std::size_t before = threads_alive();
            return same_bits(layer_norm(problem, {.threads = threads}), expected) && threads_alive() == before;
        })) << "threads "
            << threads;
    }
    // The parent goes on as before.
    EXPECT_TRUE(same_bits(layer_norm(problem, {.threads = 3}), expected));
}

TEST_P(Fork, TheGrandchildToo) {
    const Problem problem = large_problem(seed_for("fork"));
    const Result expected = layer_norm(problem, {.threads = 3});
    EXPECT_TRUE(in_child_of_fork([&] {
        layer_norm(problem, {.threads = 3});
        return static_cast<bool>(in_child_of_fork([&] { return same_bits(layer_norm(problem), expected); }));
    }));
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(Fork);

#ifdef _OPENMP

// What OpenMP would do next, as far as a program can ask.
struct OpenMpSettings {
    int max_threads = omp_get_max_threads();
    int dynamic = omp_get_dynamic();
    int max_active_levels = omp_get_max_active_levels();
    int thread_limit = omp_get_thread_limit();
    int in_parallel = omp_in_parallel();
    int level = omp_get_level();
    omp_sched_t schedule{};
    int chunk = 0;

    OpenMpSettings() { omp_get_schedule(&schedule, &chunk); }
    bool operator==(const OpenMpSettings &) const = default;
};

class OpenMp : public OnInstructionSet {
  protected:
    void SetUp() override {
        omp_set_dynamic(0);
        omp_set_num_threads(3);
    }
};

// Otherwise the tests about threads would prove nothing. OpenMP keeps the threads of a team for the next one.
TEST_P(OpenMp, ALargeCallIsSpreadOverThreads) {
    layer_norm(large_problem(seed_for("spread")), {.threads = 3});
    EXPECT_GE(threads_alive(), 3u);
}

TEST_P(OpenMp, SettingsAreLeftAlone) {
    const Problem problem = large_problem(seed_for("settings"));
    omp_set_schedule(omp_sched_guided, 5);
    const OpenMpSettings before;
    for (const int threads : {0, 1, 2, 3, 7}) {
        layer_norm(problem, {.threads = threads});
        EXPECT_EQ(OpenMpSettings(), before) << "threads " << threads;
    }
}

// No thread is started although nesting is allowed, and each call has the right bits.
TEST_P(OpenMp, ACallInAParallelRegionStaysOnItsThread) {
    const int levels = omp_get_max_active_levels();
    omp_set_max_active_levels(3);
    const Problem problem = large_problem(seed_for("region"));
    const Result expected = on_one_thread(problem);
    int different = 0;
    std::unique_ptr<ThreadWatch> watch;
#pragma omp parallel num_threads(3) reduction(+ : different)
    {
#pragma omp barrier
#pragma omp single
        watch = std::make_unique<ThreadWatch>();
        for (int repeat = 0; repeat < 80; ++repeat) {
            constexpr int threads[] = {0, 1, 2, 7};
            different += same_bits(layer_norm(problem, {.threads = threads[repeat % 4]}), expected) ? 0 : 1;
        }
    }
    omp_set_max_active_levels(levels);
    EXPECT_EQ(different, 0);
    EXPECT_EQ(watch->started(), 0u);
}

// "0: what OpenMP would use here."
TEST_P(OpenMp, ZeroThreadsAreAsManyAsOpenMpWouldUse) {
    const Problem problem = large_problem(seed_for("zero"));
    omp_set_num_threads(1);
    ThreadWatch watch;
    layer_norm(problem, {.threads = 0});
    EXPECT_EQ(watch.started(), 0u);

    omp_set_num_threads(5);
    layer_norm(problem, {.threads = 0});
    EXPECT_GE(threads_alive(), 5u);
}

// A team of two is there already; a third thread would have to be started.
TEST_P(OpenMp, AtMostAsManyThreadsAsAskedFor) {
    omp_set_num_threads(7);
    const Problem problem = large_problem(seed_for("at most"));
#pragma omp parallel num_threads(2)
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // the rest of a larger team ends meanwhile
    ThreadWatch watch;
    layer_norm(problem, {.threads = 2});
    EXPECT_EQ(watch.started(), 0u);
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(OpenMp);

#endif

} // namespace
} // namespace simdnorm_test
