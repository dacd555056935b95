// What the tests that look inside the library share about plans.
#pragma once

#include "cache_sizes.hpp"
#include "kernels/kernel_table.hpp"
#include "shapes.hpp"

#include <cstddef>
#include <ostream>
#include <vector>

namespace simdnorm {

inline std::ostream &operator<<(std::ostream &out, Traffic traffic) {
    constexpr const char *names[] = {"cached", "fetched", "streamed", "packed"};
    return out << names[static_cast<int>(traffic)];
}

} // namespace simdnorm

namespace simdnorm_test {

inline constexpr simdnorm::Traffic all_traffics[] = {simdnorm::Traffic::cached, simdnorm::Traffic::fetched,
                                                     simdnorm::Traffic::streamed, simdnorm::Traffic::packed};

// Rows that fill whole lines may be streamed.
inline bool can_carry(simdnorm::Traffic traffic, std::size_t columns) {
    return traffic != simdnorm::Traffic::streamed || columns % simdnorm::cache_line_floats == 0;
}

// So many rows that they cannot lie in the caches.
inline Shape in_memory(std::size_t columns) {
    return {simdnorm::cache_sizes().last_level / columns, columns};
}

// Widths for calls between forbidden pages, with every way that a plan could take.
inline const std::vector<std::size_t> &guarded_columns() {
    static const std::vector<std::size_t> columns = [] {
        std::vector<std::size_t> all = {160,  191,  192,  193,  257,  288,  289,  320,  321,  383,  384,  385,
                                        511,  512,  513,  639,  640,  641,  768,  1023, 1024, 1025, 1151, 1152,
                                        1153, 2047, 2048, 2049, 2560, 2561, 4095, 4096, 4097, 8193};
        for (std::size_t d = 1; d <= 130; ++d) {
            all.push_back(d);
        }
        return all;
    }();
    return columns;
}

} // namespace simdnorm_test
