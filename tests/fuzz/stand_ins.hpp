// What the harness puts in the place of the machine: sizes of caches, so that small data "lies in memory" too, and
// memory that cannot be had.
#pragma once

#include <cstddef>

namespace simdnorm_test {

void pretend_caches(std::size_t l1d, std::size_t last_level);

// While it lives, requests for memory fail that are made as the library makes them: new (std::nothrow) T[n].
class FailingMemory {
  public:
    explicit FailingMemory(bool fails);
    ~FailingMemory();
    FailingMemory(const FailingMemory &) = delete;
    FailingMemory &operator=(const FailingMemory &) = delete;
};

} // namespace simdnorm_test
