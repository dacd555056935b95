#include "machine.hpp"

#include <benchmark/benchmark.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#include <unistd.h>

#include <fstream>

namespace bench {

namespace {

constexpr std::size_t assumed_l1 = std::size_t{32} * 1024;
constexpr std::size_t assumed_l2 = std::size_t{1024} * 1024;

std::size_t size_from_benchmark_library(int level) {
    for (const auto &cache : benchmark::CPUInfo::Get().caches) {
        if (cache.level == level && cache.type != "Instruction" && cache.size > 0) {
            return static_cast<std::size_t>(cache.size);
        }
    }
    return 0;
}

std::size_t size_from_system([[maybe_unused]] int level) {
#ifdef _SC_LEVEL1_DCACHE_SIZE
    const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    const long size = sysconf(names[level - 1]);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
#else
    return 0;
#endif
}

std::size_t cache_size(int level) {
    const std::size_t size = size_from_benchmark_library(level);
    return size > 0 ? size : size_from_system(level);
}

std::string in_words(std::size_t bytes) {
    const std::size_t kib = bytes / 1024;
    return kib % 1024 == 0 ? std::to_string(kib / 1024) + " MiB" : std::to_string(kib) + " KiB";
}

} // namespace

CacheSizes cache_sizes() {
    CacheSizes caches = {cache_size(1), cache_size(2), cache_size(3)};
    if (caches.l1 == 0) {
        caches.l1 = assumed_l1;
        caches.l1_assumed = true;
    }
    if (caches.l2 == 0) {
        caches.l2 = assumed_l2;
        caches.l2_assumed = true;
    }
    return caches;
}

std::string describe(const CacheSizes &caches) {
    const std::string assumed = " (assumed)";
    return "L1d " + in_words(caches.l1) + (caches.l1_assumed ? assumed : "") + ", L2 " + in_words(caches.l2) +
           (caches.l2_assumed ? assumed : "") + ", L3 " + (caches.l3 > 0 ? in_words(caches.l3) : "none or unknown");
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
