// The order of every addition, the same on every instruction set: as if each machine had a vector of 32 lanes.
//
// Element j of a block belongs to lane j mod 32. A machine vector holds V::width neighbouring lanes, so a machine sees
// the 32 lanes as `groups<V>` vectors. What it does to one lane does not depend on how many neighbours ride along, and
// lanes are added together in the one tree below: hence the same bits everywhere.
#pragma once

#include <cmath>
#include <cstddef>

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

// The 32 lanes in single precision.
template <class V>
struct FloatLanes {
    typename V::Floats group[groups<V>];
};

// The 32 lanes in double precision.
template <class V>
struct DoubleLanes {
    typename V::Doubles group[groups<V>] = {};

    [[gnu::always_inline]] void add(std::size_t g, typename V::Floats value) {
        group[g] = V::add(group[g], V::widen(value));
    }
};

// The tree: lane l takes lane l + 16, then l + 8, l + 4, l + 2, l + 1. Here down to the lanes of one V::Double;
// V::sum_rows goes on from there.
template <class V>
[[gnu::always_inline]] inline typename V::Double fold(DoubleLanes<V> lanes) {
    for (std::size_t half = groups<V> / 2; half > 0; half /= 2) {
        for (std::size_t g = 0; g < half; ++g) {
            lanes.group[g] = V::add(lanes.group[g], lanes.group[g + half]);
        }
    }
    return V::fold(lanes.group[0]);
}

// The same tree with its first two levels, 32 lanes to 8, in single precision.
template <class V>
[[gnu::always_inline]] inline typename V::Double fold(FloatLanes<V> lanes) {
    constexpr std::size_t single_lanes = 8;
    std::size_t half = groups<V> / 2;
    for (; half * V::width >= single_lanes; half /= 2) {
        for (std::size_t g = 0; g < half; ++g) {
            lanes.group[g] = lanes.group[g] + lanes.group[g + half];
        }
    }
    if constexpr (V::width > single_lanes) {
        return V::widen_folded(lanes.group[0]);
    } else {
        typename V::Doubles wide[single_lanes / V::width];
        for (std::size_t g = 0; g < single_lanes / V::width; ++g) {
            wide[g] = V::widen(lanes.group[g]);
        }
        for (; half > 0; half /= 2) {
            for (std::size_t g = 0; g < half; ++g) {
                wide[g] = V::add(wide[g], wide[g + half]);
            }
        }
        return V::fold(wide[0]);
    }
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
