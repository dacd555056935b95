// What stands in front of a program that a test starts, or tells to start: "" on the machine itself.
#pragma once

#include <cstdlib>
#include <string>

namespace simdnorm_test {

// Of the build, if it is for another machine; or of the environment, if this one plays another CPU.
inline std::string emulator() {
    const char *emulator = std::getenv("SIMDNORM_TEST_EMULATOR");
    return emulator != nullptr && *emulator != '\0' ? std::string(emulator) + " " : SIMDNORM_TEST_EMULATOR;
}

} // namespace simdnorm_test
