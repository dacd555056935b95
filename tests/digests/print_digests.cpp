// Prints the file of digests anew, by the scalar set, which is the reference for every bit.
#include "cases.hpp"

#include <cstdio>
#include <string>

using namespace simdnorm_test;

int main() {
    const UseInstructionSet scalar("scalar");
    std::puts("# Digests of the bits of every output: tests/digests/cases.hpp says of what. Made anew by\n"
              "#     build/release/tests/digests/simdnorm_digests > tests/digests/digests.txt");
    const auto print = [](const std::string &name, const auto &digests) {
        std::printf("%s:%s\n", name.c_str(), digests(Layout{}).c_str());
    };
    DigestCases(print).run();
    return testing::Test::HasFailure() ? 1 : 0;
}
