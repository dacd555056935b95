// What this CPU and its operating system can do, and who made it.
#pragma once

namespace simdnorm {

struct CpuFeatures {
    bool neon = false;
    bool avx2 = false;   // AVX2 and FMA
    bool avx512 = false; // F, CD, DQ, BW and VL
};

CpuFeatures detect_cpu_features();

// Whether AMD made it, or Hygon, whose CPUs are Zen too.
bool cpu_is_amd();

} // namespace simdnorm
