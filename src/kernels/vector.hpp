// The few vector operations that the kernels use, on xsimd; the only file that names xsimd.
//
// Vector<Machine> is what kernels are written on; ScalarVector (scalar_vector.hpp) is the same in plain C++:
//
//  - Floats: a machine vector of `width` floats. Double: one of doubles. Doubles: the lanes of a Floats, in double.
//
//  - first(count): the Mask of the first `count` lanes, 0 <= count <= width. load_first, store_first: touch the
//    elements of those lanes and no others; the other lanes take `otherwise`.
//
//  - stream: an aligned store past the caches, ordered by fence(). prefetch: into the cache that is named.
//    prefetch_output: into the first, to be written. prefetch_page: a line, for the sake of its page's translation.
//    wait_for_loads: nothing begins before all loads so far are done.
//
//  - join(a, b, from(s)): of the elements of a followed by those of b, `width` from the one at s on, 0 <= s <= width.
//    Only where `streams`: where a set has no streaming stores, nobody needs it.
//
//  - multiply_add: a * b + c with one rounding. subtract: a - b, on the units that are idle beside additions.
//
//  - store_widened and add_widened: a Floats to as many doubles in memory.
//
//  - widen, fold, sum_rows: from lanes to sums, in the tree of lanes.hpp. widen_folded, for vectors of 16 floats only,
//    adds lanes l and l + 8 in single precision before it widens.
//
//  - Rows<n>: arithmetic on one double of each of n rows (OneRow, FewRows or SeveralRows).
//
//  - store_folded, for the same vectors, adds so and stores. load_widened: a Double from as many floats in memory.
//
//  - masks_are_free: whether load_first takes no more than load; a vector of one lane is whole or empty anyway.
//
//  - interleaves: whether rows of Grouping::interleaved_eights gain by it.
//
//  - held_vectors: how many vectors of a row may have what belongs to its columns in registers while rows go by: gamma
//    and beta, or backward gamma and both sums over rows. 0: not done. held_columns_in_cache: up to how many columns
//    rows in cache go so backward, block by block.
//
//  - rows_per_pass: how many rows are normalised at once, as many as the registers hold.
//
// Intrinsics<Machine> has the instructions that xsimd lacks in some version from 8.1 to 14: a truly fused multiply-add
// on AVX-512, masked and streaming access, the halves of a vector. A machine with 8 or more floats to a vector also has
// sum_four_rows and sum_eight_rows, one with 16 widen_folded.
#pragma once

#include "kernel_table.hpp"
#include "lanes.hpp"

#include <xsimd/xsimd.hpp>

#include <cstddef>
#include <type_traits>

namespace simdnorm {
namespace {

// What differs between machines beyond what xsimd covers. One specialisation per machine, right below.
template <class Machine>
struct Intrinsics;

#ifdef __AVX2__

// SeveralRows with shorter vectors than the machine's, for as few rows.
struct FourRows {
    using Value = __m256d;
    static constexpr std::size_t width = 4;

    static Value broadcast(double value) { return _mm256_set1_pd(value); }
    static Value load(const double *from) { return _mm256_loadu_pd(from); }
    static Value load(const float *from) { return _mm256_cvtps_pd(_mm_loadu_ps(from)); }
    static void store(double *to, Value value) { _mm256_storeu_pd(to, value); }
    static void store(float *to, Value value) { _mm_storeu_ps(to, _mm256_cvtpd_ps(value)); }
    static Value square_root(Value value) { return _mm256_sqrt_pd(value); }
    static bool all_at_most(Value a, Value b) { return _mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_LE_OQ)) == 15; }
};

struct TwoRows {
    using Value = __m128d;
    static constexpr std::size_t width = 2;

    static Value broadcast(double value) { return _mm_set1_pd(value); }
    static Value load(const double *from) { return _mm_loadu_pd(from); }
    static Value load(const float *from) { return _mm_setr_pd(from[0], from[1]); }
    static void store(double *to, Value value) { _mm_storeu_pd(to, value); }
    static void store(float *to, Value value) { _mm_storel_pi(reinterpret_cast<__m64 *>(to), _mm_cvtpd_ps(value)); }
    static Value square_root(Value value) { return _mm_sqrt_pd(value); }
    static bool all_at_most(Value a, Value b) { return _mm_movemask_pd(_mm_cmple_pd(a, b)) == 3; }
};

template <std::size_t rows>
using FewRows = std::conditional_t<rows % 4 == 0, FourRows, std::conditional_t<rows % 2 == 0, TwoRows, OneRow>>;

#endif

#ifdef __AVX512F__

using Avx512 = xsimd::avx512bw;

