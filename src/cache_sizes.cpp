#include "cache_sizes.hpp"

#include <cstdio>

namespace simdnorm {
namespace {

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

CacheSizes read_cache_sizes() {
    CacheSizes sizes = {.level1_data = 32U << 10, .level2 = 1U << 20, .last_level = 32U << 20};
    std::size_t greatest_level = 0;
    std::size_t level = 0;
    for (int index = 0; read_cache_file(index, "level", "%zu", &level); ++index) {
        char type[16];
        std::size_t kibibytes = 0;
        if (!read_cache_file(index, "type", "%15s", &type) || !read_cache_file(index, "size", "%zuK", &kibibytes) ||
            type[0] == 'I') { // an instruction cache
            continue;
        }
        const std::size_t bytes = kibibytes << 10;
        if (level == 1) {
            sizes.level1_data = bytes;
        } else if (level == 2) {
            sizes.level2 = bytes;
        }
        if (level > greatest_level) {
            greatest_level = level;
            sizes.last_level = bytes;
        }
    }
    return sizes;
}

} // namespace

const CacheSizes &cache_sizes() {
    static const CacheSizes sizes = read_cache_sizes();
    return sizes;
}

} // namespace simdnorm
