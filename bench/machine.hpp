// What is known of the machine, the build and the threads.
#pragma once

#include <cstddef>
#include <string>

namespace bench {

struct CacheSize {
    std::size_t bytes;
    bool assumed; // the system does not tell
};

struct CacheSizes {
    CacheSize l1; // for data
    CacheSize l2;
    CacheSize l3; // of one L3, where a machine has several; 0 where it has none
};

CacheSizes cache_sizes();

// As "L1d 48 KiB, L2 1 MiB, L3 32 MiB (assumed)".
std::string describe(const CacheSizes &caches);

std::string cpu_name();
int cpu_count();
std::string compiler();

// What OpenMP would use here; 1 without OpenMP.
int all_threads();

} // namespace bench
