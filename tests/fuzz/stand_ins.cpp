#include "stand_ins.hpp"

#include "machine.hpp"

#include <cstdlib>
#include <new>

namespace {

simdnorm::Machine pretended = {};
bool memory_fails = false;

} // namespace

// Linked before the library, this is the only definition there is.
const simdnorm::Machine &simdnorm::this_machine() {
    return pretended;
}

void *operator new[](std::size_t size, const std::nothrow_t &) noexcept {
    return memory_fails ? nullptr : std::malloc(size);
}

void *operator new[](std::size_t size) {
    if (void *memory = std::malloc(size)) {
        return memory;
    }
    throw std::bad_alloc();
}

void operator delete[](void *memory) noexcept {
    std::free(memory);
}

void operator delete[](void *memory, std::size_t) noexcept {
    std::free(memory);
}

// Clang's OpenMP keeps the threads of a team where the leak sanitizer does not look. Only that sanitizer calls this.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" const char *__lsan_default_suppressions() {
    return "leak:libomp.so\n";
}

namespace simdnorm_test {

void pretend_machine(const simdnorm::Machine &machine) {
    pretended = machine;
}

FailingMemory::FailingMemory(bool fails) {
    memory_fails = fails;
}

FailingMemory::~FailingMemory() {
    memory_fails = false;
}

} // namespace simdnorm_test
