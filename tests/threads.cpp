// Calls of both passes from many threads, from OpenMP's threads, and from the child of a fork.
#include "backward_call.hpp"
#include "buffer.hpp"
#include "call.hpp"
#include "emulator.hpp"
#include "instruction_sets.hpp"
#include "shapes.hpp"

#include <gtest/gtest.h>

#ifdef _OPENMP
#include <link.h>
#include <omp.h>
#endif

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
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

enum class Pass { forward, backward };

// A problem of one pass, and the bits that the calling thread alone gives.
class Job {
  public:
    // Of one shape there are many, with other numbers each.
    Job(Pass pass, const Shape &shape, std::uint64_t number = 0)
        : pass_(pass),
          problem_(mixed_problem(seed_for("x of threads", shape.columns, number), shape.rows, shape.columns),
                   seed_for("dy of threads", shape.columns, number)),
          expected_(layer_norm(problem_.forward)), expected_gradients_(layer_norm_backward(problem_)) {}

    // Calls the library.
    bool is_right(const Layout &layout) const {
        return pass_ == Pass::forward ? same_bits(layer_norm(problem_.forward, layout), expected_)
                                      : same_bits(layer_norm_backward(problem_, layout), expected_gradients_);
    }

  private:
    Pass pass_;
    Backward problem_;
    Result expected_;
    Gradients expected_gradients_;
};

// Large enough that in both passes more than one thread is worth while.
constexpr Shape large = {1500, 300};

// Rows of so many columns that threads meet backward to merge their sums, in trees of several nodes.
constexpr Shape merged = {300, 2100};

// So few rows that threads share them, and meet on the way.
constexpr Shape shared = {2, 200001};

// A test of one pass on one set.
class OnPass : public testing::TestWithParam<std::tuple<std::string, Pass>> {
  protected:
    static Job job(const Shape &shape, std::uint64_t number = 0) { return {std::get<Pass>(GetParam()), shape, number}; }

  private:
    UseInstructionSet in_use_{std::get<std::string>(GetParam())};
};

std::string name_of(Pass pass) {
    return pass == Pass::forward ? "forward" : "backward";
}

std::string name_of_set_and_pass(const testing::TestParamInfo<OnPass::ParamType> &test) {
    const auto &[set, pass] = test.param;
    return set + "_" + name_of(pass);
}

#define SIMDNORM_ON_EVERY_SET_AND_PASS(fixture)                                                                        \
    INSTANTIATE_TEST_SUITE_P(Set, fixture,                                                                             \
                             testing::Combine(testing::ValuesIn(usable_instruction_sets()),                            \
                                              testing::Values(Pass::forward, Pass::backward)),                         \
                             name_of_set_and_pass)

