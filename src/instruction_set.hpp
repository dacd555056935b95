// Which instruction set is in use, and who may override the choice.
#pragma once

#include "cpu_features.hpp"
#include "kernels/kernel_table.hpp"
#include "machine.hpp"

namespace simdnorm {

struct InstructionSet {
    const char *name;
    const KernelTable *kernels; // nullptr: not in this build
    bool (*runs_on)(const CpuFeatures &);
};

// The one in use; the first call chooses it. Stays valid for ever.
const InstructionSet &instruction_set_in_use();

// This machine with that set.
Machine machine_in_use();

} // namespace simdnorm
