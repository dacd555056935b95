#include "machine.hpp"

#include "cpu_features.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace simdnorm {
namespace {

constexpr std::size_t common_l1d = 32U << 10;
constexpr std::size_t common_last_level = 32U << 20;

// A larger cache is shared by many cores, and in a virtual machine by others' that the system does not show. Where it
// had 300 MiB (Emerald Rapids, two cores), writing past it and reading back was faster from 32 MiB on
// (docs/measurements/emerald-rapids.md).
constexpr std::size_t most_of_last_level = 32U << 20;

// One file of Linux's description of the first CPU's caches (Documentation/ABI/testing/sysfs-devices-system-cpu).
template <class... Results>
bool read_cache_file(int index, const char *name, const char *format, Results *...results) {
    char path[96];
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    std::FILE *file = std::fopen(path, "re");
    if (file == nullptr) {
        return false;
    }
    const int read = std::fscanf(file, format, results...);
    std::fclose(file);
    return read == static_cast<int>(sizeof...(results));
}

// Not by sysconf: in a virtual machine that hides its caches it tells of all those in the package together.
std::size_t read_last_level() {
    std::size_t size = common_last_level;
    std::size_t greatest_level = 0;
    std::size_t level = 0;
    for (int index = 0; read_cache_file(index, "level", "%zu", &level); ++index) {
        std::size_t kibibytes = 0;
        if (level > greatest_level && read_cache_file(index, "size", "%zuK", &kibibytes)) {
            greatest_level = level;
            size = kibibytes << 10;
        }
    }
    return std::min(size, most_of_last_level);
}

std::size_t read_l1d() {
#ifdef _SC_LEVEL1_DCACHE_SIZE
    if (const long size = sysconf(_SC_LEVEL1_DCACHE_SIZE); size > 0) {
        return static_cast<std::size_t>(size);
    }
#endif
    return common_l1d;
}

Core most_like() {
    constexpr unsigned family_of_zen_5 = 0x1A; // and of Zen 3 and Zen 4: 0x19
    const unsigned family = amd_cpu_family();
    return family == 0 ? Core::emerald_rapids : family < family_of_zen_5 ? Core::zen_4 : Core::zen_5;
}

} // namespace

const Machine &this_machine() {
    static const Machine found = {.l1d = read_l1d(), .last_level = read_last_level(), .core = most_like()};
    return found;
}

} // namespace simdnorm
