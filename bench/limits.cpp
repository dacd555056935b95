// The limits: a copy of x to y, and a triad, the sum of dy and x in dx. They move the bytes of a normalisation forward
// and backward, and do next to nothing else.
//
// memcpy would not do as the plain copy: the C library's own switches to streaming stores above a size of its choosing.
// These loops say which stores they use. The empty asm in each keeps a compiler from making a memcpy of it after all.
//
// The streaming ones load by non-temporal hint as well: what they read then does not pass through the lower caches. On
// one thread of a Zen 5, over 256 MiB to 256 MiB, a copy was 5 to 14 % faster so than with ordinary loads in each of
// five runs of 41 copies in random order. Prefetching 512 bytes to 16 KiB ahead, reading two to eight places or pages
// in turn, reading blocks before writing them, and unrolling came out slower, or the same. A triad of 128 MiB on one
// thread of a Zen 4 had the same rate with either kind of load, 40 GB/s; a fifth less when it prefetched 512 bytes or
// more ahead; a twentieth more when it prefetched 4 KiB of x before each 4 KiB of sums. It is left as plain as the
// copy.
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

// What moves: `from` to `to`; if there is an `other`, the sum of both. All are aligned to a line.
struct Floats {
    const float *from;
    const float *other;
    float *to;
};

Floats floats_of(const ForwardProblem &problem) {
    return {problem.x, nullptr, problem.y};
}

Floats floats_of(const BackwardProblem &problem) {
    return {problem.dy, problem.x, problem.dx};
}

// The elements from `begin` to `end`, whole lines.
using Move = void (*)(const Floats &floats, std::size_t begin, std::size_t end);

void forbid_memcpy() {
    asm volatile("" ::: "memory");
}

#ifdef SIMDNORM_BENCH_X86

// The intrinsics want pointers to vectors, and some of them no const.
template <typename Vector>
Vector *vector_at(const float *place) {
    return reinterpret_cast<Vector *>(const_cast<float *>(place));
}

template <bool sums>
[[gnu::target("avx512f")]] void move_avx512(const Floats &floats, std::size_t begin, std::size_t end) {
    const auto [from, other, to] = floats;
    for (std::size_t i = begin; i < end; i += 16) {
        __m512 value = _mm512_loadu_ps(from + i);
        if constexpr (sums) {
            value = _mm512_add_ps(value, _mm512_loadu_ps(other + i));
        }
        _mm512_storeu_ps(to + i, value);
        forbid_memcpy();
    }
}

template <bool sums>
[[gnu::target("avx512f")]] void stream_avx512(const Floats &floats, std::size_t begin, std::size_t end) {
    const auto [from, other, to] = floats;
    for (std::size_t i = begin; i < end; i += 16) {
        __m512 value = _mm512_castsi512_ps(_mm512_stream_load_si512(vector_at<__m512i>(from + i)));
        if constexpr (sums) {
            const __m512i addend = _mm512_stream_load_si512(vector_at<__m512i>(other + i));
            value = _mm512_add_ps(value, _mm512_castsi512_ps(addend));
        }
        _mm512_stream_ps(to + i, value);
    }
    _mm_sfence();
}

template <bool sums>
[[gnu::target("avx2")]] void move_avx2(const Floats &floats, std::size_t begin, std::size_t end) {
    const auto [from, other, to] = floats;
    for (std::size_t i = begin; i < end; i += line) {
        for (std::size_t j = i; j < i + line; j += 8) {
            __m256 value = _mm256_loadu_ps(from + j);
            if constexpr (sums) {
                value = _mm256_add_ps(value, _mm256_loadu_ps(other + j));
            }
            _mm256_storeu_ps(to + j, value);
        }
        forbid_memcpy();
    }
}

template <bool sums>
[[gnu::target("avx2")]] void stream_avx2(const Floats &floats, std::size_t begin, std::size_t end) {
    const auto [from, other, to] = floats;
    for (std::size_t i = begin; i < end; i += 8) {
        __m256 value = _mm256_castsi256_ps(_mm256_stream_load_si256(vector_at<__m256i>(from + i)));
        if constexpr (sums) {
            const __m256i addend = _mm256_stream_load_si256(vector_at<__m256i>(other + i));
            value = _mm256_add_ps(value, _mm256_castsi256_ps(addend));
        }
        _mm256_stream_ps(to + i, value);
    }
    _mm_sfence();
}

