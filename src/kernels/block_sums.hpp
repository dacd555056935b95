// A block of a row -> sums of its elements' differences from a pivot, and of their squares: in single precision over at
// most four levels of additions, then in double.
#pragma once

#include "kernel_table.hpp"
#include "lanes.hpp"

#include <cstddef>
#include <type_traits>
#include <utility>

namespace simdnorm {
namespace {

// Four vectors of 32 lanes are added in two levels, two of those quads in a third, and two of those halves in a fourth:
// a chunk.
constexpr std::size_t quad_vectors = 4;
constexpr std::size_t quad_columns = quad_vectors * lane_count;
static_assert(quad_columns == longest_short_row);
constexpr std::size_t half_chunk_columns = 2 * quad_columns;
constexpr std::size_t chunk_columns = 2 * half_chunk_columns;

// What a row has of a vector: all of it, some elements, or none. load(from, otherwise) and store(to, value) touch no
// more; what the row lacks is loaded as `otherwise`.
template <class V>
struct WholeVector {
    [[gnu::always_inline]] static typename V::Floats load(const float *from, typename V::Floats) {
        return V::load(from);
    }
    [[gnu::always_inline]] static void store(float *to, typename V::Floats value) { V::store(to, value); }
};

template <class V>
struct PartOfVector {
    typename V::Mask mask;
    [[gnu::always_inline]] typename V::Floats load(const float *from, typename V::Floats otherwise) const {
        return V::load_first(from, mask, otherwise);
    }
    [[gnu::always_inline]] void store(float *to, typename V::Floats value) const { V::store_first(to, mask, value); }
};

template <class V>
struct NoVector {
    [[gnu::always_inline]] static typename V::Floats load(const float *, typename V::Floats otherwise) {
        return otherwise;
    }
};

// The last vector of each group of lanes, where a quad has so many columns, 0 < columns <= 128. A set whose masks cost
// something gains by having none where all of them are whole, and where a vector has no element
// (docs/measurements/emerald-rapids.md).
template <class V, std::size_t vectors>
class LastVectors {
  public:
    [[gnu::always_inline]] explicit LastVectors(std::size_t columns) : columns_(columns - (vectors - 1) * lane_count) {
        for (std::size_t g = 0; g < groups<V>; ++g) {
            mask_[g] = V::first(elements_in_group<V>(columns_, g));
        }
    }

    // Calls use(g, last) for each group of lanes, with what there is of its last vector.
    template <Walk walk, class Use>
    [[gnu::always_inline]] void for_each_group(const Use &use) const {
        if constexpr (!V::masks_are_free) {
            if (columns_ == lane_count) {
                return simdnorm::for_each_group<V, walk>([&](auto g) __attribute__((always_inline)) {
                    use(g, WholeVector<V>());
                });
            }
        }
        simdnorm::for_each_group<V, walk>([&](auto g) __attribute__((always_inline)) {
            if (g * V::width < columns_) {
                use(g, PartOfVector<V>{mask_[g]});
            } else {
                use(g, NoVector<V>());
            }
        });
    }

  private:
    std::size_t columns_; // of the last vectors
    typename V::Mask mask_[groups<V>];
};

// Part of 128 columns of one group of lanes: up to four vectors, of which the last may be a part.
template <class V, std::size_t vectors>
struct Quad {
    typename V::Floats vector[vectors];

    // The last vector holds what the row has of it, and `otherwise` beyond.
    template <class Last>
    [[gnu::always_inline]] static Quad load(const float *from, Last last, typename V::Floats otherwise) {
        Quad quad;
        for (std::size_t i = 0; i + 1 < vectors; ++i) {
            quad.vector[i] = V::load(from + i * lane_count);
        }
        quad.vector[vectors - 1] = last.load(from + (vectors - 1) * lane_count, otherwise);
        return quad;
    }

    // `step` floats from the start of a vector to the next one's.
    [[gnu::always_inline]] static Quad load_whole(const float *from, std::size_t step) {
        Quad quad;
        for (std::size_t i = 0; i < vectors; ++i) {
            quad.vector[i] = V::load(from + i * step);
        }
        return quad;
    }

    [[gnu::always_inline]] Quad operator-(typename V::Floats pivot) const {
        Quad result;
        for (std::size_t i = 0; i < vectors; ++i) {
            result.vector[i] = V::subtract(vector[i], pivot);
        }
        return result;
    }

    [[gnu::always_inline]] typename V::Floats sum() const {
        if constexpr (vectors == 1) {
            return vector[0];
        } else if constexpr (vectors == 2) {
            return vector[0] + vector[1];
        } else if constexpr (vectors == 3) {
            return (vector[0] + vector[1]) + vector[2];
        } else {
            return (vector[0] + vector[1]) + (vector[2] + vector[3]);
        }
    }

