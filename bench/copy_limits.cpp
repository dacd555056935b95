// The limits: a copy of x to y moves the bytes of a normalisation, and does nothing else.
//
// memcpy would not do as the plain copy: the C library's own switches to streaming stores above a size of its choosing.
// These loops say which stores they use. The empty asm in each keeps a compiler from making a memcpy of it after all.
//
// The streaming copy loads by non-temporal hint as well: what it reads then does not pass through the lower caches. On
// one thread of a Zen 5, over 256 MiB to 256 MiB, that was 5 to 14 % faster than ordinary loads in each of five
// runs of 41 copies in random order. Prefetching 512 bytes to 16 KiB ahead, reading two to eight places or pages in
// turn, reading blocks before writing them, and unrolling came out slower, or the same.
#include "contender.hpp"

#include <algorithm>
#include <cstddef>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define SIMDNORM_BENCH_X86
#endif

namespace bench {

namespace {

constexpr std::size_t line = 64 / sizeof(float); // floats in a cache line

// Copies whole lines. `from` and `to` are aligned to a line.
using CopyLines = void (*)(const float *from, float *to, std::size_t count);

void forbid_memcpy() {
    asm volatile("" ::: "memory");
}

#ifdef SIMDNORM_BENCH_X86

// The intrinsics want pointers to vectors, and some of them no const.
template <typename Vector>
Vector *vector_at(const float *place) {
    return reinterpret_cast<Vector *>(const_cast<float *>(place));
}

[[gnu::target("avx512f")]] void copy_lines_avx512(const float *from, float *to, std::size_t count) {
    for (std::size_t i = 0; i < count; i += line) {
        _mm512_storeu_ps(to + i, _mm512_loadu_ps(from + i));
        forbid_memcpy();
    }
}

[[gnu::target("avx512f")]] void stream_lines_avx512(const float *from, float *to, std::size_t count) {
    for (std::size_t i = 0; i < count; i += line) {
        _mm512_stream_si512(vector_at<__m512i>(to + i), _mm512_stream_load_si512(vector_at<__m512i>(from + i)));
    }
    _mm_sfence();
}

[[gnu::target("avx2")]] void copy_lines_avx2(const float *from, float *to, std::size_t count) {
    for (std::size_t i = 0; i < count; i += line) {
        _mm256_storeu_ps(to + i, _mm256_loadu_ps(from + i));
        _mm256_storeu_ps(to + i + 8, _mm256_loadu_ps(from + i + 8));
        forbid_memcpy();
    }
}

[[gnu::target("avx2")]] void stream_lines_avx2(const float *from, float *to, std::size_t count) {
    for (std::size_t i = 0; i < count; i += 8) {
        _mm256_stream_si256(vector_at<__m256i>(to + i), _mm256_stream_load_si256(vector_at<__m256i>(from + i)));
    }
    _mm_sfence();
}

[[gnu::target("sse2")]] void stream_lines_sse2(const float *from, float *to, std::size_t count) {
    for (std::size_t i = 0; i < count; i += 4) {
        _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
    }
    _mm_sfence();
}

#endif

// The vectors of 16 bytes that the target has without asking: SSE2, NEON.
void copy_lines_baseline(const float *from, float *to, std::size_t count) {
    using Vector [[gnu::vector_size(16), gnu::aligned(alignof(float)), gnu::may_alias]] = float;
    for (std::size_t i = 0; i < count; i += line) {
        for (std::size_t j = 0; j < line; j += 4) {
            *reinterpret_cast<Vector *>(to + i + j) = *reinterpret_cast<const Vector *>(from + i + j);
        }
        forbid_memcpy();
    }
}

// Each thread copies one contiguous piece, as it would normalise one: whole lines, so that no line has two writers.
void copy_piece(CopyLines copy_lines, const Problem &problem, std::size_t piece, std::size_t pieces) {
    const std::size_t elements = problem.shape.elements();
    const std::size_t lines = elements / line;
    const std::size_t begin = lines * piece / pieces * line;
    const std::size_t end = lines * (piece + 1) / pieces * line;
    copy_lines(problem.x + begin, problem.y + begin, end - begin);
    if (piece + 1 == pieces) {
        std::copy(problem.x + end, problem.x + elements, problem.y + end);
    }
}

void copy(CopyLines copy_lines, const Problem &problem) {
#ifdef _OPENMP
    if (problem.threads > 1) {
#pragma omp parallel num_threads(problem.threads)
        copy_piece(copy_lines, problem, static_cast<std::size_t>(omp_get_thread_num()),
                   static_cast<std::size_t>(omp_get_num_threads()));
        return;
    }
#endif
    copy_piece(copy_lines, problem, 0, 1);
}

Contender copy_contender(Kind kind, const std::string &set, CopyLines copy_lines) {
    return {kind == Kind::plain_copy ? "copy" : "stream", set, kind, false,
            [copy_lines](const Problem &problem) -> Call { return {[=] { copy(copy_lines, problem); }}; }};
}

std::vector<Contender> both_copies(const std::string &set, CopyLines plain, CopyLines streaming) {
    return {copy_contender(Kind::plain_copy, set, plain), copy_contender(Kind::streaming_copy, set, streaming)};
}

} // namespace

std::vector<Contender> copy_limits() {
#ifdef SIMDNORM_BENCH_X86
    if (__builtin_cpu_supports("avx512f")) {
        return both_copies("avx512", copy_lines_avx512, stream_lines_avx512);
    }
    if (__builtin_cpu_supports("avx2")) {
        return both_copies("avx2", copy_lines_avx2, stream_lines_avx2);
    }
    return both_copies("sse2", copy_lines_baseline, stream_lines_sse2);
#else
    // No streaming store worth the name elsewhere: both are the plain copy.
    return both_copies("baseline", copy_lines_baseline, copy_lines_baseline);
#endif
}

} // namespace bench
