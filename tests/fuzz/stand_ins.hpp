// What the harness puts in the place of the machine: its maker and sizes of caches, so that small data "lies in memory"
// too, and memory that cannot be had.
#pragma once

#include "machine.hpp"

namespace simdnorm_test {

void pretend_machine(const simdnorm::Machine &machine);

// While it lives, requests for memory fail that are made as the library makes them: new (std::nothrow) T[n].
class FailingMemory {
  public:
    explicit FailingMemory(bool fails);
    ~FailingMemory();
    FailingMemory(const FailingMemory &) = delete;
    FailingMemory &operator=(const FailingMemory &) = delete;
};

} // namespace simdnorm_test
