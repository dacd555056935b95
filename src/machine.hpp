// What plans depend on of the machine that the program runs on.
#pragma once

#include <cstddef>

namespace simdnorm {

// Caches in bytes, of the first CPU; the last as a whole, however many cores share it, but 32 MiB at most. Where the
// system does not tell, the sizes in a common server CPU.
struct Machine {
    std::size_t l1d;
    std::size_t last_level; // the cache before memory, as far as a process may count on it
    bool is_amd;            // the maker of the CPU: AMD's and Intel's memory paths gain by different steps
};

// Found out once.
const Machine &this_machine();

} // namespace simdnorm
