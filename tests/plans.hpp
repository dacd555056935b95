// What the tests that look inside the library share about plans.
#pragma once

#include "kernels/kernel_table.hpp"
#include "machine.hpp"
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

// Of which thresholds were measured.
inline constexpr simdnorm::Machine zen_4 = {.l1d = 32U << 10, .last_level = 32U << 20, .core = simdnorm::Core::zen_4};
inline constexpr simdnorm::Machine emerald_rapids = {
    .l1d = 48U << 10, .last_level = 32U << 20, .core = simdnorm::Core::emerald_rapids};
inline constexpr simdnorm::Machine zen_5 = {.l1d = 48U << 10, .last_level = 32U << 20, .core = simdnorm::Core::zen_5};

inline simdnorm::Machine with_l1(simdnorm::Machine machine, std::size_t l1d) {
    machine.l1d = l1d;
    return machine;
}

inline simdnorm::Machine with_held_columns(simdnorm::Machine machine, std::size_t columns) {
    machine.held_columns = columns;
    return machine;
}

// So many rows that they lie in the caches of neither.
inline Shape in_memory(std::size_t columns) {
    return {zen_4.last_level / columns, columns};
}

// Widths for calls between forbidden pages, with every way that a plan could take.
inline const std::vector<std::size_t> &guarded_columns() {
    static const std::vector<std::size_t> columns = [] {
        std::vector<std::size_t> all = {160,  191,  192,  193,  208,  256,  257,  288,  289,  320,  321,  383,
                                        384,  385,  400,  511,  512,  513,  600,  601,  639,  640,  641,  768,
                                        784,  1023, 1024, 1025, 1151, 1152, 1153, 1280, 1281, 1535, 1536, 1920,
                                        1921, 2047, 2048, 2049, 2560, 2561, 4095, 4096, 4097, 8193};
        for (std::size_t d = 1; d <= 130; ++d) {
            all.push_back(d);
        }
        return all;
    }();
    return columns;
}

} // namespace simdnorm_test
