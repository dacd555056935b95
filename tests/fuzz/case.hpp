// One call of either pass as the fuzzer's bytes tell it: what is asked for, where every argument lies, what it holds,
// and what is wrong with it. Nothing here looks at the library.
#pragma once

#include "input.hpp"
#include "machine.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simdnorm_test {

// So many floats a matrix has room for, gaps included.
inline constexpr std::size_t most_floats_of_matrix = std::size_t{1} << 19;

// Values by rule, since bytes of their own would drown the others; and single ones, as bits.
struct Fill {
    enum class Rule { uniform, constant, one_of_two, any_bits, near_exponent, small_integers };
    struct Spike {
        std::size_t index;
        std::uint32_t bits;
    };

    Rule rule = Rule::uniform;
    std::uint32_t a = 0; // bits of a float
    std::uint32_t b = 0;
    std::uint64_t seed = 0;
    std::vector<Spike> spikes = {};
};

enum class Role { input, output };

// An array argument of the call.
struct Argument {
    const char *name;
    Role role;
    bool required;
    bool is_matrix;   // else it has one row
    std::size_t rows; // 1 of a vector
    std::size_t columns;
    std::size_t stride = 0; // as it is handed in
    bool is_null = false;

    // Where it lies: on pages of its own, `lead` floats from the first, or flush with the end of the last; or so many
    // floats from another argument.
    bool flush_with_end = false;
    std::size_t lead = 0;
    std::size_t host = 0; // the index of that other one, or its own
    std::ptrdiff_t from_host = 0;
    std::size_t misaligned_bytes = 0;

    Fill fill = {};
    Fill other_fill = {};
    std::size_t other_fill_every = 0; // rows; 0: never

    std::size_t real_stride() const { return stride != 0 ? stride : columns; }

    // Floats from the first to the last; as a real number where they may be more than size_t can tell.
    double extent() const {
        return rows == 0
                   ? 0
                   : static_cast<double>(rows - 1) * static_cast<double>(real_stride()) + static_cast<double>(columns);
    }
    bool fits() const { return extent() <= static_cast<double>(most_floats_of_matrix); }
};

struct Case {
    bool is_backward = false;
    bool args_is_null = false;
    std::size_t rows = 0;
    std::size_t columns = 0;
    double epsilon = 0; // in the backward pass, of the forward pass before it
    int threads = 0;
    int store = 0;
    // Of the machine that the library takes this one for.
    simdnorm::Machine machine = {};
    bool memory_fails = false;    // the library's requests for memory do
    bool keeps_statistics = true; // backward: mean and rstd are what the forward pass gives
    std::vector<Argument> arguments = {};
};

// The places of arguments in Case::arguments.
namespace forward {
enum : std::size_t { x, gamma, beta, y, mean, rstd };
}
namespace backward {
enum : std::size_t { dy, x, gamma, mean, rstd, dx, dgamma, dbeta };
}

Case decode(Input input);

std::string describe(const Case &problem);

} // namespace simdnorm_test
