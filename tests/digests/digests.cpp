// The bits of every output are those of the file, on every set and in every layout: on this machine, on others, and
// tomorrow.
#include "cases.hpp"
#include "instruction_sets.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

std::map<std::string, std::string> digests_of_file() {
    std::ifstream file(SIMDNORM_DIGESTS_FILE);
    std::map<std::string, std::string> digests;
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (!line.starts_with('#') && !digests.emplace(line.substr(0, colon), line.substr(colon + 1)).second) {
            throw std::runtime_error("two lines for " + line.substr(0, colon));
        }
    }
    if (digests.empty()) {
        throw std::runtime_error("nothing to read in " SIMDNORM_DIGESTS_FILE);
    }
    return digests;
}

// That of what is handed in, which comes first.
std::string input_of(const std::string &digests) {
    return digests.substr(0, digests.find(' ', digests.find(" in ") + 4));
}

// Plain; streamed in place; with gaps, off every line and on threads; streamed line by line and on threads.
std::vector<Layout> layouts(std::size_t columns) {
    const std::size_t whole_lines = (columns + 15) / 16 * 16;
    return {{},
            {.x_offset = 9, .y_offset = 9, .in_place = true, .store = SIMDNORM_STORE_STREAMING},
            {.x_stride = columns + 3, .y_stride = columns + 7, .x_offset = 1, .y_offset = 11, .threads = 3},
            {.y_stride = whole_lines, .threads = 2, .store = SIMDNORM_STORE_STREAMING}};
}

std::size_t columns_of(const std::string &name) {
    return std::stoul(name.substr(name.find(" x ") + 3));
}

class Digests : public OnInstructionSet {};

TEST_P(Digests, AreThoseOfTheFile) {
    std::map<std::string, std::string> expected = digests_of_file();
    int told = 0;
    const auto compare = [&](const std::string &name, const auto &digests) {
        const std::string wanted = expected[name];
        expected.erase(name);
        for (const Layout &layout : layouts(columns_of(name))) {
            const std::string actual = digests(layout);
            if (actual != wanted && told++ < 10) {
                ADD_FAILURE() << name << ": " << layout << "\nis      " << actual << "\ninstead of" << wanted
                              << (wanted.empty()                         ? "\nThe file has no such line."
                                  : input_of(actual) != input_of(wanted) ? "\nThe arguments are others already."
                                                                         : "");
            }
        }
    };
    DigestCases(compare).run();
    EXPECT_EQ(told, 0) << "so many differ in all";
    for (const auto &[name, digests] : expected) {
        ADD_FAILURE() << "nothing computes the line of the file " << name;
    }
}

SIMDNORM_ON_EVERY_INSTRUCTION_SET(Digests);

} // namespace
} // namespace simdnorm_test
