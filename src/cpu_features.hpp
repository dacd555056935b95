// What this CPU and its operating system can do, and who made it.
#pragma once

namespace simdnorm {

struct CpuFeatures {
    bool neon = false;
    bool avx2 = false;   // AVX2 and FMA
    bool avx512 = false; // F, CD, DQ, BW and VL
};

CpuFeatures detect_cpu_features();

// Of a CPU that AMD made, or Hygon, whose CPUs are Zen too; of any other 0.
unsigned amd_cpu_family();

} // namespace simdnorm
