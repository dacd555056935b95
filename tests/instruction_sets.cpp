// Which instruction set is in use, and who says so.
#include "instruction_sets.hpp"

#include "call.hpp"
#include "emulator.hpp"

#include <simdnorm/simdnorm.h>

#include <gtest/gtest.h>

#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

bool is_usable(const std::string &name) {
    const std::vector<std::string> usable = usable_instruction_sets();
    return std::find(usable.begin(), usable.end(), name) != usable.end();
}

std::string joined(const std::vector<std::string> &names) {
    std::string all;
    for (const std::string &name : names) {
        all += (all.empty() ? "" : ", ") + name;
    }
    return all;
}

// No set is skipped unseen: whoever runs the tests says which sets this machine must have.
TEST(RequiredInstructionSets, AreUsable) {
    std::printf("tested on this machine: %s\n", joined(usable_instruction_sets()).c_str());
    const char *required = std::getenv("SIMDNORM_REQUIRED_SETS");
    std::istringstream names(required != nullptr && *required != '\0' ? required : "scalar");
    for (std::string name; std::getline(names, name, ',');) {
        EXPECT_TRUE(is_usable(name)) << "SIMDNORM_REQUIRED_SETS names \"" << name
                                     << "\", which cannot be used on this machine by this build";
    }
}

// Where nobody asks for a set, the last of the usable ones in the tests' list is picked. Whoever knows this machine may
// say which that must be, whatever the library thinks it can use.
TEST(PickedInstructionSet, IsTheOneThatItMustBe) {
    EXPECT_EQ(simdnorm_use_instruction_set("auto"), SIMDNORM_OK);
    EXPECT_EQ(simdnorm_instruction_set(), usable_instruction_sets().back());
    const char *expected = std::getenv("SIMDNORM_PICKED_SET");
    if (expected != nullptr && *expected != '\0') {
        EXPECT_STREQ(simdnorm_instruction_set(), expected);
    }
}

// The library's list and the tests' list are one: every name in the library's message is known here.
TEST(InstructionSets, AreAllUnderTest) {
    EXPECT_EQ(simdnorm_use_instruction_set("no such set"), SIMDNORM_INVALID_ARGUMENT);
    std::string message = simdnorm_last_error();
    const std::size_t list = message.rfind(" named ");
    ASSERT_NE(list, std::string::npos) << message;
    std::string names = message.substr(list + 7);
    std::replace(names.begin(), names.end(), ',', ' ');
    std::istringstream words(names);
    for (std::string word; words >> word;) {
        const std::vector<std::string> &known = all_instruction_sets();
        EXPECT_TRUE(word == "or" || word == "auto" || std::find(known.begin(), known.end(), word) != known.end())
            << word << " in: " << message;
    }
}

TEST(InstructionSets, ScalarIsAlwaysThere) {
    EXPECT_EQ(simdnorm_has_instruction_set("scalar"), 1);
}

TEST(InstructionSets, NamesThatAreNone) {
    const std::string before = simdnorm_instruction_set();
    EXPECT_EQ(simdnorm_has_instruction_set(nullptr), 0);
    EXPECT_EQ(simdnorm_use_instruction_set(nullptr), SIMDNORM_INVALID_ARGUMENT);
    EXPECT_NE(std::string(simdnorm_last_error()).find("NULL"), std::string::npos) << simdnorm_last_error();
    for (const std::string name : {"", "nonsense", "AVX2", "avx", "avx2 ", " scalar", "scalar,avx2", "Auto"}) {
        EXPECT_EQ(simdnorm_has_instruction_set(name.c_str()), 0) << name;
        EXPECT_EQ(simdnorm_use_instruction_set(name.c_str()), SIMDNORM_INVALID_ARGUMENT) << name;
        const std::string message = simdnorm_last_error();
        EXPECT_NE(message.find("simdnorm_use_instruction_set"), std::string::npos) << message;
        EXPECT_NE(message.find('"' + name + '"'), std::string::npos) << message;
        EXPECT_EQ(simdnorm_instruction_set(), before);
    }
    EXPECT_EQ(simdnorm_has_instruction_set("auto"), 0);
}

// Of a name of any length so much is told that the names there are have room behind it.
TEST(InstructionSets, ALongName) {
    const std::string name(100000, 'n');
    EXPECT_EQ(simdnorm_use_instruction_set(name.c_str()), SIMDNORM_INVALID_ARGUMENT);
    const std::string message = simdnorm_last_error();
    EXPECT_NE(message.find("nnnnnnnn\""), std::string::npos) << message;
    EXPECT_NE(message.find("avx512"), std::string::npos) << message;
}

// No CPU has all of them, so there is always one to try.
TEST(InstructionSets, KnownOnesThatAreMissing) {
    int missing = 0;
    for (const std::string &in_use : usable_instruction_sets()) {
        const UseInstructionSet use(in_use);
        for (const std::string &name : all_instruction_sets()) {
            if (!is_usable(name)) {
                ++missing;
                EXPECT_EQ(simdnorm_use_instruction_set(name.c_str()), SIMDNORM_UNSUPPORTED) << name;
                const std::string message = simdnorm_last_error();
                EXPECT_NE(message.find('"' + name + '"'), std::string::npos) << message;
                EXPECT_EQ(simdnorm_instruction_set(), in_use);
            }
        }
    }
    EXPECT_GE(missing, 1);
}

