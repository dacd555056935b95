#include "instruction_set.hpp"

#include "error.hpp"

#include <simdnorm/simdnorm.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace simdnorm {
namespace {

// The one list of instruction sets, the preferred last. The build defines SIMDNORM_AVX2_KERNELS and so on: the address
// of the table, or nullptr for a set that it does not have.
constexpr InstructionSet instruction_sets[] = {
    {"scalar", &scalar_kernels, [](const CpuFeatures &) { return true; }},
    {"neon", SIMDNORM_NEON_KERNELS, [](const CpuFeatures &cpu) { return cpu.neon; }},
    {"avx2", SIMDNORM_AVX2_KERNELS, [](const CpuFeatures &cpu) { return cpu.avx2; }},
    {"avx512", SIMDNORM_AVX512_KERNELS, [](const CpuFeatures &cpu) { return cpu.avx512; }},
};

constexpr const char *names = "an instruction set is named scalar, neon, avx2, avx512 or auto";

bool usable(const InstructionSet &set) {
    static const CpuFeatures cpu = detect_cpu_features();
    return set.kernels != nullptr && set.runs_on(cpu);
}

const InstructionSet &best() {
    const InstructionSet *found = nullptr;
    for (const InstructionSet &set : instruction_sets) {
        if (usable(set)) {
            found = &set;
        }
    }
    return *found; // "scalar" at least
}

const InstructionSet *known(const char *name) {
    for (const InstructionSet &set : instruction_sets) {
        if (std::strcmp(set.name, name) == 0) {
            return &set;
        }
    }
    return nullptr;
}

// The set a name stands for, or why it cannot be had.
struct Choice {
    const InstructionSet *set;
    simdnorm_status status;
    const char *why;
};

Choice choose(const char *name) {
    if (name == nullptr) {
        return {nullptr, SIMDNORM_INVALID_ARGUMENT, names};
    }
    if (std::strcmp(name, "auto") == 0) {
        return {&best(), SIMDNORM_OK, ""};
    }
    const InstructionSet *set = known(name);
    if (set == nullptr) {
        return {nullptr, SIMDNORM_INVALID_ARGUMENT, names};
    }
    if (set->kernels == nullptr) {
        return {nullptr, SIMDNORM_UNSUPPORTED, "this build does not have that instruction set"};
    }
    if (!usable(*set)) {
        return {nullptr, SIMDNORM_UNSUPPORTED, "this CPU or its operating system does not have that instruction set"};
    }
    return {set, SIMDNORM_OK, ""};
}

const InstructionSet &from_environment() {
    const char *name = std::getenv("SIMDNORM_INSTRUCTION_SET");
    if (name == nullptr || *name == '\0') {
        return best();
    }
    const Choice choice = choose(name);
    if (choice.set == nullptr) {
        std::fprintf(stderr, "simdnorm: SIMDNORM_INSTRUCTION_SET is \"%s\": %s; using \"%s\"\n", name, choice.why,
                     best().name);
        return best();
    }
    return *choice.set;
}

std::atomic<const InstructionSet *> &in_use() {
    static std::atomic<const InstructionSet *> set{&from_environment()};
    return set;
}

} // namespace

const InstructionSet &instruction_set_in_use() {
    return *in_use().load(std::memory_order_acquire);
}

Machine machine_in_use() {
    Machine machine = this_machine();
    machine.held_columns = instruction_set_in_use().kernels->held_columns;
    return machine;
}

} // namespace simdnorm

const char *simdnorm_instruction_set(void) noexcept {
    return simdnorm::instruction_set_in_use().name;
}

int simdnorm_has_instruction_set(const char *name) noexcept {
    const simdnorm::InstructionSet *set = name != nullptr ? simdnorm::known(name) : nullptr;
    return set != nullptr && simdnorm::usable(*set) ? 1 : 0;
}

simdnorm_status simdnorm_use_instruction_set(const char *name) noexcept {
    std::atomic<const simdnorm::InstructionSet *> &in_use = simdnorm::in_use();
    const simdnorm::Choice choice = simdnorm::choose(name);
    if (choice.set == nullptr) {
        const char *quote = name != nullptr ? "\"" : "";
        return simdnorm::fail(choice.status, "simdnorm_use_instruction_set: name is %s%.100s%s: %s", quote,
                              name != nullptr ? name : "NULL", quote, choice.why);
    }
    in_use.store(choice.set, std::memory_order_release);
    return SIMDNORM_OK;
}