template <bool sums>
[[gnu::target("sse2")]] void stream_sse2(const Floats &floats, std::size_t begin, std::size_t end) {
    const auto [from, other, to] = floats;
    for (std::size_t i = begin; i < end; i += 4) {
        __m128 value = _mm_loadu_ps(from + i);
        if constexpr (sums) {
            value = _mm_add_ps(value, _mm_loadu_ps(other + i));
        }
        _mm_stream_ps(to + i, value);
    }
    _mm_sfence();
}

#endif

// The vectors of 16 bytes that the target has without asking: SSE2, NEON.
template <bool sums>
void move_baseline(const Floats &floats, std::size_t begin, std::size_t end) {
    using Vector [[gnu::vector_size(16), gnu::aligned(alignof(float)), gnu::may_alias]] = float;
    const auto [from, other, to] = floats;
    for (std::size_t i = begin; i < end; i += line) {
        for (std::size_t j = i; j < i + line; j += 4) {
            auto value = *reinterpret_cast<const Vector *>(from + j);
            if constexpr (sums) {
                value += *reinterpret_cast<const Vector *>(other + j);
            }
            *reinterpret_cast<Vector *>(to + j) = value;
        }
        forbid_memcpy();
    }
}

// The end of the last line, where that is not whole.
void move_one_by_one(const Floats &floats, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
        floats.to[i] = floats.other == nullptr ? floats.from[i] : floats.from[i] + floats.other[i];
    }
}

// Each thread has one contiguous piece, as it would of a normalisation: whole lines, so that no line has two writers.
void move_piece(Move move, const Floats &floats, std::size_t elements, std::size_t piece, std::size_t pieces) {
    const std::size_t lines = elements / line;
    move(floats, lines * piece / pieces * line, lines * (piece + 1) / pieces * line);
    if (piece + 1 == pieces) {
        move_one_by_one(floats, lines * line, elements);
    }
}

void move_all(Move move, const Floats &floats, std::size_t elements, int threads) {
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        move_piece(move, floats, elements, static_cast<std::size_t>(omp_get_thread_num()),
                   static_cast<std::size_t>(omp_get_num_threads()));
        return;
    }
#endif
    move_piece(move, floats, elements, 0, 1);
}

template <class Problem>
Prepare<Problem> prepare_with(Move move) {
    return [move](const Problem &problem) -> Call {
        return {[move, floats = floats_of(problem), elements = problem.shape.elements(), threads = problem.threads] {
            move_all(move, floats, elements, threads);
        }};
    };
}

// The moves of one instruction set.
struct Moves {
    std::string set;
    Move copy, stream, triad, stream_triad;
};

Moves widest_moves() {
#ifdef SIMDNORM_BENCH_X86
    if (__builtin_cpu_supports("avx512f")) {
        return {"avx512", move_avx512<false>, stream_avx512<false>, move_avx512<true>, stream_avx512<true>};
    }
    if (__builtin_cpu_supports("avx2")) {
        return {"avx2", move_avx2<false>, stream_avx2<false>, move_avx2<true>, stream_avx2<true>};
    }
    return {"sse2", move_baseline<false>, stream_sse2<false>, move_baseline<true>, stream_sse2<true>};
#else
    // No streaming store worth the name elsewhere: each is the plain one.
    return {"baseline", move_baseline<false>, move_baseline<false>, move_baseline<true>, move_baseline<true>};
#endif
}

} // namespace

std::vector<Contender> limits() {
    const Moves moves = widest_moves();
    return {
        {"copy", moves.set, Kind::plain_limit, false, prepare_with<ForwardProblem>(moves.copy), {}},
        {"stream", moves.set, Kind::streaming_limit, false, prepare_with<ForwardProblem>(moves.stream), {}},
        {"triad", moves.set, Kind::plain_limit, false, {}, prepare_with<BackwardProblem>(moves.triad)},
        {"stream_triad",
         moves.set,
         Kind::streaming_limit,
         false,
         {},
         prepare_with<BackwardProblem>(moves.stream_triad)},
    };
}

} // namespace bench
