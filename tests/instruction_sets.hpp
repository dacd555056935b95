// The instruction sets under test, and the proof that a test ran on the one it names.
#pragma once

#include <simdnorm/simdnorm.h>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace simdnorm_test {

// The one list of names in the tests; of those that a CPU has, the fastest last.
inline const std::vector<std::string> &all_instruction_sets() {
    static const std::vector<std::string> names = {"scalar", "neon", "avx2", "avx512"};
    return names;
}

inline std::vector<std::string> usable_instruction_sets() {
    std::vector<std::string> usable;
    for (const std::string &name : all_instruction_sets()) {
        if (simdnorm_has_instruction_set(name.c_str()) == 1) {
            usable.push_back(name);
        }
    }
    return usable;
}

// While it lives, the named set is in use; then whichever was before.
class UseInstructionSet {
  public:
    explicit UseInstructionSet(const std::string &name) : previous_(simdnorm_instruction_set()) {
        if (simdnorm_use_instruction_set(name.c_str()) != SIMDNORM_OK || simdnorm_instruction_set() != name) {
            throw std::runtime_error("instruction set " + name + " asked for, " + simdnorm_instruction_set() +
                                     " in use");
        }
    }
    ~UseInstructionSet() { simdnorm_use_instruction_set(previous_.c_str()); }
    UseInstructionSet(const UseInstructionSet &) = delete;
    UseInstructionSet &operator=(const UseInstructionSet &) = delete;

  private:
    std::string previous_;
};

inline std::string test_name_of_set(const testing::TestParamInfo<std::string> &info) {
    return info.param;
}

// A test on one set, its parameter.
class OnInstructionSet : public testing::TestWithParam<std::string> {
  protected:
    // Names what a test may have changed on the way.
    void TearDown() override { EXPECT_EQ(simdnorm_instruction_set(), GetParam()); }

  private:
    UseInstructionSet in_use_{GetParam()};
};

} // namespace simdnorm_test

// Every test of the fixture on every set that this machine can use: filter with --gtest_filter=*avx2*.
#define SIMDNORM_ON_EVERY_INSTRUCTION_SET(fixture)                                                                     \
    INSTANTIATE_TEST_SUITE_P(Set, fixture, testing::ValuesIn(simdnorm_test::usable_instruction_sets()),                \
                             simdnorm_test::test_name_of_set)