template <>
struct Intrinsics<Avx512> {
    using Floats = __m512;
    template <std::size_t rows>
    using Few = FewRows<rows>;
    static constexpr std::size_t rows_per_pass = 4; // as many as the registers hold
    static constexpr bool interleaves = true;
    static constexpr std::size_t held_vectors = 8; // 24 registers of 32
    static constexpr std::size_t held_columns_in_cache = 512;
    using Double = __m512d;

    using Mask = __mmask16;
    static constexpr bool masks_are_free = true;
    static Mask first(std::size_t count) { return static_cast<Mask>((1U << count) - 1U); }
    static Floats load_first(const float *from, Mask mask, Floats otherwise) {
        return _mm512_mask_loadu_ps(otherwise, mask, from);
    }
    static void store_first(float *to, Mask mask, Floats value) { _mm512_mask_storeu_ps(to, mask, value); }
    static constexpr bool streams = true;
    static void stream(float *to, Floats value) { _mm512_stream_ps(to, value); }
    static void fence() { _mm_sfence(); }
    static void wait_for_loads() { _mm_lfence(); }
    using Places = __m512i;
    static Places from(std::size_t first) {
        const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        return _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(first)));
    }
    static Floats join(Floats a, Floats b, Places places) { return _mm512_permutex2var_ps(a, places, b); }
    static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
    static Double load_widened(const float *from) { return _mm512_cvtps_pd(_mm256_loadu_ps(from)); }
    static void store_narrowed(float *to, Double value) { _mm256_storeu_ps(to, _mm512_cvtpd_ps(value)); }
    static Double widen_low(Floats value) { return _mm512_cvtps_pd(_mm512_castps512_ps256(value)); }
    static Double widen_high(Floats value) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(value, 1)); }
    // Lanes l and l + 8 added in single precision, then widened.
    static Double widen_folded(Floats value) {
        return _mm512_cvtps_pd(_mm256_add_ps(_mm512_castps512_ps256(value), _mm512_extractf32x8_ps(value, 1)));
    }

    static void store_folded(float *to, Floats value) {
        _mm256_storeu_ps(to, _mm256_add_ps(_mm512_castps512_ps256(value), _mm512_extractf32x8_ps(value, 1)));
    }

    // Lanes l and l + half added, for two rows at once: the result holds the halves of a, then those of b.
    static Double add_halves(Double a, Double b) {
        return _mm512_shuffle_f64x2(a, b, 0x44) + _mm512_shuffle_f64x2(a, b, 0xEE);
    }
    static Double add_quarters(Double a, Double b) {
        return _mm512_shuffle_f64x2(a, b, 0x88) + _mm512_shuffle_f64x2(a, b, 0xDD);
    }
    static Double add_neighbours(Double a, Double b) { return _mm512_unpacklo_pd(a, b) + _mm512_unpackhi_pd(a, b); }

    static double sum(Double value) {
        const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(value), _mm512_extractf64x4_pd(value, 1));
        const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
        return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
    }

    // Several rows share one tree: two rows to a vector after its first level, four after its second.
    static void sum_four_rows(const Double *row, double *sums) {
        const Double four = add_quarters(add_halves(row[0], row[2]), add_halves(row[1], row[3]));
        const __m256d even = _mm512_castpd512_pd256(four);
        const __m256d odd = _mm512_extractf64x4_pd(four, 1);
        _mm256_storeu_pd(sums, _mm256_add_pd(_mm256_unpacklo_pd(even, odd), _mm256_unpackhi_pd(even, odd)));
    }
    static void sum_eight_rows(const Double *row, double *sums) {
        const Double four_0 = add_quarters(add_halves(row[0], row[2]), add_halves(row[4], row[6]));
        const Double four_1 = add_quarters(add_halves(row[1], row[3]), add_halves(row[5], row[7]));
        _mm512_storeu_pd(sums, add_neighbours(four_0, four_1));
    }
};

#elif defined(__AVX2__)

// Not plain avx2: xsimd's AVX-512 code uses that one for its halves.
using Avx2 = xsimd::fma3<xsimd::avx2>;

template <>
struct Intrinsics<Avx2> {
    using Floats = __m256;
    template <std::size_t rows>
    using Few = FewRows<rows>;
    static constexpr std::size_t rows_per_pass = 2; // as many as the registers hold
    static constexpr bool interleaves = false;      // up to 8% slower at D = 96 and 128
    static constexpr std::size_t held_vectors = 3;  // 9 registers of 16
    static constexpr std::size_t held_columns_in_cache = 96;
    using Double = __m256d;

