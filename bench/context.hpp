// What a reader of the results must know of the library, the build and the machine.
#pragma once

#include "contender.hpp"

#include <string>
#include <vector>

namespace bench {

struct Fact {
    std::string name;
    std::string value;
};

// What "auto" stands for. It must be among the sets that are measured: the public interface has no list of them.
std::string automatic_set();

// The build and the machine in words, without the end of the last line.
std::string build_and_machine();

// For the object "context" of the JSON: versions of simdnorm and of those contenders that have one, the automatic set,
// the compiler, the CPU and its caches.
std::vector<Fact> context(const std::vector<Contender> &contenders);

} // namespace bench
