#include "memory.hpp"

#include "bits.hpp"
#include "buffer.hpp"
#include "random.hpp"

#include <algorithm>
#include <cmath>

namespace simdnorm_test {
namespace {

// So much of an argument has memory: of one that is too large for any, which nobody may look at, a little.
std::size_t floats_in_memory(const Argument &argument) {
    return argument.fits() ? static_cast<std::size_t>(argument.extent()) : 64;
}

float value_by_rule(const Fill &fill, Random &random) {
    const float a = float_of(fill.a);
    const float b = float_of(fill.b);
    switch (fill.rule) {
    case Fill::Rule::uniform:
        return b + a * static_cast<float>(random.uniform(-1, 1));
    case Fill::Rule::constant:
        return a;
    case Fill::Rule::one_of_two:
        return random.below(2) == 0 ? a : b;
    case Fill::Rule::any_bits:
        return float_of(static_cast<std::uint32_t>(random.bits()));
    case Fill::Rule::near_exponent: {
        // Any sign and fraction, and exponents that differ from a's in their last bits alone.
        const auto bits = static_cast<std::uint32_t>(random.bits());
        return float_of((fill.a & 0x7c000000) | (bits & 0x83ffffff));
    }
    case Fill::Rule::small_integers:
        break;
    }
    return static_cast<float>(random.below(17)) - 8;
}

} // namespace

Memory::Memory(const Case &problem) : problem_(problem), regions_(problem.arguments.size()) {
    for (std::size_t i = 0; i < regions_.size(); ++i) {
        if (part(i) == i) {
            make_region(i);
        }
    }
}

void Memory::make_region(std::size_t host) {
    const Argument &owner = problem_.arguments[host];
    std::ptrdiff_t first = 0;
    std::ptrdiff_t end = 0;
    for (const Argument &argument : problem_.arguments) {
        if (argument.host == host) {
            first = std::min(first, argument.from_host);
            end = std::max(end, argument.from_host + static_cast<std::ptrdiff_t>(floats_in_memory(argument)));
        }
    }
    const auto lead = static_cast<std::size_t>(-first) + (owner.flush_with_end ? 0 : owner.lead);
    const std::size_t floats = lead + static_cast<std::size_t>(end);
    const std::size_t pages = floats / page_floats() + 1;
    Region &region = regions_[host];
    region.pages = std::make_unique<GuardedPages>(1, pages);
    region.floats = pages * page_floats();
    region.origin = owner.flush_with_end ? region.floats - static_cast<std::size_t>(end) : lead;
    std::fill_n(region.pages->start(), region.floats, canary());
}

float *Memory::pointer(std::size_t argument) const {
    const Argument &asked = problem_.arguments[argument];
    if (asked.is_null) {
        return nullptr;
    }
    const Region &region = regions_[part(argument)];
    const std::ptrdiff_t place = static_cast<std::ptrdiff_t>(region.origin) + asked.from_host;
    return reinterpret_cast<float *>(reinterpret_cast<std::uintptr_t>(region.pages->start() + place) +
                                     asked.misaligned_bytes);
}

std::vector<std::uintptr_t> Memory::addresses() const {
    std::vector<std::uintptr_t> all;
    for (std::size_t i = 0; i < regions_.size(); ++i) {
        all.push_back(reinterpret_cast<std::uintptr_t>(pointer(i)));
    }
    return all;
}

Image Memory::image() const {
    Image image;
    for (const Region &region : regions_) {
        image.emplace_back();
        if (region.pages != nullptr) {
            image.back().assign(region.pages->start(), region.pages->start() + region.floats);
        }
    }
    return image;
}

void Memory::restore(const Image &image) {
    for (std::size_t i = 0; i < regions_.size(); ++i) {
        if (regions_[i].pages != nullptr) {
            std::copy(image[i].begin(), image[i].end(), regions_[i].pages->start());
        }
    }
}

std::size_t Memory::index(std::size_t argument, std::size_t row, std::size_t column) const {
    const Argument &asked = problem_.arguments[argument];
    return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(regions_[part(argument)].origin) + asked.from_host) +
           row * asked.real_stride() + column;
}

std::vector<float> Memory::gather(const Image &image, std::size_t argument) const {
    const Argument &asked = problem_.arguments[argument];
    std::vector<float> values;
    if (asked.is_null) {
        return values;
    }
    values.reserve(asked.rows * asked.columns);
    for (std::size_t row = 0; row < asked.rows; ++row) {
        const float *first = image[part(argument)].data() + index(argument, row, 0);
        values.insert(values.end(), first, first + asked.columns);
    }
    return values;
}

Image filled(const Case &problem, const Memory &memory) {
    Image image = memory.image();
    for (std::size_t i = 0; i < problem.arguments.size(); ++i) {
        const Argument &argument = problem.arguments[i];
        if (argument.role != Role::input || argument.is_null || argument.columns == 0) {
            continue;
        }
        Random random(argument.fill.seed);
        std::vector<float> &values = image[memory.part(i)];
        for (std::size_t row = 0; row < argument.rows; ++row) {
            const std::size_t every = argument.other_fill_every;
            const bool other = every != 0 && row % every == every - 1;
            for (std::size_t j = 0; j < argument.columns; ++j) {
                values[memory.index(i, row, j)] = value_by_rule(other ? argument.other_fill : argument.fill, random);
            }
        }
        for (const Fill &fill : {argument.fill, argument.other_fill}) {
            for (const Fill::Spike &spike : fill.spikes) {
                if (const std::size_t row = spike.index / argument.columns; row < argument.rows) {
                    values[memory.index(i, row, spike.index % argument.columns)] = float_of(spike.bits);
                }
            }
        }
    }
    return image;
}

} // namespace simdnorm_test
