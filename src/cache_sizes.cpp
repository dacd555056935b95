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

std::size_t read_last_level_cache_size() {
    constexpr std::size_t common_size = 32U << 20;
    std::size_t size = common_size;
    std::size_t greatest_level = 0;
    std::size_t level = 0;
    for (int index = 0; read_cache_file(index, "level", "%zu", &level); ++index) {
        std::size_t kibibytes = 0;
        if (level > greatest_level && read_cache_file(index, "size", "%zuK", &kibibytes)) {
            greatest_level = level;
            size = kibibytes << 10;
        }
    }
    return size;
}

} // namespace

std::size_t last_level_cache_size() {
    static const std::size_t size = read_last_level_cache_size();
    return size;
}

} // namespace simdnorm
