// The cache sizes of this machine that plans depend on.
#pragma once

#include <cstddef>

namespace simdnorm {

// In bytes, of the first CPU, and of each cache as a whole, however many cores share it. Where the system does not
// tell, the sizes in a common server CPU.
struct CacheSizes {
    std::size_t l1d;
    std::size_t last_level; // the cache before memory
};

// Read once.
const CacheSizes &cache_sizes();

} // namespace simdnorm
