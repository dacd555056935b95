#include "expectation.hpp"

#include <simdnorm/simdnorm.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace simdnorm_test {
namespace {

using Integer = __int128; // holds any address, and any difference of two

// An argument in bytes of the address space, its rows at first + row * stride.
struct Place {
    Integer first = 0;
    Integer rows = 0;
    Integer row_bytes = 0;
    Integer stride = 0;

    // Beyond the address space one number is as good as another, and these do not wrap around.
    Integer bytes() const {
        constexpr Integer half = Integer{1} << 63;
        return rows == 0 || row_bytes == 0 ? 0 : (rows - 1) * std::min(stride, half) + std::min(row_bytes, half);
    }
};

Place place_of(const Argument &argument, std::uintptr_t address) {
    constexpr Integer element = sizeof(float);
    if (address == 0) {
        return {};
    }
    return {static_cast<Integer>(address), static_cast<Integer>(argument.rows),
            element * static_cast<Integer>(argument.columns), element * static_cast<Integer>(argument.real_stride())};
}

bool ranges_meet(const Place &a, const Place &b) {
    return a.bytes() > 0 && b.bytes() > 0 && a.first < b.first + b.bytes() && b.first < a.first + a.bytes();
}

// Row r of `a` and row q of `b` meet if their distance, which depends on r - q alone, is less than a row.
bool some_rows_meet(const Place &a, const Place &b) {
    const Integer distance = b.first - a.first;
    const Integer nearest = distance / a.stride;
    for (Integer shift = nearest - 1; shift <= nearest + 1; ++shift) {
        const Integer between = distance - shift * a.stride;
        if (-a.rows < shift && shift < a.rows && -a.row_bytes < between && between < a.row_bytes) {
            return true;
        }
    }
    return false;
}

bool same_place(const Place &a, const Place &b) {
    return a.first == b.first && (a.stride == b.stride || a.rows == 1);
}

enum class Sharing { none, slices, place_or_slices };

// What of its memory an output may share with another argument.
Sharing allowed_sharing(const Case &problem, std::size_t output, std::size_t other) {
    if (!problem.is_backward) {
        return output == forward::y && other == forward::x ? Sharing::place_or_slices : Sharing::none;
    }
    if (output != backward::dx) {
        return Sharing::none;
    }
    return other == backward::dy ? Sharing::place_or_slices : other == backward::x ? Sharing::slices : Sharing::none;
}

bool may_lie_so(const Place &output, const Place &other, Sharing sharing) {
    return !ranges_meet(output, other) || (sharing == Sharing::place_or_slices && same_place(output, other)) ||
           (sharing != Sharing::none && output.stride == other.stride && !some_rows_meet(output, other));
}

void find_faults_of(const Argument &argument, std::uintptr_t address, const Case &problem,
                    std::vector<std::string> &faults) {
    if (argument.is_matrix && argument.stride != 0 && argument.stride < problem.columns) {
        faults.push_back(std::string(argument.name) + "_stride");
    }
    const bool missing = address == 0 && argument.required && problem.rows > 0;
    if (missing || address % sizeof(float) != 0 || place_of(argument, address).bytes() > PTRDIFF_MAX) {
        faults.emplace_back(argument.name);
    }
}

void find_overlaps(const Case &problem, const std::vector<std::uintptr_t> &addresses,
                   std::vector<std::string> &faults) {
    const std::vector<Argument> &all = problem.arguments;
    for (std::size_t output = 0; output < all.size(); ++output) {
        for (std::size_t other = 0; other < all.size(); ++other) {
            if (all[output].role != Role::output || other == output) {
                continue;
            }
            if (!may_lie_so(place_of(all[output], addresses[output]), place_of(all[other], addresses[other]),
                            allowed_sharing(problem, output, other))) {
                faults.emplace_back(all[output].name);
            }
        }
    }
}

} // namespace

std::vector<std::string> faults_of(const Case &problem, const std::vector<std::uintptr_t> &addresses) {
    std::vector<std::string> faults;
    if (problem.args_is_null) {
        return {"args"};
    }
    if (problem.columns == 0) {
        faults.emplace_back("columns");
    }
    if (!problem.is_backward && !(std::isfinite(problem.epsilon) && problem.epsilon >= 0)) {
        faults.emplace_back("epsilon");
    }
    if (problem.threads < 0) {
        faults.emplace_back("threads");
    }
    if (problem.store != SIMDNORM_STORE_AUTO && problem.store != SIMDNORM_STORE_CACHED &&
        problem.store != SIMDNORM_STORE_STREAMING) {
        faults.emplace_back("store");
    }
    for (std::size_t i = 0; i < problem.arguments.size(); ++i) {
        find_faults_of(problem.arguments[i], addresses[i], problem, faults);
    }
    // Of arguments that are sound by themselves.
    if (faults.empty()) {
        find_overlaps(problem, addresses, faults);
    }
    return faults;
}

bool may_need_memory(const Case &problem) {
    constexpr std::size_t most_rows_without = 16;
    const std::vector<Argument> &all = problem.arguments;
    return problem.is_backward && problem.rows > 0 &&
           (problem.rows > most_rows_without || problem.threads != 1 || all[backward::dgamma].is_null ||
            all[backward::dbeta].is_null);
}

} // namespace simdnorm_test