    [[gnu::always_inline]] typename V::Floats squares() const { return products(*this); }

    // The sum of the products of elements.
    [[gnu::always_inline]] typename V::Floats products(const Quad &other) const {
        const typename V::Floats first = vector[0] * other.vector[0];
        if constexpr (vectors == 1) {
            return first;
        } else {
            const typename V::Floats pair = V::multiply_add(vector[1], other.vector[1], first);
            if constexpr (vectors == 2) {
                return pair;
            } else if constexpr (vectors == 3) {
                return pair + vector[2] * other.vector[2];
            } else {
                return pair + V::multiply_add(vector[3], other.vector[3], vector[2] * other.vector[2]);
            }
        }
    }
};

// A quad to be added up, without a last vector of which the row has nothing. What would stand in its place, pivot less
// pivot, adds a zero, or NaN to the sums of a row that is not ordinary in any case: no result shows that it is missing
// (docs/numerics.md, "Why the bits are the same everywhere").
template <class V, std::size_t vectors, class Last>
[[gnu::always_inline]] inline auto load_quad(const float *from, Last last, typename V::Floats otherwise) {
    if constexpr (vectors > 1 && std::is_same_v<Last, NoVector<V>>) {
        return Quad<V, vectors - 1>::load_whole(from, lane_count);
    } else {
        return Quad<V, vectors>::load(from, last, otherwise);
    }
}

// Sums of differences from the pivot, and of their squares, for one group of lanes.
template <class V>
struct Sums {
    typename V::Floats differences;
    typename V::Floats squares;

    template <std::size_t vectors>
    [[gnu::always_inline]] static Sums of(const Quad<V, vectors> &d) {
        return {d.sum(), d.squares()};
    }

    [[gnu::always_inline]] friend Sums operator+(const Sums &a, const Sums &b) {
        return {a.differences + b.differences, a.squares + b.squares};
    }
};

// The elements of a row as differences from a pivot: what add_chunks adds up.
template <class V>
struct CentredRow {
    const float *x;
    typename V::Floats pivot;

    [[gnu::always_inline]] Sums<V> whole_quad(std::size_t lane) const {
        return Sums<V>::of(Quad<V, quad_vectors>::load_whole(x + lane, lane_count) - pivot);
    }