    using Mask = __m256i;
    static constexpr bool masks_are_free = false;
    static Mask first(std::size_t count) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
    }
    static Floats load_first(const float *from, Mask mask, Floats otherwise) {
        return _mm256_blendv_ps(otherwise, _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask));
    }
    static void store_first(float *to, Mask mask, Floats value) { _mm256_maskstore_ps(to, mask, value); }
    static constexpr bool streams = true;
    static void stream(float *to, Floats value) { _mm256_stream_ps(to, value); }
    static void fence() { _mm_sfence(); }
    static void wait_for_loads() { _mm_lfence(); }
    using Places = __m256i;
    static Places from(std::size_t first) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm256_add_epi32(lane, _mm256_set1_epi32(static_cast<int>(first)));
    }
    static Floats join(Floats a, Floats b, Places places) {
        const __m256i of_b = _mm256_cmpgt_epi32(places, _mm256_set1_epi32(7));
        return _mm256_blendv_ps(_mm256_permutevar8x32_ps(a, places), _mm256_permutevar8x32_ps(b, places),
                                _mm256_castsi256_ps(of_b));
    }
    static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
    static Double load_widened(const float *from) { return _mm256_cvtps_pd(_mm_loadu_ps(from)); }
    static void store_narrowed(float *to, Double value) { _mm_storeu_ps(to, _mm256_cvtpd_ps(value)); }
    static Double widen_low(Floats value) { return _mm256_cvtps_pd(_mm256_castps256_ps128(value)); }
    static Double widen_high(Floats value) { return _mm256_cvtps_pd(_mm256_extractf128_ps(value, 1)); }
    static double sum(Double value) {
        const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(value), _mm256_extractf128_pd(value, 1));
        return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
    }

    // Lanes l and l + 2 added for two rows at once: the result holds the halves of a, then those of b.
    static Double add_halves(Double a, Double b) {
        return _mm256_permute2f128_pd(a, b, 0x20) + _mm256_permute2f128_pd(a, b, 0x31);
    }
    static void sum_four_rows(const Double *row, double *sums) {
        const Double even = add_halves(row[0], row[2]);
        const Double odd = add_halves(row[1], row[3]);
        _mm256_storeu_pd(sums, _mm256_unpacklo_pd(even, odd) + _mm256_unpackhi_pd(even, odd));
    }
    static void sum_eight_rows(const Double *row, double *sums) {
        sum_four_rows(row, sums);
        sum_four_rows(row + 4, sums + 4);
    }
};

#elif defined(__aarch64__)

using Neon = xsimd::neon64;

template <>
struct Intrinsics<Neon> {
    using Floats = float32x4_t;
    template <std::size_t>
    using Few = OneRow;                             // a vector has but two doubles
    static constexpr std::size_t rows_per_pass = 4; // as many as the registers hold
    static constexpr bool interleaves = false;      // not measured
    static constexpr std::size_t held_vectors = 0;  // not measured
    static constexpr std::size_t held_columns_in_cache = 0;
    using Double = float64x2_t;

    using Mask = std::size_t; // the count itself
    static constexpr bool masks_are_free = false;
    static Mask first(std::size_t count) { return count; }
    static Floats load_first(const float *from, Mask count, Floats otherwise) {
        float lane[4];
        vst1q_f32(lane, otherwise);
        for (std::size_t i = 0; i < count; ++i) {
            lane[i] = from[i];
        }
        return vld1q_f32(lane);
    }
    static void store_first(float *to, Mask count, Floats value) {
        float lane[4];
        vst1q_f32(lane, value);
        for (std::size_t i = 0; i < count; ++i) {
            to[i] = lane[i];
        }
    }
    static constexpr bool streams = false;
    static Floats multiply_add(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
    static Double load_widened(const float *from) { return vcvt_f64_f32(vld1_f32(from)); }
    static void store_narrowed(float *to, Double value) { vst1_f32(to, vcvt_f32_f64(value)); }
    static Double widen_low(Floats value) { return vcvt_f64_f32(vget_low_f32(value)); }
    static Double widen_high(Floats value) { return vcvt_high_f64_f32(value); }
    static double sum(Double value) { return vgetq_lane_f64(value, 0) + vgetq_lane_f64(value, 1); }
};

#endif

// OneRow's interface for as many rows as a vector holds. True square roots, never an estimate.
template <class Machine>
struct SeveralRows {
    using Value = xsimd::batch<double, Machine>;
    static constexpr std::size_t width = Value::size;

    static Value broadcast(double value) { return Value(value); }
    static Value load(const double *from) { return Value::load_unaligned(from); }
    static Value load(const float *from) { return Value(Intrinsics<Machine>::load_widened(from)); }
    static void store(double *to, Value value) { value.store_unaligned(to); }
    static void store(float *to, Value value) { Intrinsics<Machine>::store_narrowed(to, value); }
    static Value square_root(Value value) { return xsimd::sqrt(value); }
    static bool all_at_most(Value a, Value b) { return xsimd::all(a <= b); }
};

template <class Machine>
struct Vector {
    using Floats = xsimd::batch<float, Machine>;
    using Mask = typename Intrinsics<Machine>::Mask;
    using Double = xsimd::batch<double, Machine>;
    struct Doubles {
        Double low = Double(0.0);
        Double high = Double(0.0);
    };
    static constexpr std::size_t width = Floats::size;
    static constexpr std::size_t rows_per_pass = Intrinsics<Machine>::rows_per_pass;
    static constexpr bool interleaves = Intrinsics<Machine>::interleaves;
    static constexpr std::size_t held_vectors = Intrinsics<Machine>::held_vectors;
    static constexpr std::size_t held_columns_in_cache = Intrinsics<Machine>::held_columns_in_cache;
    static constexpr bool masks_are_free = Intrinsics<Machine>::masks_are_free;

