#include "cpu_features.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace simdnorm {

#if defined(__x86_64__) || defined(__i386__)

namespace {

struct CpuidLeaf {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
};

// All zero where the CPU has no such leaf.
CpuidLeaf cpuid(unsigned leaf) {
    CpuidLeaf found;
    __get_cpuid_count(leaf, 0, &found.eax, &found.ebx, &found.ecx, &found.edx);
    return found;
}

// The register states that the operating system saves and restores: XCR0, read by XGETBV.
unsigned enabled_register_states() {
    unsigned low = 0;
    unsigned high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

constexpr bool has_all(unsigned value, unsigned bits) {
    return (value & bits) == bits;
}

} // namespace

// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections 13.3, 14.3, 14.7.1 and 15.2: an
// instruction may be used if CPUID has it and XCR0 shows that the system keeps its registers.
CpuFeatures detect_cpu_features() {
    constexpr unsigned fma = 1U << 12;
    constexpr unsigned osxsave = 1U << 27;
    constexpr unsigned avx = 1U << 28;
    constexpr unsigned avx2 = 1U << 5;
    constexpr unsigned avx512_f_dq_cd_bw_vl = 1U << 16 | 1U << 17 | 1U << 28 | 1U << 30 | 1U << 31;
    constexpr unsigned ymm_state = 0x06;
    constexpr unsigned zmm_state = 0xE6;

    CpuFeatures features;
    const CpuidLeaf basic = cpuid(1);
    if (!has_all(basic.ecx, osxsave | avx | fma)) {
        return features;
    }
    const unsigned states = enabled_register_states();
    const CpuidLeaf extended = cpuid(7);
    features.avx2 = has_all(states, ymm_state) && has_all(extended.ebx, avx2);
    features.avx512 = features.avx2 && has_all(states, zmm_state) && has_all(extended.ebx, avx512_f_dq_cd_bw_vl);
    return features;
}

// The maker's name is in EBX, EDX and ECX; its first four letters tell. The family is the sum of two fields of another
// leaf (Intel's volume 2, CPUID; AMD64 Architecture Programmer's Manual, volume 3, appendix E.3).
unsigned amd_cpu_family() {
    constexpr unsigned of_authentic_amd = 0x68747541;
    constexpr unsigned of_hygon_genuine = 0x6F677948;
    const unsigned letters = cpuid(0).ebx;
    if (letters != of_authentic_amd && letters != of_hygon_genuine) {
        return 0;
    }
    const unsigned version = cpuid(1).eax;
    return (version >> 8 & 0xF) + (version >> 20 & 0xFF);
}

#else

CpuFeatures detect_cpu_features() {
#if defined(__aarch64__) && defined(__linux__)
    return {.neon = (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0};
#elif defined(__aarch64__)
    return {.neon = true};
#else
    return {};
#endif
}

unsigned amd_cpu_family() {
    return 0;
}

#endif

} // namespace simdnorm
