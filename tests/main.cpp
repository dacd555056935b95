// Runs the tests of one executable; a failing test is followed by the command that replays it.
#include "emulator.hpp"
#include "instruction_sets.hpp"
#include "random.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <utility>

namespace {

class PrintReplay : public testing::EmptyTestEventListener {
  public:
    explicit PrintReplay(std::string program) : program_(std::move(program)) {}

    void OnTestEnd(const testing::TestInfo &test) override {
        if (test.result()->Failed()) {
            std::printf("replay: SIMDNORM_TEST_SEED=%llu %s%s --gtest_filter=%s.%s\n",
                        static_cast<unsigned long long>(simdnorm_test::base_seed()), simdnorm_test::emulator().c_str(),
                        program_.c_str(), test.test_suite_name(), test.name());
        }
    }

  private:
    std::string program_;
};

} // namespace

// What a sanitizer that is built in asks for; only the sanitizers call these.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)

// It ends the program where memory runs out, unless told to let it be seen as others see it.
extern "C" const char *__asan_default_options() {
    return "allocator_may_return_null=1";
}

extern "C" const char *__tsan_default_options() {
    return "allocator_may_return_null=1";
}

// Clang's OpenMP keeps what belongs to a team where the leak sanitizer does not look.
extern "C" const char *__lsan_default_suppressions() {
    return "leak:libomp.so\n";
}

// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

int main(int argc, char **argv) {
    testing::InitGoogleTest(&argc, argv);
    testing::UnitTest::GetInstance()->listeners().Append(new PrintReplay(argv[0])); // owned by googletest from here on
    return RUN_ALL_TESTS();
}
