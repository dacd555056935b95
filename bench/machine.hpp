// What is known of the machine, the build and the threads.
#pragma once

#include <cstddef>
#include <string>

namespace bench {

// In bytes. A level that the system does not tell of is an assumption for L1 and L2, and 0 for L3: a CPU may have none.
struct CacheSizes {
    std::size_t l1 = 0;
    std::size_t l2 = 0;
    std::size_t l3 = 0; // of one L3, where a machine has several
    bool l1_assumed = false;
    bool l2_assumed = false;
};

CacheSizes cache_sizes();

// As "L1d 32 KiB, L2 1 MiB, L3 32 MiB", with a word on what is assumed.
std::string describe(const CacheSizes &caches);

std::string cpu_name();
int cpu_count();
std::string compiler();

// What OpenMP would use here; 1 without OpenMP.
int all_threads();

} // namespace bench
