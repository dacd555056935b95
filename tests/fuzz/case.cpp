#include "case.hpp"

#include "bits.hpp"

#include <algorithm>
#include <bit>
#include <climits>
#include <cmath>
#include <limits>
#include <sstream>

namespace simdnorm_test {
namespace {

// How many elements a matrix may have, its gaps left out: mostly few, since small calls are made a hundred times as
// fast; at times enough for threads, and for several leaves of the backward pass's tree of sums.
std::size_t draw_most_elements(Input &input) {
    return input.pick<std::size_t>({1U << 12, 1U << 12, 1U << 12, 1U << 12, 1U << 14, 1U << 16, 1U << 17, 1U << 18});
}

std::uint32_t draw_bits(Input &input) {
    const std::size_t choice = input.byte();
    if (choice >= 192) {
        return input.word();
    }
    constexpr std::uint32_t sign = 0x80000000;
    constexpr std::uint32_t values[] = {
        0x3f800000, // 1
        0x00000000, // 0
        0x40490fdb, // pi
        0x00000001, // the smallest subnormal
        0x007fffff, // the greatest one
        0x00800000, // the smallest normal
        0x7f7fffff, // the greatest float
        0x7f800000, // infinity
        0x7fc00000, // NaN: quiet, with a payload, signalling
        0x7fc12345, 0x7f800001,
        0x3f800001, // the neighbour of 1
        0x47800000, // 2^16
        0x5f800000, // 2^64
        0x7e800000, // 2^126
        0x17800000, // 2^-80
        0x1f800000, // 2^-64
    };
    constexpr std::size_t count = std::size(values);
    return values[choice % count] | (choice / count % 2 == 1 ? sign : 0);
}

Fill draw_fill(Input &input) {
    Fill fill;
    fill.rule = static_cast<Fill::Rule>(input.below(6));
    fill.a = draw_bits(input);
    fill.b = draw_bits(input);
    fill.seed = input.byte();
    fill.spikes.resize(input.below(4));
    for (Fill::Spike &spike : fill.spikes) {
        spike.index = input.two_bytes();
        spike.bits = draw_bits(input);
    }
    return fill;
}

void draw_small_shape(Input &input, Case &problem) {
    problem.rows = (1 + input.byte()) % 20;
    problem.columns = input.byte() + 1;
}

// Widths at which a plan or a kernel changes its way, and their neighbours.
void draw_width_at_threshold(Input &input, Case &problem) {
    constexpr std::size_t thresholds[] = {16,  32,   64,   96,   128,  192,  256,  384,  512,  600,   640,
                                          768, 1024, 1152, 1280, 1536, 1920, 2048, 4096, 8192, 32768, 65536};
    problem.columns = thresholds[input.below(std::size(thresholds))] + input.below(5) - 2;
    problem.rows = (1 + input.byte()) % 70;
}

void draw_many_rows(Input &input, Case &problem) {
    problem.rows = input.two_bytes() % 4200;
    problem.columns = input.below(130) + 1;
}

void draw_long_rows(Input &input, Case &problem) {
    problem.rows = input.below(6) + 1;
    problem.columns = 16384 * (input.below(7) + 1) + input.byte(); // enough for two threads on any CPU
}

// More than any memory holds: such a call must fail, or look at nothing.
void draw_impossible_shape(Input &input, Case &problem) {
    constexpr std::size_t limit = PTRDIFF_MAX / sizeof(float);
    const auto size = [&] {
        return input.pick<std::size_t>({0, 1, 2, 7, limit, limit + 1, limit / 2, limit / 4 + 1, SIZE_MAX, SIZE_MAX / 2,
                                        SIZE_MAX / 2 + 1, SIZE_MAX / sizeof(float) + 1, std::size_t{1} << 32}) +
               input.below(3);
    };
    problem.rows = size();
    problem.columns = size();
}

void draw_shape(Input &input, Case &problem) {
    constexpr void (*ways[])(Input &, Case &) = {
        draw_small_shape, draw_small_shape,        draw_small_shape, draw_small_shape,
        draw_small_shape, draw_width_at_threshold, draw_many_rows,   draw_long_rows,
    };
    const std::size_t choice = input.byte();
    if (choice >= 240) {
        draw_impossible_shape(input, problem);
        return;
    }
    ways[choice % std::size(ways)](input, problem);
    if (choice >= 236) {
        problem.columns = 0;
        return;
    }
    problem.rows = std::min(problem.rows, draw_most_elements(input) / problem.columns + 1);
}

double draw_epsilon(Input &input) {
    return input.pick({1e-5, 0.0, 1e-12, 1.0, -0.0, 5e-324, 1e-300, 1e-44, 1e30, std::numeric_limits<double>::max()});
}

std::vector<Argument> arguments_of(const Case &problem) {
    const auto matrix = [&](const char *name, Role role, bool required) {
        return Argument{name, role, required, true, problem.rows, problem.columns};
    };
    const auto vector = [](const char *name, Role role, bool required, std::size_t length) {
        return Argument{name, role, required, false, 1, length};
    };
    if (problem.is_backward) {
        return {matrix("dy", Role::input, true),
                matrix("x", Role::input, true),
                vector("gamma", Role::input, false, problem.columns),
                vector("mean", Role::input, true, problem.rows),
                vector("rstd", Role::input, true, problem.rows),
                matrix("dx", Role::output, false),
                vector("dgamma", Role::output, false, problem.columns),
                vector("dbeta", Role::output, false, problem.columns)};
    }
    return {matrix("x", Role::input, true),
            vector("gamma", Role::input, false, problem.columns),
            vector("beta", Role::input, false, problem.columns),
            matrix("y", Role::output, true),
            vector("mean", Role::output, false, problem.rows),
            vector("rstd", Role::output, false, problem.rows)};
}

void draw_stride(Input &input, Argument &argument) {
    constexpr std::size_t line = 16;
    const std::size_t columns = argument.columns;
    const std::size_t lines = columns / line + (columns % line != 0 ? 1 : 0);
    argument.stride = input.pick({std::size_t{0}, std::size_t{0}, columns, columns + 1 + input.below(17), lines * line,
                                  (lines + 1) * line, columns + input.byte()});
    if (!argument.fits()) {
        argument.stride = 0;
    }
}

void draw_place(Input &input, Argument &argument) {
    argument.is_null = !argument.required && input.once_in(4);
    if (argument.is_matrix) {
        draw_stride(input, argument);
    }
    argument.flush_with_end = input.below(2) == 0;
    argument.lead = input.below(2) == 0 ? 0 : input.below(16);
}

void draw_values(Input &input, Argument &argument) {
    argument.fill = draw_fill(input);
    argument.other_fill_every = input.pick<std::size_t>({0, 0, 0, 1, 2, 3, 5, 8, 17});
    if (argument.other_fill_every != 0) {
        argument.other_fill = draw_fill(input);
    }
}

void put_at(Case &problem, std::size_t guest, std::size_t host, std::ptrdiff_t distance) {
    problem.arguments[guest].host = host;
    problem.arguments[guest].from_host = distance;
}

// The output over the input that may lie in its place.
void draw_in_place(Input &input, Case &problem, std::size_t output, std::size_t place) {
    if (!input.once_in(8)) {
        problem.arguments[output].stride = problem.arguments[place].stride;
    }
    put_at(problem, output, place, 0);
}

// Columns of one matrix, some of them for the output and some for an input; now and then too few.
void draw_slices(Input &input, Case &problem, std::size_t output, std::size_t place) {
    const std::size_t columns = problem.columns;
    const std::size_t gap = input.below(4);
    const std::size_t stride = 2 * columns + gap + input.below(4) - (input.once_in(4) ? 1 : 0);
    problem.arguments[output].stride = problem.arguments[place].stride = stride;
    const auto distance = static_cast<std::ptrdiff_t>(columns + gap) - (input.once_in(8) ? 1 : 0) +
                          static_cast<std::ptrdiff_t>(stride * input.below(3));
    put_at(problem, output, place, input.below(2) == 0 ? distance : -distance);
}

// Any argument at any distance from any other that has pages of its own; mostly where one ends and the other begins.
void draw_neighbours(Input &input, Case &problem) {
    const std::size_t guest = input.below(problem.arguments.size());
    const std::size_t host = input.below(problem.arguments.size());
    problem.arguments[guest].is_null = problem.arguments[host].is_null = false;
    const auto length = [](const Argument &argument) { return static_cast<std::ptrdiff_t>(argument.extent()); };
    const std::ptrdiff_t after = length(problem.arguments[host]);
    const std::ptrdiff_t before = -length(problem.arguments[guest]);
    const auto anywhere = static_cast<std::ptrdiff_t>(input.byte()) - 128;
    put_at(problem, guest, host,
           input.pick<std::ptrdiff_t>({after, before, 0, after - 1, before + 1, anywhere, after / 2}));
}

// Of arguments that have memory.
void draw_overlap(Input &input, Case &problem) {
    if (!std::all_of(problem.arguments.begin(), problem.arguments.end(), [](const Argument &a) { return a.fits(); })) {
        return;
    }
    const std::size_t output = problem.is_backward ? std::size_t{backward::dx} : std::size_t{forward::y};
    const std::size_t any_input = problem.is_backward ? input.below(2) : std::size_t{forward::x};
    switch (input.below(8)) {
    case 4:
        return draw_in_place(input, problem, output, any_input);
    case 5:
        return draw_slices(input, problem, output, any_input);
    case 6:
    case 7:
        return draw_neighbours(input, problem);
    default:
        return;
    }
}

void draw_fault(Input &input, Case &problem) {
    Argument &argument = problem.arguments[input.below(problem.arguments.size())];
    constexpr std::size_t kinds = 8;
    constexpr std::size_t of_forward_alone = 2;
    switch (input.below(problem.is_backward ? kinds - of_forward_alone : kinds)) {
    case 0:
        argument.is_null = true;
        break;
    case 1:
        argument.misaligned_bytes = input.below(4);
        break;
    case 2:
        argument.stride = input.pick<std::size_t>({1, problem.columns - 1, problem.columns / 2, SIZE_MAX,
                                                   SIZE_MAX / 4 + 1, PTRDIFF_MAX / sizeof(float) / 4 + 1});
        break;
    case 3:
        problem.threads = input.pick({-1, INT_MIN, INT_MAX, 1000, -256});
        break;
    case 4:
        problem.store = input.pick({-1, 3, INT_MIN, INT_MAX, 256});
        break;
    case 5:
        problem.args_is_null = true;
        break;
    case 6:
        problem.epsilon = std::bit_cast<double>(input.two_words());
        break;
    default:
        problem.epsilon = input.pick({-1e-5, HUGE_VAL, -HUGE_VAL, std::numeric_limits<double>::quiet_NaN(), -5e-324});
    }
}

// A host must have pages of its own, and the pages must not grow without bound.
void keep_places_possible(Case &problem) {
    constexpr auto farthest = static_cast<std::ptrdiff_t>(2 * most_floats_of_matrix);
    for (std::size_t i = 0; i < problem.arguments.size(); ++i) {
        Argument &guest = problem.arguments[i];
        const Argument &host = problem.arguments[guest.host];
        const bool possible = host.host == guest.host && !host.is_null && host.fits() && guest.fits() &&
                              -farthest < guest.from_host && guest.from_host < farthest;
        if (guest.host != i && !possible) {
            put_at(problem, i, i, 0);
        }
    }
}

void describe(std::ostream &out, const Argument &argument, const Case &problem) {
    out << "\n  " << argument.name << ": ";
    if (argument.is_null) {
        out << "NULL";
        return;
    }
    out << argument.rows << " x " << argument.columns << ", stride " << argument.stride;
    const Argument &host = problem.arguments[argument.host];
    if (&host != &argument) {
        out << ", " << argument.from_host << " floats from " << host.name;
    } else if (argument.flush_with_end) {
        out << ", flush with the end of a page";
    } else {
        out << ", " << argument.lead << " floats from the start of a page";
    }
    if (argument.misaligned_bytes != 0) {
        out << ", " << argument.misaligned_bytes << " bytes too far";
    }
    if (argument.role == Role::input) {
        out << ", values by rule " << static_cast<int>(argument.fill.rule) << " of " << hex(float_of(argument.fill.a))
            << " and " << hex(float_of(argument.fill.b)) << ", " << argument.fill.spikes.size() << " spikes";
        if (argument.other_fill_every != 0) {
            out << "; others every " << argument.other_fill_every << " rows";
        }
    }
}

} // namespace

// What a short input leaves to chance are values: where arguments lie and what is wrong with them comes before.
Case decode(Input input) {
    Case problem;
    problem.is_backward = input.below(2) == 1;
    draw_shape(input, problem);
    problem.arguments = arguments_of(problem);
    for (std::size_t i = 0; i < problem.arguments.size(); ++i) {
        problem.arguments[i].host = i;
    }
    problem.threads = input.pick({1, 2, 3, 0, 7});
    problem.store = static_cast<int>(input.below(3));
    problem.epsilon = draw_epsilon(input);
    for (Argument &argument : problem.arguments) {
        draw_place(input, argument);
    }
    draw_overlap(input, problem);
    const std::size_t faults = input.byte();
    for (std::size_t i = 0; i < (faults >= 250 ? 2U : faults >= 224 ? 1U : 0U); ++i) {
        draw_fault(input, problem);
    }
    keep_places_possible(problem);
    problem.machine.l1d = input.pick<std::size_t>({32U << 10, 4U << 10, 64U << 10, 1U << 10});
    problem.machine.last_level = input.pick<std::size_t>({32U << 20, 0, 4U << 10, 64U << 10});
    problem.machine.core = problem.machine.l1d > 32U << 10   ? simdnorm::Core::emerald_rapids
                           : problem.machine.l1d == 4U << 10 ? simdnorm::Core::zen_5
                                                             : simdnorm::Core::zen_4;
    problem.memory_fails = input.once_in(16);
    problem.keeps_statistics = !input.once_in(4);
    for (Argument &argument : problem.arguments) {
        if (argument.role == Role::input) {
            draw_values(input, argument);
        }
    }
    return problem;
}

std::string describe(const Case &problem) {
    std::ostringstream out;
    out.precision(17);
    out << (problem.is_backward ? "backward" : "forward") << (problem.args_is_null ? ", args NULL" : "") << ", rows "
        << problem.rows << ", columns " << problem.columns << ", epsilon " << problem.epsilon << ", threads "
        << problem.threads << ", store " << problem.store << ", L1 of " << problem.machine.l1d
        << " bytes, last cache of " << problem.machine.last_level << (problem.memory_fails ? ", memory fails" : "")
        << (problem.is_backward && problem.keeps_statistics ? ", statistics of the forward pass" : "");
    for (const Argument &argument : problem.arguments) {
        describe(out, argument, problem);
    }
    return out.str();
}

} // namespace simdnorm_test
