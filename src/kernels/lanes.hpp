// The order of every addition, the same on every instruction set: as if each machine had a vector of 32 lanes.
//
// Element j of a block belongs to lane j mod 32. A machine vector holds V::width neighbouring lanes, so a machine sees
// the 32 lanes as `groups<V>` vectors. What it does to one lane does not depend on how many neighbours ride along, but
// for lanes without an element, on which no result depends (docs/numerics.md), and lanes are added together in the one
// tree below: hence the same bits everywhere.
#pragma once

#include "kernel_table.hpp"

#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>

#ifdef __FAST_MATH__
#error "simdnorm promises exact bits and error bounds; -ffast-math and -Ofast break them: build it without"
#endif

// Unnamed, here and in every header of this folder but the table's: each kernel file has a copy of its own, and the
// linker can never hand the code of one instruction set to another.
namespace simdnorm {
namespace {

constexpr std::size_t lane_count = 32;

// Not std::min: a function template of the standard library, compiled here, could end up in somebody else's code.
constexpr std::size_t smaller(std::size_t a, std::size_t b) {
    return a < b ? a : b;
}

template <class V>
constexpr std::size_t groups = lane_count / V::width;

// Of `count` elements spread over the lanes, how many fall to the group of lanes `g`.
template <class V>
[[gnu::always_inline]] inline std::size_t elements_in_group(std::size_t count, std::size_t g) {
    const std::size_t before = g * V::width;
    return count <= before ? 0 : smaller(count - before, V::width);
}

template <class Use, std::size_t... g>
[[gnu::always_inline]] inline void for_each_of(std::index_sequence<g...>, const Use &use) {
    (use(std::integral_constant<std::size_t, g>()), ...);
}

// Calls use(g) with each group of lanes: one constant after the other, so that lanes may stay in registers; or in a
// loop, also where they are too many for that, and for the compiler.
template <class V, Walk walk, class Use>
[[gnu::always_inline]] inline void for_each_group(const Use &use) {
    if constexpr (walk == Walk::unrolled && V::width > 1) {
        for_each_of(std::make_index_sequence<groups<V>>(), use);
    } else {
        for (std::size_t g = 0; g < groups<V>; ++g) {
            asm("" : "+r"(g)); // or the compiler unrolls it
            use(g);
        }
    }
}

// Calls use(walk) with the walk as a constant.
template <class Use>
[[gnu::always_inline]] inline auto with_walk(Walk walk, const Use &use) {
    return walk == Walk::in_loops ? use(std::integral_constant<Walk, Walk::in_loops>())
                                  : use(std::integral_constant<Walk, Walk::unrolled>());
}

// The 32 lanes in single precision.
template <class V>
struct FloatLanes {
    typename V::Floats group[groups<V>];
};

// The 32 lanes in double precision.
template <class V>
struct DoubleLanes {
    typename V::Doubles group[groups<V>] = {};

    [[gnu::always_inline]] void put(std::size_t g, typename V::Floats value) { group[g] = V::widen(value); }
    [[gnu::always_inline]] void add(std::size_t g, typename V::Floats value) {
        group[g] = V::add(group[g], V::widen(value));
    }
};

// The tree: lane l takes lane l + 16, then l + 8, l + 4, l + 2, l + 1. Here over vectors, until `left` of them are
// left; this is the one that takes the place of vector g. (Written without a copy of the lanes: GCC would copy them in
// pieces, and reading such a copy whole stalls.)
template <class V, std::size_t left>
[[gnu::always_inline]] inline typename V::Floats fold_vectors(const FloatLanes<V> &lanes, std::size_t g) {
    if constexpr (left == groups<V>) {
        return lanes.group[g];
    } else {
        return fold_vectors<V, 2 * left>(lanes, g) + fold_vectors<V, 2 * left>(lanes, g + left);
    }
}

template <class V, std::size_t left>
[[gnu::always_inline]] inline typename V::Doubles fold_vectors(const DoubleLanes<V> &lanes, std::size_t g) {
    if constexpr (left == groups<V>) {
        return lanes.group[g];
    } else {
        return V::add(fold_vectors<V, 2 * left>(lanes, g), fold_vectors<V, 2 * left>(lanes, g + left));
    }
}

// Down to the lanes of one V::Double; V::sum_rows goes on from there.
template <class V>
[[gnu::always_inline]] inline typename V::Double fold(const DoubleLanes<V> &lanes) {
    return V::fold(fold_vectors<V, 1>(lanes, 0));
}

// The eight lanes that two levels of the tree leave of 32, in double precision.
template <class V>
struct EightLanes {
    static constexpr std::size_t parts = V::width > 1 ? 16 / V::width : 8;
    typename V::Double part[parts];