    template <std::size_t vectors, class Last>
    [[gnu::always_inline]] Sums<V> quad(std::size_t lane, Last last) const {
        return Sums<V>::of(load_quad<V, vectors>(x + lane, last, pivot) - pivot);
    }
};

// Calls use(n) with n the number of vectors, as a constant, that hold the first `columns` of a quad, 0 < columns <=
// 128.
template <class Use>
[[gnu::always_inline]] inline auto with_vectors(std::size_t columns, const Use &use) {
    switch ((columns - 1) / lane_count) {
    case 0:
        return use(std::integral_constant<std::size_t, 1>());
    case 1:
        return use(std::integral_constant<std::size_t, 2>());
    case 2:
        return use(std::integral_constant<std::size_t, 3>());
    default:
        return use(std::integral_constant<std::size_t, 4>());
    }
}

// Calls use(g, lane, vectors, last) for each group of lanes of the quad at `begin`, of which there are so many columns:
// its first lane, its number of vectors as a constant, and what there is of the last one.
template <class V, Walk walk, class Use>
[[gnu::always_inline]] inline void with_last_quad(std::size_t begin, std::size_t columns, const Use &use) {
    with_vectors(
        columns, [&](auto vectors) __attribute__((always_inline)) {
            const LastVectors<V, vectors> last(columns);
            last.template for_each_group<walk>([&](auto g, auto last_of_group) __attribute__((always_inline)) {
                use(g, begin + g * V::width, vectors, last_of_group);
            });
        });
}

// Calls use(g, terms) for each group of lanes with the sums of the half chunk at `begin`, of which there are so many
// columns, 0 < columns < 256.
template <class V, Walk walk, class Row, class Use>
[[gnu::always_inline]] inline void with_part_of_half(const Row &row, std::size_t begin, std::size_t columns,
                                                     const Use &use) {
    if (columns <= quad_columns) {
        return with_last_quad<V, walk>(
            begin, columns, [&](auto g, std::size_t lane, auto vectors, auto last) __attribute__((always_inline)) {
                use(g, row.template quad<vectors>(lane, last));
            });
    }
    with_last_quad<V, walk>(
        begin + quad_columns,
        columns - quad_columns, [&](auto g, std::size_t lane, auto vectors, auto last) __attribute__((always_inline)) {
            const auto first = row.whole_quad(lane - quad_columns);
            use(g, first + row.template quad<vectors>(lane, last));
        });
}

constexpr auto nothing_meanwhile = []() __attribute__((always_inline)){};

// Calls add(g, terms) with the sums of each chunk of the first `columns` of a row, for each group of lanes. Of a Row,
// whole_quad(lane) and quad<vectors>(lane, what there is of the last vector) are the terms of a quad whose lanes begin
// there. In turns with that it calls meanwhile(), before each group of lanes of a quad, that is once for quad_vectors
// vectors; not for what is less than half a chunk at the end.
//
// Half a chunk in each turn of one loop, whichever half it is: so a load instruction goes on by the same step from turn
// to turn, and there are few of them (docs/measurements/zen-5.md).
template <class V, Walk walk, class Row, class Add, class Meanwhile>
[[gnu::always_inline]] inline void add_chunks(const Row &row, std::size_t columns, const Add &add,
                                              const Meanwhile &meanwhile) {
    decltype(row.whole_quad(0)) first_half[groups<V>] = {}; // or GCC 12 takes it for uninitialised
    bool has_first = false;
    std::size_t done = 0;
    for (; columns - done >= half_chunk_columns; done += half_chunk_columns) {
        for_each_group<V, walk>([&](auto g) __attribute__((always_inline)) {
            const std::size_t lane = done + g * V::width;
            meanwhile();
            const auto first_quad = row.whole_quad(lane);
            meanwhile();
            const auto half = first_quad + row.whole_quad(lane + quad_columns);
            if (has_first) {
                add(g, first_half[g] + half);
            } else {
                first_half[g] = half;
            }
        });
        has_first = !has_first;
    }
    if (done < columns) {
        with_part_of_half<V, walk>(
            row, done, columns - done, [&](auto g, const auto &half) __attribute__((always_inline)) {
                add(g, has_first ? first_half[g] + half : half);
            });
    } else if (has_first) {
        for_each_group<V, walk>([&](auto g) __attribute__((always_inline)) { add(g, first_half[g]); });
    }
}

template <class V, Walk walk, class Row, class Add>
[[gnu::always_inline]] inline void add_chunks(const Row &row, std::size_t columns, const Add &add) {
    add_chunks<V, walk>(row, columns, add, nothing_meanwhile);
}

// Both sums of a block, as lanes not yet added together.
template <class Lanes>
struct BlockSums {
    Lanes differences;
    Lanes squares;
};

// How many elements a block has, and how many the sample that its pivot is the mean of.
struct Counts {
    double count;
    double per_element; // 1 / count
    double per_sample;

    explicit Counts(std::size_t columns)
        : count(static_cast<double>(columns)), per_element(1.0 / count),
          per_sample(columns <= quad_columns ? per_element : 1.0 / static_cast<double>(quad_columns)) {}
};

// A block of one quad, that is of up to 128 columns in so many vectors. Its lanes have two levels of single precision
// left for the tree over the lanes.
template <class V, std::size_t vectors>
class ShortBlock {
  public:
    using Lanes = EightFloats;

    // Built as AnyBlock is; too short to be walked in two ways.
    [[gnu::always_inline]] explicit ShortBlock(std::size_t columns, Walk = Walk::unrolled)
        : columns_(columns), counts_(columns), last_(columns) {}

    [[gnu::always_inline]] std::size_t columns() const { return columns_; }
    [[gnu::always_inline]] const Counts &counts() const { return counts_; }

    // The sum of the elements that the pivot is the mean of: all of them.
    [[gnu::always_inline]] typename V::Double sample(const float *x) const {
        FloatLanes<V> sums;
        last_.template for_each_group<Walk::unrolled>([&](auto g, auto last) __attribute__((always_inline)) {
            sums.group[g] = load_quad<V, vectors>(x + g * V::width, last, V::broadcast(0.0F)).sum();
        });
        return fold(sums);
    }

    [[gnu::always_inline]] void sum(BlockSums<Lanes> &sums, const float *x, float pivot) const {
        const CentredRow<V> row = {x, V::broadcast(pivot)};
        FloatLanes<V> differences;
        FloatLanes<V> squares;
        last_.template for_each_group<Walk::unrolled>([&](auto g, auto last) __attribute__((always_inline)) {
            const Sums<V> terms = row.template quad<vectors>(g * V::width, last);
            differences.group[g] = terms.differences;
            squares.group[g] = terms.squares;
        });
        store_eight(sums.differences, differences);
        store_eight(sums.squares, squares);
    }
    [[gnu::always_inline]] static typename V::Double fold_lanes(const Lanes &lanes) { return fold<V>(lanes); }

