// Prints the file of digests anew, by the scalar set, which is the reference for every bit.
#include "cases.hpp"

#include <cstdio>
#include <exception>
#include <string>

using namespace simdnorm_test;

int main() {
    try {
        const UseInstructionSet scalar("scalar");
        std::puts("# Digests of the bits of every output: tests/digests/cases.hpp says of what. Made anew by\n"
                  "#     build/release/tests/digests/simdnorm_digests > tests/digests/digests.txt");
        const auto print = [](const std::string &name, const auto &digests) {
            std::printf("%s:%s\n", name.c_str(), digests(Layout{}).c_str());
        };
        DigestCases(print).run();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "simdnorm_digests: %s\n", error.what());
        return 1;
    }
    return testing::Test::HasFailure() ? 1 : 0;
}
