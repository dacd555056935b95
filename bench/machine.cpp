#include "machine.hpp"

#include <benchmark/benchmark.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace bench {

namespace {

constexpr std::size_t kibibyte = 1024;
constexpr std::size_t mebibyte = 1024 * kibibyte;

std::size_t size_from_benchmark_library(int level) {
    for (const auto &cache : benchmark::CPUInfo::Get().caches) {
        if (cache.level == level && cache.type != "Instruction" && cache.size > 0) {
            return static_cast<std::size_t>(cache.size);
        }
    }
    return 0;
}

#ifdef _SC_LEVEL1_DCACHE_SIZE

std::size_t size_from_c_library(int name) {
    return static_cast<std::size_t>(std::max(sysconf(name), 0L));
}

std::size_t l1_from_c_library() {
    return size_from_c_library(_SC_LEVEL1_DCACHE_SIZE);
}

std::size_t l2_from_c_library() {
    return size_from_c_library(_SC_LEVEL2_CACHE_SIZE);
}

#else

std::size_t l1_from_c_library() {
    return 0;
}

std::size_t l2_from_c_library() {
    return 0;
}

#endif

CacheSize known_or_assumed(std::size_t known, std::size_t assumed) {
    return known > 0 ? CacheSize{known, false} : CacheSize{assumed, true};
}

CacheSize l1_size() {
    const std::size_t size = size_from_benchmark_library(1);
    return known_or_assumed(size > 0 ? size : l1_from_c_library(), 32 * kibibyte);
}

CacheSize l2_size() {
    const std::size_t size = size_from_benchmark_library(2);
    return known_or_assumed(size > 0 ? size : l2_from_c_library(), mebibyte);
}

// Not from the C library, which may give the sum of all L3s in the package, hundreds of mebibytes. Where the system
// tells of other caches and of no L3, there is none.
CacheSize l3_size() {
    const bool tells = !benchmark::CPUInfo::Get().caches.empty();
    return tells ? CacheSize{size_from_benchmark_library(3), false} : CacheSize{32 * mebibyte, true};
}

std::string in_words(const CacheSize &size) {
    if (size.bytes == 0) {
        return "none";
    }
    const std::string number = size.bytes % mebibyte == 0 ? std::to_string(size.bytes / mebibyte) + " MiB"
                                                          : std::to_string(size.bytes / kibibyte) + " KiB";
    return number + (size.assumed ? " (assumed)" : "");
}

} // namespace

CacheSizes cache_sizes() {
    return {l1_size(), l2_size(), l3_size()};
}

std::string describe(const CacheSizes &caches) {
    return "L1d " + in_words(caches.l1) + ", L2 " + in_words(caches.l2) + ", L3 " + in_words(caches.l3);
}

std::string cpu_name() {
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line);) {
        const std::size_t value = line.find(": ");
        if (line.rfind("model name", 0) == 0 && value != std::string::npos) {
            return line.substr(value + 2);
        }
    }
#if defined(__aarch64__)
    return "aarch64"; // whose kernel gives no name
#else
    return "unknown";
#endif
}

int cpu_count() {
    return benchmark::CPUInfo::Get().num_cpus;
}

std::string compiler() {
#if defined(__clang__)
    return "Clang " __clang_version__;
#elif defined(__GNUC__)
    return "GCC " __VERSION__;
#else
    return "unknown";
#endif
}

int all_threads() {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

} // namespace bench