  private:
    std::size_t columns_;
    Counts counts_;
    LastVectors<V, vectors> last_;
};

// Both sums of a block of more than a quad, whose lanes stay in double precision until all of it is added.
template <class V>
class LongSums {
  public:
    // So many columns more, whole chunks but for the last ones; all there are if it is one chunk at most. Calls
    // meanwhile() in turns, as add_chunks does.
    template <Walk walk, bool one_chunk, class Meanwhile>
    [[gnu::always_inline]] void add(const float *x, std::size_t columns, float pivot, const Meanwhile &meanwhile) {
        add_chunks<V, walk>(
            CentredRow<V>{x, V::broadcast(pivot)}, columns,
            [&](auto g, const Sums<V> &sums) __attribute__((always_inline)) {
                if constexpr (one_chunk) {
                    differences_.put(g, sums.differences);
                    squares_.put(g, sums.squares);
                } else {
                    differences_.add(g, sums.differences);
                    squares_.add(g, sums.squares);
                }
            },
            meanwhile);
    }

    [[gnu::always_inline]] BlockSums<typename V::Double> fold() const {
        return {simdnorm::fold(differences_), simdnorm::fold(squares_)};
    }

  private:
    DoubleLanes<V> differences_;
    DoubleLanes<V> squares_;
};

template <class V, Walk walk>
struct LongBlock {
    // The sum of the elements that the pivot is the mean of: four vectors spread over the block.
    [[gnu::always_inline]] static typename V::Double sample(const float *x, std::size_t columns) {
        const std::size_t step = columns / quad_columns * lane_count;
        FloatLanes<V> sums;
        for_each_group<V, walk>([&](std::size_t g) __attribute__((always_inline)) {
            sums.group[g] = Quad<V, quad_vectors>::load_whole(x + g * V::width, step).sum();
        });
        return fold(sums);
    }

    // One chunk, that is up to chunk_columns, has nothing to be added to: each group of lanes is put once.
    template <bool one_chunk>
    [[gnu::always_inline]] static BlockSums<typename V::Double> sum(const float *x, std::size_t columns, float pivot) {
        LongSums<V> sums;
        sums.template add<walk, one_chunk>(x, columns, pivot, nothing_meanwhile);
        return sums.fold();
    }
};

// A block of any length. Not inlined: one copy serves every number of rows and kind of store, and building takes
// seconds instead of minutes.
template <class V>
class AnyBlock {
  public:
    using Lanes = typename V::Double;

    [[gnu::always_inline]] AnyBlock(std::size_t columns, Walk walk)
        : columns_(columns), walk_(walk), counts_(columns) {}

    [[gnu::always_inline]] std::size_t columns() const { return columns_; }
    [[gnu::always_inline]] const Counts &counts() const { return counts_; }
    [[gnu::always_inline]] typename V::Double sample(const float *x) const { return sample(x, columns_, walk_); }
    [[gnu::always_inline]] void sum(BlockSums<Lanes> &sums, const float *x, float pivot) const {
        sum(sums, x, columns_, pivot, walk_);
    }
    [[gnu::always_inline]] static typename V::Double fold_lanes(Lanes lanes) { return lanes; }

  private:
    [[gnu::noinline]] static typename V::Double sample(const float *x, std::size_t columns, Walk walk) {
        if (columns > quad_columns) {
            return with_walk(walk, [&](auto chosen) { return LongBlock<V, chosen>::sample(x, columns); });
        }
        return with_vectors(columns, [&](auto vectors) { return ShortBlock<V, vectors>(columns).sample(x); });
    }

    [[gnu::noinline]] static void sum(BlockSums<Lanes> &sums, const float *x, std::size_t columns, float pivot,
                                      Walk walk) {
        // Two functions: in one, AVX2 loses 2 to 3% from 600 columns on.
        if (columns > chunk_columns) {
            sums = with_walk(walk,
                             [&](auto chosen) { return LongBlock<V, chosen>::template sum<false>(x, columns, pivot); });
            return;
        }
        if (columns > quad_columns) {
            sums = with_walk(walk,
                             [&](auto chosen) { return LongBlock<V, chosen>::template sum<true>(x, columns, pivot); });
            return;
        }
        with_vectors(columns, [&](auto vectors) {
            BlockSums<EightFloats> eights;
            ShortBlock<V, vectors>(columns).sum(eights, x, pivot);
            sums = {fold<V>(eights.differences), fold<V>(eights.squares)};
        });
    }

    std::size_t columns_;
    Walk walk_;
    Counts counts_;
};

} // namespace
} // namespace simdnorm
