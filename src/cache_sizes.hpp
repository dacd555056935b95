// The cache sizes of this machine.
#pragma once

#include <cstddef>

namespace simdnorm {

struct CacheSizes {
    std::size_t level1_data;
    std::size_t level2;
    std::size_t last_level; // the level before memory, however many cores share it
};

// In bytes; read once. Where the system does not tell, the sizes of a common server CPU.
const CacheSizes &cache_sizes();

} // namespace simdnorm