    template <std::size_t rows>
    using Rows = std::conditional_t<rows % Double::size == 0, SeveralRows<Machine>,
                                    typename Intrinsics<Machine>::template Few<rows>>;

    static Floats broadcast(float value) { return Floats(value); }
    static Floats load(const float *from) { return Floats::load_unaligned(from); }
    static Mask first(std::size_t count) { return Intrinsics<Machine>::first(count); }
    static Floats load_first(const float *from, Mask mask, Floats otherwise) {
        return Floats(Intrinsics<Machine>::load_first(from, mask, otherwise));
    }
    static void store(float *to, Floats value) { value.store_unaligned(to); }
    static void store_first(float *to, Mask mask, Floats value) { Intrinsics<Machine>::store_first(to, mask, value); }
    static constexpr bool streams = Intrinsics<Machine>::streams;
    static void stream(float *to, Floats value) { Intrinsics<Machine>::stream(to, value); }
    static void fence() { Intrinsics<Machine>::fence(); }
    static void wait_for_loads() { Intrinsics<Machine>::wait_for_loads(); }
    static auto from(std::size_t first) { return Intrinsics<Machine>::from(first); }
    template <class Places>
    static Floats join(Floats a, Floats b, Places places) {
        return Floats(Intrinsics<Machine>::join(a, b, places));
    }
    [[gnu::always_inline]] static void prefetch(const float *from, FetchInto into) {
        if (into == FetchInto::l1) {
            __builtin_prefetch(from, 0, 3);
        } else {
            __builtin_prefetch(from, 0, 2);
        }
    }
    [[gnu::always_inline]] static void prefetch_page(const void *page) { __builtin_prefetch(page, 0, 3); }
    [[gnu::always_inline]] static void prefetch_output(const float *to) { __builtin_prefetch(to, 1, 3); }

    static Floats multiply_add(Floats a, Floats b, Floats c) {
        return Floats(Intrinsics<Machine>::multiply_add(a, b, c));
    }

    // By -1, not by a negated b: for AVX-512 xsimd negates by 0 - b, which leaves +0 as it is.
    static Floats subtract(Floats a, Floats b) { return multiply_add(b, Floats(-1.0F), a); }

    static Doubles widen(Floats value) {
        return {Double(Intrinsics<Machine>::widen_low(value)), Double(Intrinsics<Machine>::widen_high(value))};
    }
    static void store_widened(double *to, Floats value) {
        const Doubles wide = widen(value);
        wide.low.store_unaligned(to);
        wide.high.store_unaligned(to + Double::size);
    }
    static void add_widened(double *to, Floats value) {
        const Doubles wide = widen(value);
        (Double::load_unaligned(to) + wide.low).store_unaligned(to);
        (Double::load_unaligned(to + Double::size) + wide.high).store_unaligned(to + Double::size);
    }
    static Double load_widened(const float *from) { return Double(Intrinsics<Machine>::load_widened(from)); }
    static void store_folded(float *to, Floats value) { Intrinsics<Machine>::store_folded(to, value); }
    static Double widen_folded(Floats value) { return Double(Intrinsics<Machine>::widen_folded(value)); }
    static Doubles add(Doubles a, Doubles b) { return {a.low + b.low, a.high + b.high}; }
    static Double fold(Doubles value) { return value.low + value.high; }

    template <std::size_t rows>
    static void sum_rows(const Double (&lanes)[rows], double (&sums)[rows]) {
        typename Intrinsics<Machine>::Double row[rows];
        for (std::size_t r = 0; r < rows; ++r) {
            row[r] = lanes[r];
        }
        std::size_t done = 0;
        if constexpr (width > 4) {
            for (; done < rows / 8 * 8; done += 8) {
                Intrinsics<Machine>::sum_eight_rows(row + done, sums + done);
            }
            for (; done < rows / 4 * 4; done += 4) {
                Intrinsics<Machine>::sum_four_rows(row + done, sums + done);
            }
        }
        for (; done < rows; ++done) {
            sums[done] = Intrinsics<Machine>::sum(row[done]);
        }
    }
};

} // namespace
} // namespace simdnorm