TEST(InstructionSets, FailuresLeaveTheSetInUse) {
    for (const std::string &name : usable_instruction_sets()) {
        const UseInstructionSet use(name);
        simdnorm_use_instruction_set("nonsense");
        EXPECT_EQ(simdnorm_instruction_set(), name);
        simdnorm_use_instruction_set(nullptr);
        EXPECT_EQ(simdnorm_instruction_set(), name);
        simdnorm_has_instruction_set("scalar");
        EXPECT_EQ(simdnorm_instruction_set(), name);
    }
}

// The last of the list that is usable: the list goes from slow to fast.
TEST(InstructionSets, AutoIsTheFastest) {
    for (const std::string &name : usable_instruction_sets()) {
        const UseInstructionSet use(name);
        EXPECT_EQ(simdnorm_use_instruction_set("auto"), SIMDNORM_OK);
        EXPECT_EQ(simdnorm_instruction_set(), usable_instruction_sets().back());
    }
}

struct Output {
    std::string text; // standard output or standard error
    int exit_code;
};

Output run(const std::string &command) {
    std::FILE *pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) {
        throw std::runtime_error("cannot run " + command);
    }
    Output output;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
        output.text += static_cast<char>(c);
    }
    const int status = pclose(pipe);
    output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return output;
}

// A process of its own with SIMDNORM_INSTRUCTION_SET set so.
struct Process {
    std::string in_use;
    std::string warnings;

    explicit Process(const std::string &assignment, const std::string &argument = "") {
        const std::string command = "env " + assignment + " " + emulator() + "'" PRINT_INSTRUCTION_SET "' " + argument;
        const Output out = run(command + " 2>/dev/null");
        EXPECT_EQ(out.exit_code, 0) << command;
        in_use = out.text.substr(0, out.text.find('\n'));
        warnings = run(command + " 2>&1 >/dev/null").text;
    }
};

constexpr char unset[] = "-u SIMDNORM_INSTRUCTION_SET";

std::string assignment(const std::string &name) {
    return "SIMDNORM_INSTRUCTION_SET='" + name + "'";
}

TEST(Environment, Unset) {
    const Process process(unset);
    EXPECT_EQ(process.in_use, usable_instruction_sets().back());
    EXPECT_EQ(process.warnings, "");
}

TEST(Environment, Empty) {
    const Process process(assignment(""));
    EXPECT_EQ(process.in_use, usable_instruction_sets().back());
    EXPECT_EQ(process.warnings, "");
}

TEST(Environment, NamesASet) {
    for (const std::string &name : usable_instruction_sets()) {
        const Process process(assignment(name));
        EXPECT_EQ(process.in_use, name);
        EXPECT_EQ(process.warnings, "");
    }
}

TEST(Environment, Auto) {
    const Process process(assignment("auto"));
    EXPECT_EQ(process.in_use, usable_instruction_sets().back());
    EXPECT_EQ(process.warnings, "");
}

// One line on standard error, that names the value; then the fastest.
TEST(Environment, NamesWhatCannotBeHad) {
    std::vector<std::string> names = {"nonsense", "AVX512", " ", "scalar "};
    for (const std::string &name : all_instruction_sets()) {
        if (!is_usable(name)) {
            names.push_back(name);
        }
    }
    for (const std::string &name : names) {
        const Process process(assignment(name));
        EXPECT_EQ(process.in_use, usable_instruction_sets().back()) << name;
        EXPECT_EQ(std::count(process.warnings.begin(), process.warnings.end(), '\n'), 1) << process.warnings;
        EXPECT_NE(process.warnings.find("SIMDNORM_INSTRUCTION_SET"), std::string::npos) << process.warnings;
        EXPECT_NE(process.warnings.find('"' + name + '"'), std::string::npos) << process.warnings;
    }
}

TEST(Environment, IsOverriddenByAnExplicitUse) {
    for (const std::string &name : usable_instruction_sets()) {
        EXPECT_EQ(Process(assignment("scalar"), name).in_use, name);
        EXPECT_EQ(Process(assignment("nonsense"), name).in_use, name);
    }
    EXPECT_EQ(Process(assignment("scalar"), "auto").in_use, usable_instruction_sets().back());
}

class InstructionSet : public OnInstructionSet {};

// The fixture has asserted the name; this is the life of a call on it.
TEST_P(InstructionSet, IsInUse) {
    EXPECT_STREQ(simdnorm_instruction_set(), GetParam().c_str());
    const Result result = layer_norm({.rows = 1, .columns = 2, .x = {1, 3}, .epsilon = 0});
    EXPECT_NEAR(result.y[0], -1, 1e-6);
    EXPECT_NEAR(result.y[1], 1, 1e-6);
    EXPECT_NEAR(result.mean[0], 2, 1e-6);
    EXPECT_NEAR(result.rstd[0], 1, 1e-6);
    EXPECT_STREQ(simdnorm_instruction_set(), GetParam().c_str());
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(InstructionSet);

} // namespace
} // namespace simdnorm_test