    [[gnu::always_inline]] static EightLanes zero() {
        EightLanes lanes;
        for (std::size_t i = 0; i < parts; ++i) {
            lanes.part[i] = typename V::Double(0.0);
        }
        return lanes;
    }
};

template <class V>
[[gnu::always_inline]] inline EightLanes<V> operator+(const EightLanes<V> &a, const EightLanes<V> &b) {
    EightLanes<V> sum;
    for (std::size_t i = 0; i < EightLanes<V>::parts; ++i) {
        sum.part[i] = a.part[i] + b.part[i];
    }
    return sum;
}

// The same in single precision, in memory.
struct EightFloats {
    float lane[8];
};

// The tree's first two levels, in single precision.
template <class V>
[[gnu::always_inline]] inline void store_eight(EightFloats &to, const FloatLanes<V> &lanes) {
    constexpr std::size_t single_lanes = 8;
    if constexpr (V::width > single_lanes) {
        V::store_folded(to.lane, fold_vectors<V, 1>(lanes, 0));
    } else {
        constexpr std::size_t left = single_lanes / V::width;
        for (std::size_t g = 0; g < left; ++g) {
            V::store(to.lane + g * V::width, fold_vectors<V, left>(lanes, g));
        }
    }
}

template <class V>
[[gnu::always_inline]] inline EightLanes<V> widen(const EightFloats &lanes) {
    EightLanes<V> eight;
    for (std::size_t i = 0; i < EightLanes<V>::parts; ++i) {
        eight.part[i] = V::load_widened(lanes.lane + i * (8 / EightLanes<V>::parts));
    }
    return eight;
}

// The tree's first two levels, in single precision.
template <class V>
[[gnu::always_inline]] inline EightLanes<V> fold_to_eight(const FloatLanes<V> &lanes) {
    constexpr std::size_t single_lanes = 8;
    EightLanes<V> eight;
    if constexpr (V::width > single_lanes) {
        eight.part[0] = V::widen_folded(fold_vectors<V, 1>(lanes, 0));
    } else if constexpr (V::width > 1) {
        constexpr std::size_t left = single_lanes / V::width;
        for (std::size_t g = 0; g < left; ++g) {
            const typename V::Doubles wide = V::widen(fold_vectors<V, left>(lanes, g));
            eight.part[2 * g] = wide.low;
            eight.part[2 * g + 1] = wide.high;
        }
    } else {
        for (std::size_t g = 0; g < single_lanes; ++g) {
            eight.part[g] = V::widen(fold_vectors<V, single_lanes>(lanes, g));
        }
    }
    return eight;
}

// The rest of it, down to the lanes of one V::Double.
template <class V>
[[gnu::always_inline]] inline typename V::Double fold(EightLanes<V> lanes) {
    for (std::size_t half = EightLanes<V>::parts / 2; half > 0; half /= 2) {
        for (std::size_t i = 0; i < half; ++i) {
            lanes.part[i] = lanes.part[i] + lanes.part[i + half];
        }
    }
    return lanes.part[0];
}

template <class V>
[[gnu::always_inline]] inline typename V::Double fold(const EightFloats &lanes) {
    return fold(widen<V>(lanes));
}

// All of it.
template <class V>
[[gnu::always_inline]] inline typename V::Double fold(const FloatLanes<V> &lanes) {
    return fold(fold_to_eight(lanes));
}

// Arithmetic on one double of each row, one row at a time; the interface of V::Rows<n>, which does `width` rows at
// once. Written out rather than left to the compiler's vectoriser: GCC 12's takes rounding to float and back for
// nothing.
struct OneRow {
    using Value = double;
    static constexpr std::size_t width = 1;

    static Value broadcast(double value) { return value; }
    static Value load(const double *from) { return *from; }
    static Value load(const float *from) { return *from; }
    static void store(double *to, Value value) { *to = value; }
    static void store(float *to, Value value) { *to = static_cast<float>(value); }
    static Value square_root(Value value) { return std::sqrt(value); }
    static bool all_at_most(Value a, Value b) { return a <= b; }
};

} // namespace
} // namespace simdnorm