// How many calls go wrong where several threads of the program make them, each some: is_right(caller, repeat) makes
// one.
template <class IsRight>
int wrong_calls(int callers, int repeats, const IsRight &is_right) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int caller = 0; caller < callers; ++caller) {
        threads.emplace_back([&, caller] {
            for (int repeat = 0; repeat < repeats; ++repeat) {
                wrong += is_right(caller, repeat) ? 0 : 1;
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    return wrong;
}

class Threads : public OnPass {};

// Each with numbers of its own: what one call left in another's memory would show.
TEST_P(Threads, ManyCallAtOnceWithTheSameShape) {
    for (const Shape &shape : {Shape{7, 333}, Shape{20, 333}, Shape{1, 40000}}) {
        std::vector<Job> jobs;
        for (std::uint64_t caller = 0; caller < 8; ++caller) {
            jobs.push_back(job(shape, caller));
        }
        const auto is_right = [&](int caller, int repeat) {
            return jobs[static_cast<std::size_t>(caller)].is_right({.threads = caller % 3, .store = repeat % 3});
        };
        EXPECT_EQ(wrong_calls(8, 100, is_right), 0) << shape;
    }
}

TEST_P(Threads, ManyCallAtOnceWithDifferentShapes) {
    const std::vector<Job> jobs = {job({400, 257}), job({1, 100001}), job({9, 12289}), job({2000, 33}),
                                   job({130, 768})};
    EXPECT_EQ(wrong_calls(10, 10,
                          [&](int caller, int repeat) {
                              const auto which = static_cast<std::size_t>(caller + repeat) % jobs.size();
                              return jobs[which].is_right({.threads = repeat % 4});
                          }),
              0);
}

TEST_P(Threads, OneMeansTheCallingThreadAlone) {
    ThreadWatch watch; // before any call: threads of a team stay
    const Job on_own_rows = job(large), on_shared_rows = job(shared);
    for (int repeat = 0; repeat < 20; ++repeat) {
        EXPECT_TRUE(on_own_rows.is_right({.threads = 1}));
        EXPECT_TRUE(on_shared_rows.is_right({.threads = 1}));
    }
    EXPECT_EQ(watch.started(), 0u);
}

SIMDNORM_ON_EVERY_SET_AND_PASS(Threads);

class ThreadsAndSets : public testing::TestWithParam<Pass> {};

// Bits are the same on every set, so a set exchanged under way can only show in a crash or in a wrong bit.
TEST_P(ThreadsAndSets, TheSetIsSwitchedWhileOthersCall) {
    const std::vector<Job> jobs = {{GetParam(), {20, 700}}, {GetParam(), {1, 40000}}};
    const std::vector<std::string> sets = usable_instruction_sets();
    std::atomic<bool> done{false};
    std::thread switcher([&] {
        for (std::size_t turn = 0; !done; ++turn) {
            EXPECT_EQ(simdnorm_use_instruction_set(sets[turn % sets.size()].c_str()), SIMDNORM_OK);
        }
    });
    EXPECT_EQ(wrong_calls(3, 300,
                          [&](int caller, int repeat) {
                              return jobs[static_cast<std::size_t>(caller) % 2].is_right({.threads = repeat % 3});
                          }),
              0);
    done = true;
    switcher.join();
    EXPECT_EQ(simdnorm_use_instruction_set("auto"), SIMDNORM_OK);
}

INSTANTIATE_TEST_SUITE_P(Pass, ThreadsAndSets, testing::Values(Pass::forward, Pass::backward),
                         [](const auto &test) { return name_of(test.param); });

class Neighbours : public OnPass {
  protected:
    // Of all problems the least that writes a matrix: y, or dx.
    static simdnorm_status write_matrix(const Backward &problem, float *matrix, std::size_t stride, int store) {
        const Problem &forward = problem.forward;
        if (std::get<Pass>(GetParam()) == Pass::forward) {
            simdnorm_layer_norm_args args = {};
            args.rows = forward.rows;
            args.columns = forward.columns;
            args.x = forward.x.data();
            args.epsilon = forward.epsilon;
            args.y = matrix;
            args.y_stride = stride;
            args.threads = 1;
            args.store = store;
            return simdnorm_layer_norm(&args);
        }
        simdnorm_layer_norm_backward_args args = {};
        args.rows = forward.rows;
        args.columns = forward.columns;
        args.dy = problem.dy.data();
        args.x = forward.x.data();
        args.mean = problem.kept.mean.data();
        args.rstd = problem.kept.rstd.data();
        args.dx = matrix;
        args.dx_stride = stride;
        args.threads = 1;
        args.store = store;
        return simdnorm_layer_norm_backward(&args);
    }
};

// Two threads fill the left and the right columns of one matrix, again and again. Whoever wrote a neighbour's columns
// back as it had read them would undo the neighbour's work.
TEST_P(Neighbours, LeaveEachOthersColumnsAlone) {
    constexpr std::size_t rows = 64;
    for (const std::size_t d : Sizes{1, 7, 20, 40, 100, 333}) {
        const std::uint64_t seed = seed_for("neighbours", d);
        const Backward problem(normal_problem(seed, rows, d), seed);
        const std::size_t stride = 2 * d;
        std::vector<float> expected(rows * d);
        ASSERT_EQ(write_matrix(problem, expected.data(), d, SIMDNORM_STORE_CACHED), SIMDNORM_OK);
        std::vector<float> matrix(rows * stride);
        const auto is_right = [&](int caller, int repeat) {
            float *own = matrix.data() + static_cast<std::size_t>(caller) * d;
            for (std::size_t row = 0; row < rows; ++row) {
                std::fill_n(own + row * stride, d, canary());
            }
            bool right = write_matrix(problem, own, stride, repeat % 3) == SIMDNORM_OK;
            for (std::size_t row = 0; row < rows; ++row) {
                right = right && same_bits(own + row * stride, expected.data() + row * d, d);
            }
            return right;
        };
        // Only a write that falls between another's read and write is seen, so there must be many; fewer where a CPU is
        // played, which takes long for each.
        const std::size_t elements = emulator().empty() ? 100000 : 20000;
        EXPECT_EQ(wrong_calls(2, static_cast<int>(elements / d), is_right), 0) << "D = " << d;
    }
}

SIMDNORM_ON_EVERY_SET_AND_PASS(Neighbours);

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

class Fork : public OnPass {
  protected:
    // In the child of a fork: a call has the same bits, whatever threads it asks for, and starts none.
    static testing::AssertionResult child_is_right_alone(const Job &job) {
        return in_child_of_fork([&] {
            const std::size_t before = threads_alive();
            return job.is_right({.threads = 0}) && job.is_right({.threads = 1}) && job.is_right({.threads = 3}) &&
                   threads_alive() == before;
        });
    }
};

// The child has none of the parent's threads: a call there stays on its own.
TEST_P(Fork, TheChildComputesTheSameBitsAlone) {
    for (const Shape &shape : {large, merged, shared}) {
        const Job in_both = job(shape);
        EXPECT_TRUE(in_both.is_right({.threads = 3}));
        EXPECT_TRUE(child_is_right_alone(in_both)) << shape;
        // The parent goes on as before.
        EXPECT_TRUE(in_both.is_right({.threads = 3}));
    }
}

TEST_P(Fork, TheGrandchildToo) {
    const Job in_all = job(large);
    EXPECT_TRUE(in_all.is_right({.threads = 3}));
    EXPECT_TRUE(in_child_of_fork(
        [&] { return in_all.is_right({.threads = 3}) && static_cast<bool>(child_is_right_alone(in_all)); }));
}

// Whatever the others hold at that moment, the child does not wait for it.
TEST_P(Fork, TheChildOfAForkWhileOthersCall) {
    const Job in_both = job(large);
    std::atomic<bool> done{false};
    std::thread forker([&] {
        for (int fork = 0; fork < 10; ++fork) {
            EXPECT_TRUE(child_is_right_alone(in_both));
        }
        done = true;
    });
    while (!done) {
        EXPECT_TRUE(in_both.is_right({.threads = 3}));
    }
    forker.join();
}

SIMDNORM_ON_EVERY_SET_AND_PASS(Fork);

#ifdef _OPENMP

// The name of each OpenMP runtime in this process: GCC's libgomp, LLVM's libomp or its kin.
std::vector<std::string> openmp_runtimes() {
    std::vector<std::string> names;
    dl_iterate_phdr(
        [](dl_phdr_info *library, std::size_t, void *found) {
            const std::string file = std::filesystem::path(library->dlpi_name).filename();
            const std::string name = file.substr(0, file.find_first_of(".-"));
            if (name == "libgomp" || name == "libomp" || name == "libiomp5") {
                static_cast<std::vector<std::string> *>(found)->push_back(name);
            }
            return 0;
        },
        &names);
    return names;
}

// Which of the two a build is tested with follows from its compiler; and two in one process would not know of each
// other's threads.
TEST(OpenMpRuntime, IsTheCompilersOwnAlone) {
    const std::vector<std::string> runtimes = openmp_runtimes();
    ASSERT_EQ(runtimes.size(), 1U) << testing::PrintToString(runtimes);
    std::printf("OpenMP by %s\n", runtimes.front().c_str());
#ifdef __clang__
    EXPECT_NE(runtimes.front(), "libgomp");
#else
    EXPECT_EQ(runtimes.front(), "libgomp");
#endif
}

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

class OpenMp : public OnPass {
  protected:
    void SetUp() override {
        omp_set_dynamic(0);
        omp_set_num_threads(3);
    }
};

// Otherwise the tests about threads would prove nothing. OpenMP keeps the threads of a team for the next one.
TEST_P(OpenMp, ALargeCallIsSpreadOverThreads) {
    EXPECT_TRUE(job(large).is_right({.threads = 3}));
    EXPECT_GE(threads_alive(), 3u);
}

TEST_P(OpenMp, ALongRowIsSpreadOverThreads) {
    EXPECT_TRUE(job(shared).is_right({.threads = 3}));
    EXPECT_GE(threads_alive(), 3u);
}

// Threads that share rows wait for each other, for whichever the system runs last.
TEST_P(OpenMp, MoreThreadsThanProcessors) {
    const int many = 2 * omp_get_num_procs() + 1;
    const Job one_row = job({1, static_cast<std::size_t>(many) * 49152});
    for (int repeat = 0; repeat < 20; ++repeat) {
        EXPECT_TRUE(one_row.is_right({.threads = many}));
    }
    EXPECT_GE(threads_alive(), static_cast<std::size_t>(many));
}

TEST_P(OpenMp, SettingsAreLeftAlone) {
    const Job any = job(large);
    omp_set_schedule(omp_sched_guided, 5);
    const OpenMpSettings before;
    for (const int threads : {0, 1, 2, 3, 7}) {
        EXPECT_TRUE(any.is_right({.threads = threads}));
        EXPECT_EQ(OpenMpSettings(), before) << "threads " << threads;
    }
}

// Calls that ask for threads of their own.
int wrong_calls_in_region(const std::vector<Job> &jobs) {
    int wrong = 0;
    for (int repeat = 0; repeat < 3; ++repeat) {
        for (const Job &job : jobs) {
            for (const int threads : {0, 1, 2, 7}) {
                wrong += job.is_right({.threads = threads}) ? 0 : 1;
            }
        }
    }
    return wrong;
}

// No thread is started although nesting is allowed, and each call has the right bits.
TEST_P(OpenMp, ACallInAParallelRegionStaysOnItsThread) {
    const int levels = omp_get_max_active_levels();
    omp_set_max_active_levels(3);
    const std::vector<Job> jobs = {job(large), job(merged), job(shared)};
    int wrong = 0;
    std::unique_ptr<ThreadWatch> watch;
#pragma omp parallel num_threads(3) reduction(+ : wrong)
    {
#pragma omp barrier
#pragma omp single
        watch = std::make_unique<ThreadWatch>();
        wrong += wrong_calls_in_region(jobs);
    }
    omp_set_max_active_levels(levels);
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(watch->started(), 0u);
}

TEST_P(OpenMp, ACallInARegionWithinARegionToo) {
    const int levels = omp_get_max_active_levels();
    omp_set_max_active_levels(3);
    const std::vector<Job> jobs = {job(large), job(merged), job(shared)};
    int wrong = 0;
    std::atomic<int> present{0};
    std::unique_ptr<ThreadWatch> watch;
#pragma omp parallel num_threads(2) reduction(+ : wrong)
    {
        int wrong_within = 0;
#pragma omp parallel num_threads(2) reduction(+ : wrong_within)
        {
            ++present;
            if (omp_get_ancestor_thread_num(1) == 0 && omp_get_thread_num() == 0) {
                while (present < 4) {
                    std::this_thread::yield();
                }
                watch = std::make_unique<ThreadWatch>();
            }
            wrong_within += wrong_calls_in_region(jobs);
        }
        wrong += wrong_within;
    }
    omp_set_max_active_levels(levels);
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(watch->started(), 0u);
}

// "0: what OpenMP would use here."
TEST_P(OpenMp, ZeroThreadsAreAsManyAsOpenMpWouldUse) {
    const Job any = job(large);
    omp_set_num_threads(1);
    ThreadWatch watch;
    EXPECT_TRUE(any.is_right({.threads = 0}));
    EXPECT_EQ(watch.started(), 0u);

    omp_set_num_threads(5);
    EXPECT_TRUE(any.is_right({.threads = 0}));
    EXPECT_GE(threads_alive(), 5u);
}

// A team of two is there already; a third thread would have to be started.
TEST_P(OpenMp, AtMostAsManyThreadsAsAskedFor) {
    omp_set_num_threads(7);
    const Job any = job(large);
#pragma omp parallel num_threads(2)
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // the rest of a larger team ends meanwhile
    ThreadWatch watch;
    EXPECT_TRUE(any.is_right({.threads = 2}));
    EXPECT_EQ(watch.started(), 0u);
}

SIMDNORM_ON_EVERY_SET_AND_PASS(OpenMp);

// Under whatever settings OpenMP took from the environment: CMakeLists.txt has some.
class OpenMpEnvironment : public OnPass {};

TEST_P(OpenMpEnvironment, SaysHowManyThreadsACallIsOn) {
    if (const char *wanted = std::getenv("OMP_NUM_THREADS"); wanted != nullptr && *wanted != '\0') {
        ASSERT_EQ(omp_get_max_threads(), std::atoi(wanted)) << "OpenMP does not know of its environment";
    }
    const auto threads = static_cast<std::size_t>(std::min({omp_get_max_threads(), omp_get_thread_limit(), 16}));
    const Job one_row = job({1, 16 * 49152}); // on 16 threads at most, whatever the CPU
    ThreadWatch watch;
    for (int repeat = 0; repeat < 5; ++repeat) {
        EXPECT_TRUE(one_row.is_right({.threads = 0}));
    }
    EXPECT_LE(watch.started(), threads - 1);
    EXPECT_TRUE(omp_get_dynamic() != 0 || threads_alive() >= threads) << threads_alive() << ", not " << threads;
}

// A team may be smaller than what was asked for: each thread then does more.
TEST_P(OpenMpEnvironment, ChangesNoBit) {
    for (const Shape &shape : {large, merged, shared, Shape{20000, 17}}) {
        const Job any = job(shape);
        for (const int threads : {0, 1, 2, 3, 8}) {
            EXPECT_TRUE(any.is_right({.threads = threads})) << shape << " on " << threads;
        }
    }
}

SIMDNORM_ON_EVERY_SET_AND_PASS(OpenMpEnvironment);

#endif

} // namespace
} // namespace simdnorm_test
