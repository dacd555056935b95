// What plans depend on of the machine that the program runs on.
#pragma once

#include <cstddef>

namespace simdnorm {

// The CPUs that plans were measured on: their paths to memory gain by different steps. Which of them one is most like:
// AMD's up to family 25, of which Zen 4 was measured; AMD's later ones; all others.
enum class Core { zen_4, zen_5, emerald_rapids };

// Caches in bytes, of the first CPU; the last as a whole, however many cores share it, but 32 MiB at most. Where the
// system does not tell, the sizes in a common server CPU.
struct Machine {
    std::size_t l1d;
    std::size_t last_level; // the cache before memory, as far as a process may count on it
    Core core;
    std::size_t held_columns = 0; // KernelTable's, of the instruction set in use
};

// Found out once; without what depends on the instruction set.
const Machine &this_machine();

} // namespace simdnorm
