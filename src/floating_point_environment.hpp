// The floating-point environment that kernels compute in.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#elif !defined(__aarch64__)
#include <cfenv>
#endif

#include <cstdint>

namespace simdnorm {

// While it lives, this thread computes in the default environment: round to nearest, no traps, denormals kept. Then the
// environment is again what it was, exception flags included. Costs a nanosecond where nothing has to be changed.
class DefaultFloatingPointEnvironment {
  public:
    DefaultFloatingPointEnvironment();
    ~DefaultFloatingPointEnvironment();
    DefaultFloatingPointEnvironment(const DefaultFloatingPointEnvironment &) = delete;
    DefaultFloatingPointEnvironment &operator=(const DefaultFloatingPointEnvironment &) = delete;
    DefaultFloatingPointEnvironment(DefaultFloatingPointEnvironment &&) = delete;
    DefaultFloatingPointEnvironment &operator=(DefaultFloatingPointEnvironment &&) = delete;

  private:
#if defined(__x86_64__)
    unsigned saved_;
#elif defined(__aarch64__)
    std::uint64_t control_;
    std::uint64_t status_;
#else
    std::fenv_t saved_;
#endif
};

#if defined(__x86_64__)

// Only MXCSR: the x87 unit is not used.
inline DefaultFloatingPointEnvironment::DefaultFloatingPointEnvironment() : saved_(_mm_getcsr()) {
    constexpr unsigned exception_flags = 0x3F;
    constexpr unsigned all_traps_masked = 0x1F80;
    if ((saved_ & ~exception_flags) != all_traps_masked) {
        _mm_setcsr(all_traps_masked);
    }
}

inline DefaultFloatingPointEnvironment::~DefaultFloatingPointEnvironment() {
    if (_mm_getcsr() != saved_) {
        _mm_setcsr(saved_);
    }
}

#elif defined(__aarch64__)

inline DefaultFloatingPointEnvironment::DefaultFloatingPointEnvironment() {
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control_), "=r"(status_)::"memory");
    if (control_ != 0) {
        __asm__ volatile("msr fpcr, %0" ::"r"(std::uint64_t{0}) : "memory");
    }
}

inline DefaultFloatingPointEnvironment::~DefaultFloatingPointEnvironment() {
    if (control_ != 0) {
        __asm__ volatile("msr fpcr, %0" ::"r"(control_) : "memory");
    }
    __asm__ volatile("msr fpsr, %0" ::"r"(status_) : "memory");
}

#else

inline DefaultFloatingPointEnvironment::DefaultFloatingPointEnvironment() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
}

inline DefaultFloatingPointEnvironment::~DefaultFloatingPointEnvironment() {
    std::fesetenv(&saved_);
}

#endif

} // namespace simdnorm
