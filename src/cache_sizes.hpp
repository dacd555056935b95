// The cache sizes of this machine that plans depend on.
#pragma once

#include <cstddef>

namespace simdnorm {

// The cache before memory, in bytes, however many cores share it; read once. Where the system does not tell, the size
// in a common server CPU.
std::size_t last_level_cache_size();

} // namespace simdnorm
