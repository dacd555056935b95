// Rows + statistics + dy -> dx, and sums of dgamma and dbeta.
//
// With v = (x - mean) rstd and g = dy gamma, a row's dx is rstd (g - mean(g) - v mean(g v)). The mean that comes from
// the forward pass is a float; what it lost is in the row's own sum of differences from it.
//
// Rows go through the steps in groups: their sums, what follows from these, dx and the sums over rows. A group stays in
// the caches from one step to the next.
#pragma once

#include "block_sums.hpp"
#include "kernel_table.hpp"
#include "lanes.hpp"
#include "normalize.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

namespace simdnorm {
namespace {

// How differences from the mean are taken: of all but unusual rows.
template <class V>
class Difference {
  public:
    [[gnu::always_inline]] Difference(const GradientGroup &group, std::size_t r)
        : mean_(V::broadcast(group.mean[r])), factor_(V::broadcast(group.rstd[r])) {}

    [[gnu::always_inline]] typename V::Floats of(typename V::Floats x) const { return x - mean_; }
    // What has no difference from the mean.
    [[gnu::always_inline]] typename V::Floats mean() const { return mean_; }
    // What dx is a multiple of.
    [[gnu::always_inline]] typename V::Floats factor() const { return factor_; }

  private:
    typename V::Floats mean_;
    typename V::Floats factor_;
};

// In groups with unusual rows; where the scale is 1 it is the same to the bit.
template <class V>
class ScaledDifference {
  public:
    [[gnu::always_inline]] ScaledDifference(const GradientGroup &group, std::size_t r)
        : mean_(V::broadcast(group.mean[r])), scale_(V::broadcast(group.scale[r])),
          scaled_mean_(V::broadcast(-group.mean[r] * group.scale[r])), factor_(V::broadcast(group.factor[r])) {}

    [[gnu::always_inline]] typename V::Floats of(typename V::Floats x) const {
        return V::multiply_add(x, scale_, scaled_mean_);
    }
    [[gnu::always_inline]] typename V::Floats mean() const { return mean_; }
    [[gnu::always_inline]] typename V::Floats factor() const { return factor_; }

  private:
    typename V::Floats mean_;
    typename V::Floats scale_;
    typename V::Floats scaled_mean_; // negative
    typename V::Floats factor_;
};

// Calls use(type) with the type of the group's differences.
template <class V, class Use>
[[gnu::always_inline]] inline void with_difference(const GradientGroup &group, const Use &use) {
    if (group.scaled) [[unlikely]] {
        use(std::type_identity<ScaledDifference<V>>());
    } else {
        use(std::type_identity<Difference<V>>());
    }
}

// The sums of some elements of one group of lanes.
template <class V>
struct GradientTerms {
    typename V::Floats differences;
    typename V::Floats gradients;
    typename V::Floats products;

    [[gnu::always_inline]] friend GradientTerms operator+(const GradientTerms &a, const GradientTerms &b) {
        return {a.differences + b.differences, a.gradients + b.gradients, a.products + b.products};
    }
};

// One row from some column on: what add_chunks adds up.
template <class V, class Delta>
struct GradientRow {
    const float *x;
    const float *dy;
    const float *gamma;
    Delta difference;

    [[gnu::always_inline]] GradientRow(const GradientRows &range, const GradientGroup &group, std::size_t r,
                                       std::size_t column)
        : x(range.x + (group.first + r) * range.x_stride + column),
          dy(range.dy + (group.first + r) * range.dy_stride + column),
          gamma(range.gamma != nullptr ? range.gamma + column : ones.of_columns), difference(group, r) {}

    [[gnu::always_inline]] GradientTerms<V> whole_quad(std::size_t lane) const {
        return quad<quad_vectors>(lane, WholeVector<V>());
    }

    // Line by line of all three arrays.
    template <std::size_t vectors, class Last>
    [[gnu::always_inline]] GradientTerms<V> quad(std::size_t lane, Last last) const {
        Quad<V, vectors> d;
        Quad<V, vectors> g;
        for (std::size_t i = 0; i + 1 < vectors; ++i, lane += lane_count) {
            d.vector[i] = difference.of(V::load(x + lane));
            g.vector[i] = V::load(dy + lane) * V::load(gamma + lane);
        }
        const typename V::Floats zero = V::broadcast(0.0F);
        d.vector[vectors - 1] = difference.of(last.load(x + lane, difference.mean()));
        g.vector[vectors - 1] = last.load(dy + lane, zero) * last.load(gamma + lane, zero);
        return {d.sum(), g.sum(), d.products(g)};
    }
};

// The sums of a block, as lanes not yet added together.
template <class V>
struct GradientLanes {
    typename V::Double differences;
    typename V::Double gradients;
    typename V::Double products;
};

// The sums of a chunk, as lanes in single precision.
template <class V>
struct GradientFloats {
    FloatLanes<V> differences;
    FloatLanes<V> gradients;
    FloatLanes<V> products;

    [[gnu::always_inline]] void put(std::size_t g, const GradientTerms<V> &terms) {
        differences.group[g] = terms.differences;
        gradients.group[g] = terms.gradients;
        products.group[g] = terms.products;
    }

    [[gnu::always_inline]] GradientLanes<V> fold() const {
        return {simdnorm::fold(differences), simdnorm::fold(gradients), simdnorm::fold(products)};
    }
};

// The sums of chunks.
template <class V>
struct GradientEights {
    EightLanes<V> differences = EightLanes<V>::zero();
    EightLanes<V> gradients = EightLanes<V>::zero();
    EightLanes<V> products = EightLanes<V>::zero();

    [[gnu::always_inline]] void add(const GradientFloats<V> &chunk) {
        differences = differences + fold_to_eight(chunk.differences);
        gradients = gradients + fold_to_eight(chunk.gradients);
        products = products + fold_to_eight(chunk.products);
    }

    [[gnu::always_inline]] GradientLanes<V> fold() const {
        return {simdnorm::fold(differences), simdnorm::fold(gradients), simdnorm::fold(products)};
    }
};

template <class V, class Delta, std::size_t vectors>
[[gnu::always_inline]] inline GradientFloats<V> sum_short_row(const GradientRow<V, Delta> &row,
                                                              const LastVectors<V, vectors> &last) {
    GradientFloats<V> chunk;
    last.template for_each_group<Walk::unrolled>([&](auto g, auto last_of_group) __attribute__((always_inline)) {
        chunk.put(g, row.template quad<vectors>(g * V::width, last_of_group));
    });
    return chunk;
}

template <class V>
[[gnu::always_inline]] inline GradientSums add_up(const GradientLanes<V> &lanes) {
    const typename V::Double differences[1] = {lanes.differences};
    const typename V::Double gradients[1] = {lanes.gradients};
    const typename V::Double products[1] = {lanes.products};
    double sums[3][1];
    V::sum_rows(differences, sums[0]);
    V::sum_rows(gradients, sums[1]);
    V::sum_rows(products, sums[2]);
    return {sums[0][0], sums[1][0], sums[2][0]};
}

// Adds the first `columns` of a row, whole chunks but for the last; meanwhile() as of add_chunks.
template <class V, Walk walk, class Delta, class Meanwhile>
[[gnu::always_inline]] inline void add_row(GradientEights<V> &sums, const GradientRow<V, Delta> &row,
                                           std::size_t columns, const Meanwhile &meanwhile) {
    GradientFloats<V> chunk = {}; // or GCC 12 takes it for uninitialised
    add_chunks<V, walk>(
        row, columns,
        [&](auto g, const GradientTerms<V> &terms) __attribute__((always_inline)) {
            chunk.put(g, terms);
            if (g + 1 == groups<V>) {
                sums.add(chunk);
            }
        },
        meanwhile);
}

template <class V, class Delta, Walk walk>
[[gnu::noinline]] GradientSums sum_long_block(const GradientRows &range, const GradientGroup &group, std::size_t r,
                                              std::size_t begin, std::size_t end) {
    GradientEights<V> sums;
    for (; begin < end; begin += normalize_block) { // there are no more ones to stand for a gamma left out
        add_row<V, walk>(sums, GradientRow<V, Delta>(range, group, r, begin), smaller(end - begin, normalize_block),
                         nothing_meanwhile);
    }
    return add_up(sums.fold());
}

template <class V, class Delta>
[[gnu::always_inline]] inline GradientSums sum_block(const GradientRows &range, const GradientGroup &group,
                                                     std::size_t r, std::size_t block) {
    if (range.columns <= quad_columns) {
        return with_vectors(range.columns, [&](auto vectors) {
            const LastVectors<V, vectors> last(range.columns);
            return add_up(sum_short_row(GradientRow<V, Delta>(range, group, r, 0), last).fold());
        });
    }
    const std::size_t begin = block * statistics_block;
    const std::size_t end = smaller(range.columns, begin + statistics_block);
    return with_walk(range.walk,
                     [&](auto walk) { return sum_long_block<V, Delta, walk>(range, group, r, begin, end); });
}

// The sums of the rows of a group.
struct GroupSums {
    double differences[most_rows_of_group];
    double gradients[most_rows_of_group];
    double products[most_rows_of_group];
};

// Of a row's first block, or one more.
inline void add(GroupSums &sums, std::size_t r, const GradientSums &block, bool first) {
    sums.differences[r] = first ? block.differences : sums.differences[r] + block.differences;
    sums.gradients[r] = first ? block.gradients : sums.gradients[r] + block.gradients;
    sums.products[r] = first ? block.products : sums.products[r] + block.products;
}

// A full group's lanes are added together for all rows at once.
template <class V, std::size_t vectors>
[[gnu::noinline]] void sum_short_rows(const GradientRows &rows, const GradientGroup &group, GroupSums &sums) {
    const GradientRows range = rows; // a copy that stores cannot seem to change
    const LastVectors<V, vectors> last(range.columns);
    const auto chunk_of = [&](std::size_t r) __attribute__((always_inline)) {
        return sum_short_row(GradientRow<V, Difference<V>>(range, group, r, 0), last);
    };
    if (group.rows < most_rows_of_group) {
        for (std::size_t r = 0; r < group.rows; ++r) {
            add(sums, r, add_up(chunk_of(r).fold()), true);
        }
        return;
    }
    typename V::Double differences[most_rows_of_group];
    typename V::Double gradients[most_rows_of_group];
    typename V::Double products[most_rows_of_group];
    for (std::size_t r = 0; r < most_rows_of_group; ++r) {
        const GradientFloats<V> chunk = chunk_of(r); // GCC would store all of the folded lanes once more
        differences[r] = fold(chunk.differences);
        gradients[r] = fold(chunk.gradients);
        products[r] = fold(chunk.products);
    }
    V::sum_rows(differences, sums.differences);
    V::sum_rows(gradients, sums.gradients);
    V::sum_rows(products, sums.products);
}

template <class V>
[[gnu::always_inline]] inline void sum_long_rows(const GradientRows &range, const GradientGroup &group,
                                                 GroupSums &sums) {
    for (std::size_t r = 0; r < group.rows; ++r) {
        for (std::size_t block = 0; block < blocks_of(range.columns); ++block) {
            add(sums, r, sum_block<V, Difference<V>>(range, group, r, block), block == 0);
        }
    }
}

// Of rows as they are, before anything unusual shows.
template <class V>
[[gnu::always_inline]] inline void sum_rows_of(const GradientRows &range, const GradientGroup &group, GroupSums &sums) {
    if (range.columns > quad_columns) {
        return sum_long_rows<V>(range, group, sums);
    }
    with_vectors(range.columns, [&](auto vectors) { sum_short_rows<V, vectors>(range, group, sums); });
}

// A row is ordinary if its sums are finite, its mean is not further than this from the caller's in units of 1 / rstd,
// so that the sums of differences from it cancel little, and its rstd leaves squares and products within float's range.
constexpr double greatest_offset = 0.5;
constexpr double least_ordinary_rstd = 0x1p-40;
constexpr double greatest_ordinary_rstd = 0x1p+40;
constexpr double greatest_float = std::numeric_limits<float>::max();

// What follows from the sums, for as many rows as R holds; whether all of them are ordinary.
template <class R>
[[gnu::always_inline]] inline bool finish(GradientGroup &group, std::size_t r, const GroupSums &sums,
                                          double per_element) {
    const auto scale = R::broadcast(per_element);
    const auto rstd = R::load(group.rstd + r);
    const auto gradients = R::load(sums.gradients + r);
    const auto offset = R::load(sums.differences + r) * scale;
    const auto shift = R::broadcast(0.0) - offset * rstd;
    const auto mean_gradient = gradients * scale;
    const auto mean_product = (offset * gradients - R::load(sums.products + r)) * scale * rstd;
    R::store(group.shift + r, shift);
    R::store(group.mean_gradient + r, mean_gradient);
    R::store(group.mean_product + r, mean_product);
    const auto within = [](auto value, double least, double greatest) __attribute__((always_inline)) {
        return R::all_at_most(R::broadcast(least), value) && R::all_at_most(value, R::broadcast(greatest));
    };
    return within(shift, -greatest_offset, greatest_offset) && within(mean_gradient, -greatest_float, greatest_float) &&
           within(mean_product, -greatest_float, greatest_float) &&
           within(rstd, least_ordinary_rstd, greatest_ordinary_rstd);
}

// The sums of less than a full group were written one by one. A load of several would wait until these stores are done,
// behind streaming stores of the rows before.
template <class V>
[[gnu::always_inline]] inline bool finish_group(GradientGroup &group, const GroupSums &sums, double per_element) {
    using R = typename V::template Rows<most_rows_of_group>;
    bool ordinary = true;
    if (group.rows < most_rows_of_group) {
        for (std::size_t r = 0; r < group.rows; ++r) {
            ordinary = finish<OneRow>(group, r, sums, per_element) && ordinary;
        }
        return ordinary;
    }
    for (std::size_t r = 0; r < most_rows_of_group; r += R::width) {
        ordinary = finish<R>(group, r, sums, per_element) && ordinary;
    }
    return ordinary;
}

// The caller's statistics; rows that the group lacks are ordinary.
[[gnu::always_inline]] inline void start(GradientGroup &group, const GradientRows &range, std::size_t first,
                                         std::size_t rows) {
    group.first = first;
    group.rows = rows;
    group.scaled = false;
    for (std::size_t r = 0; r < rows; ++r) {
        group.mean[r] = range.mean[first + r];
        group.rstd[r] = range.rstd[first + r];
    }
    for (std::size_t r = rows; r < most_rows_of_group; ++r) {
        group.mean[r] = 0.0F;
        group.rstd[r] = 1.0F;
    }
}

// A power of two that brings differences of x to about 1, without an overflow of the mean. An rstd of 0 makes 0 of all
// that is finite, so differences are scaled only where they or their products overflow, and then as far as can be.
inline float scale_of(float mean, float rstd, bool overflows) {
    if (!std::isfinite(rstd) || !std::isfinite(mean)) {
        return 1.0F;
    }
    if (rstd == 0.0F) {
        return overflows ? 0x1p-126F : 1.0F;
    }
    int exponent = std::ilogb(rstd);
    if (mean != 0.0F && exponent > 100 - std::ilogb(mean)) {
        exponent = 100 - std::ilogb(mean);
    }
    return std::ldexp(1.0F, exponent < -126 ? -126 : exponent > 126 ? 126 : exponent);
}

// A mean from elsewhere may be so far off that the first sum of differences from it is inexact itself.
constexpr int most_rounds = 5;

// A row as its sums tell; false if it is unusual, may be mended, and has to be summed again.
inline bool settle_row(GradientGroup &group, std::size_t r, const GroupSums &sums, double per_element, int round) {
    if (finish<OneRow>(group, r, sums, per_element)) {
        return true;
    }
    const double offset = sums.differences[r] * per_element;
    if (round < most_rounds) {
        const bool overflows = !std::isfinite(offset) || !std::isfinite(sums.products[r]) ||
                               group.scale[r] < 1.0F; // once scaled, it stays so
        const float scale = scale_of(group.mean[r], group.factor[r], overflows);
        const double mean = group.mean[r] + (std::isfinite(offset) ? offset / static_cast<double>(group.scale[r]) : 0);
        if (scale != group.scale[r] || static_cast<float>(mean) != group.mean[r]) {
            group.scaled = true;
            group.scale[r] = scale;
            group.rstd[r] = group.factor[r] / scale;
            group.mean[r] = static_cast<float>(mean);
            return false;
        }
    }
    // What is not finite spoils all of dx; if it is x, its mean or its rstd, v as well.
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    if (!std::isfinite(offset) || !std::isfinite(group.rstd[r])) {
        group.shift[r] = nan;
        group.mean_gradient[r] = nan;
    } else if (!std::isfinite(group.mean_product[r]) || !std::isfinite(group.mean_gradient[r])) {
        group.mean_gradient[r] = nan;
    }
    return true;
}

// Before anything is multiplied by a scale.
inline void start_scaling(GradientGroup &group) {
    for (std::size_t r = 0; r < most_rows_of_group; ++r) {
        group.scale[r] = 1.0F;
        group.factor[r] = group.rstd[r];
    }
}

// A group of which at least one row is not ordinary, as its sums tell.
template <class V>
[[gnu::noinline, gnu::cold]] void settle_unusual_group(const GradientRows &range, GradientGroup &group,
                                                       GroupSums &sums) {
    const double per_element = 1.0 / static_cast<double>(range.columns);
    start_scaling(group);
    for (std::size_t r = 0; r < group.rows; ++r) {
        for (int round = 1; !settle_row(group, r, sums, per_element, round); ++round) {
            for (std::size_t block = 0; block < blocks_of(range.columns); ++block) {
                add(sums, r, sum_block<V, ScaledDifference<V>>(range, group, r, block), block == 0);
            }
        }
    }
    group.scaled = true;
}

// Where dx of a row is, from some column on; nowhere if it is not wanted.
[[gnu::always_inline]] inline float *dx_at(const GradientRows &range, std::size_t row, std::size_t column) {
    return range.dx != nullptr ? range.dx + row * range.dx_stride + column : nullptr;
}

// Sums over rows, of a vector of columns.
template <class V>
struct ColumnTerms {
    typename V::Floats dgamma;
    typename V::Floats dbeta;
};

// The same of the columns from `begin` on, where they are kept for the batch: before some rows of it, the first of
// which is row `first`, and with them.
template <class V>
class BatchSums {
  public:
    [[gnu::always_inline]] BatchSums(const ColumnSums &sums, std::size_t first, std::size_t begin)
        : dgamma_(sums.batch_dgamma + begin), dbeta_(sums.batch_dbeta + begin) {
        const bool starts_batch = (first - sums.first) % rows_of_batch == 0;
        dgamma_so_far_ = starts_batch ? zeros.of_columns : dgamma_;
        dbeta_so_far_ = starts_batch ? zeros.of_columns : dbeta_;
    }

    // Of the vector at column j, or what `part` says there is of it.
    template <class Part>
    [[gnu::always_inline]] ColumnTerms<V> load(std::size_t j, Part part) const {
        const typename V::Floats zero = V::broadcast(0.0F);
        return {part.load(dgamma_so_far_ + j, zero), part.load(dbeta_so_far_ + j, zero)};
    }
    template <class Part>
    [[gnu::always_inline]] void store(std::size_t j, Part part, const ColumnTerms<V> &terms) const {
        part.store(dgamma_ + j, terms.dgamma);
        part.store(dbeta_ + j, terms.dbeta);
    }

  private:
    float *dgamma_;
    float *dbeta_;
    const float *dgamma_so_far_;
    const float *dbeta_so_far_;
};

// Some columns of `rows` rows of a group: what is done with each vector of them.
template <class V, class Delta, std::size_t rows>
class GradientWriter {
  public:
    // Of the group, the rows from `first` on; columns from `column` on.
    [[gnu::always_inline]] GradientWriter(const GradientRows &range, const GradientGroup &group, std::size_t first,
                                          std::size_t column, std::size_t ahead)
        : GradientWriter(std::make_index_sequence<rows>(), range, group, first, column, ahead) {}

    // Asks for what will be wanted next: of x and dy, where they lie in memory, `lead` columns further than the rows
    // ahead, and of the lines of dx.
    template <bool writes_dx, Traffic traffic>
    [[gnu::always_inline]] void prefetch(std::size_t j, std::size_t lead) const {
        for (std::size_t r = 0; r < rows; ++r) {
            if constexpr (traffic != Traffic::cached) {
                V::prefetch(x_[r] + j + lead + x_ahead_, fetch_into_);
                V::prefetch(dy_[r] + j + lead + dy_ahead_, fetch_into_);
            }
            if constexpr (writes_dx && !passes_caches(traffic)) {
                V::prefetch_output(dx_[r] + j + output_lead);
            }
        }
    }

    // Before the first of so many columns.
    template <bool writes_dx, Traffic traffic>
    [[gnu::always_inline]] void ask_for_pages(std::size_t columns) const {
        if constexpr (writes_dx) {
            for (std::size_t r = 0; r < rows; ++r) {
                ask_for_page<V, traffic>(dx_[r], columns);
            }
        }
    }

    // The vector at column j, or what `part` says there is of it. Calls store(dx, value) for each row, and returns
    // `terms` with the rows added one after the other.
    template <bool writes_dx, class Part, class Store>
    [[gnu::always_inline]] ColumnTerms<V> vector(std::size_t j, Part part, typename V::Floats gamma,
                                                 ColumnTerms<V> terms, const Store &store) const {
        typename V::Floats v[rows];
        typename V::Floats dy[rows];
        for (std::size_t r = 0; r < rows; ++r) {
            v[r] = V::multiply_add(difference_[r].of(part.load(x_[r] + j, difference_[r].mean())), rstd_[r], shift_[r]);
            dy[r] = part.load(dy_[r] + j, V::broadcast(0.0F));
        }
        if constexpr (writes_dx) {
            for (std::size_t r = 0; r < rows; ++r) {
                const typename V::Floats centred = dy[r] * gamma - mean_gradient_[r];
                store(dx_[r] + j, V::multiply_add(v[r], mean_product_[r], centred) * difference_[r].factor());
            }
        }
        for (std::size_t r = 0; r < rows; ++r) {
            terms.dgamma = V::multiply_add(dy[r], v[r], terms.dgamma);
            terms.dbeta = terms.dbeta + dy[r];
        }
        return terms;
    }

  private:
    template <std::size_t... r>
    [[gnu::always_inline]] GradientWriter(std::index_sequence<r...>, const GradientRows &range,
                                          const GradientGroup &group, std::size_t first, std::size_t column,
                                          std::size_t ahead)
        : x_{range.x + (group.first + first + r) * range.x_stride + column...},
          dy_{range.dy + (group.first + first + r) * range.dy_stride + column...}, dx_{dx_at(range,
                                                                                             group.first + first + r,
                                                                                             column)...},
          x_ahead_(ahead * range.x_stride), dy_ahead_(ahead * range.dy_stride),
          fetch_into_(range.fetch_into), difference_{Delta(group, first + r)...},
          rstd_{V::broadcast(group.rstd[first + r])...}, shift_{V::broadcast(group.shift[first + r])...},
          mean_gradient_{V::broadcast(group.mean_gradient[first + r])...}, mean_product_{V::broadcast(
                                                                               group.mean_product[first + r])...} {}

    const float *x_[rows];
    const float *dy_[rows];
    float *dx_[rows];
    std::size_t x_ahead_;
    std::size_t dy_ahead_;
    FetchInto fetch_into_;
    Delta difference_[rows];
    typename V::Floats rstd_[rows];
    typename V::Floats shift_[rows];
    typename V::Floats mean_gradient_[rows];
    typename V::Floats mean_product_[rows];
};

// The columns from `begin` on, no more than normalize_block of them, of `rows` rows of a group: dx, and the sums over
// rows. `ahead`: how many rows further lies what will be wanted next.
template <class V, class Delta, bool writes_dx, Traffic traffic, std::size_t rows>
class ColumnWriter {
  public:
    [[gnu::always_inline]] ColumnWriter(const GradientRows &range, const GradientGroup &group, std::size_t first,
                                        std::size_t begin, std::size_t ahead, const ColumnSums &sums,
                                        const VectorOutput<V, traffic> &output)
        : writer_(range, group, first, begin, ahead), output_(output),
          gamma_(range.gamma != nullptr ? range.gamma + begin : ones.of_columns),
          sums_(sums, group.first + first, begin) {}

    // Before the first of so many columns.
    [[gnu::always_inline]] void ask_for_pages(std::size_t columns) const {
        writer_.template ask_for_pages<writes_dx, traffic>(columns);
    }

    [[gnu::always_inline]] void prefetch(std::size_t j, std::size_t lead = 0) const {
        writer_.template prefetch<writes_dx, traffic>(j, lead);
    }

    [[gnu::always_inline]] void whole(std::size_t j) {
        const WholeVector<V> vector;
        const auto terms = writer_.template vector<writes_dx>(
            j, vector, V::load(gamma_ + j),
            sums_.load(j, vector), [&](float *to, typename V::Floats value) __attribute__((always_inline)) {
                output_.whole(to, value);
            });
        sums_.store(j, vector, terms);
    }

    [[gnu::always_inline]] void part(std::size_t j, std::size_t elements, typename V::Mask mask) {
        const PartOfVector<V> vector{mask};
        const auto terms = writer_.template vector<writes_dx>(
            j, vector, vector.load(gamma_ + j, V::broadcast(0.0F)),
            sums_.load(j, vector), [&](float *to, typename V::Floats value) __attribute__((always_inline)) {
                output_.part(to, elements, value);
            });
        sums_.store(j, vector, terms);
    }

    // Goes on behind what has been written.
    [[gnu::always_inline]] const VectorOutput<V, traffic> &output() const { return output_; }

  private:
    GradientWriter<V, Delta, rows> writer_;
    VectorOutput<V, traffic> output_; // a copy that stores to dx cannot seem to change
    const float *gamma_;
    BatchSums<V> sums_;
};

template <class V, class Delta, bool writes_dx, Traffic traffic, std::size_t rows>
[[gnu::always_inline]] inline void
write_columns(const GradientRows &range, const GradientGroup &group, std::size_t first, std::size_t begin,
              std::size_t columns, std::size_t ahead, const ColumnSums &sums, VectorOutput<V, traffic> &output) {
    ColumnWriter<V, Delta, writes_dx, traffic, rows> writer(range, group, first, begin, ahead, sums, output);
    writer.ask_for_pages(columns);
    wait_for_others<V, traffic>(range.lines_at_once);
    for_each_vector<V, traffic, 1>(
        columns, range.lines_at_once, [&](std::size_t j) __attribute__((always_inline)) { writer.prefetch(j); },
        [&](std::size_t j) __attribute__((always_inline)) { writer.whole(j); },
        [&](std::size_t j, typename V::Mask mask)
            __attribute__((always_inline)) { writer.part(j, columns - j, mask); });
    output = writer.output();
}

// Columns [begin, end) of `rows` rows of a group.
template <class V, class Delta, bool writes_dx, Traffic traffic, std::size_t rows>
[[gnu::noinline]] void write_rows(const GradientRows &range, const GradientGroup &group, std::size_t first,
                                  std::size_t begin, std::size_t end, std::size_t ahead, const ColumnSums &sums,
                                  VectorOutput<V, traffic> &output) {
    if (range.columns != range.dx_stride || end - begin != range.columns) {
        output.go_on_at(dx_at(range, group.first + first, begin));
    }
    for (; begin < end; begin += normalize_block) {
        write_columns<V, Delta, writes_dx, traffic, rows>(range, group, first, begin,
                                                          smaller(end - begin, normalize_block), ahead, sums, output);
    }
}

// Block by block of columns: a block of gamma and of the sums over rows serves all rows of the group. In memory rows of
// several blocks go one at a time, in the order of addresses; what is packed knows that order alone.
template <class V, class Delta, bool writes_dx, Traffic traffic>
[[gnu::always_inline]] inline void write_group(const GradientRows &range, const GradientGroup &group, std::size_t begin,
                                               std::size_t end, std::size_t ahead, const ColumnSums &sums,
                                               VectorOutput<V, traffic> &output) {
    constexpr std::size_t pass = traffic == Traffic::packed ? 1 : V::rows_per_pass;
    const bool in_passes = pass > 1 && (traffic == Traffic::cached || range.columns <= normalize_block);
    const std::size_t block = traffic == Traffic::packed ? end - begin : normalize_block;
    for (; begin < end; begin += block) {
        const std::size_t block_end = smaller(end - begin, block) + begin;
        std::size_t r = 0;
        for (; in_passes && group.rows - r >= pass; r += pass) {
            write_rows<V, Delta, writes_dx, traffic, pass>(range, group, r, begin, block_end, ahead, sums, output);
        }
        for (; r < group.rows; ++r) {
            write_rows<V, Delta, writes_dx, traffic, 1>(range, group, r, begin, block_end, ahead, sums, output);
        }
    }
}

// Columns whose gamma and sums over rows stay in registers while the rows of a group go by, one after the other.
template <class V, Traffic traffic, class Held>
[[gnu::noinline]] void write_held_columns(const GradientRows &rows, const GradientGroup &group, std::size_t begin,
                                          const Held &columns, std::size_t ahead, const ColumnSums &leaf,
                                          VectorOutput<V, traffic> &output) {
    const GradientRows range = rows; // copies that stores to dx cannot seem to change
    const ColumnSums sums = leaf;
    const Held held = columns;
    VectorOutput<V, traffic> out = output;
    using Writer = GradientWriter<V, Difference<V>, 1>;
    typename V::Floats gamma[Held::vectors];
    ColumnTerms<V> terms[Held::vectors];
    const float *gamma_from = range.gamma != nullptr ? range.gamma + begin : ones.of_columns;
    const BatchSums<V> batch(sums, group.first, begin);
    held.for_each([&](auto i, std::size_t j, auto vector) __attribute__((always_inline)) {
        gamma[i] = vector.load(gamma_from + j, V::broadcast(0.0F));
        terms[i] = batch.load(j, vector);
    });
    for (std::size_t r = 0; r < group.rows; ++r) {
        if (range.columns != range.dx_stride) {
            out.go_on_at(dx_at(range, group.first + r, begin));
        }
        const Writer writer(range, group, r, begin, ahead);
        writer.template ask_for_pages<true, traffic>(held.columns());
        held.for_each([&](auto i, std::size_t j, auto vector) __attribute__((always_inline)) {
            if (j % cache_line_floats == 0) {
                writer.template prefetch<true, traffic>(j, 0);
            }
            terms[i] = writer.template vector<true>(
                j, vector, gamma[i], terms[i], [&](float *to, typename V::Floats value) __attribute__((always_inline)) {
                    held.put(out, vector, to, value);
                });
        });
    }
    held.for_each([&](auto i, std::size_t j, auto vector)
                      __attribute__((always_inline)) { batch.store(j, vector, terms[i]); });
    output = out;
}

// In cache longer rows go so, too, block by block of columns.
template <class V, Traffic traffic>
constexpr std::size_t most_held_columns = traffic == Traffic::cached ? V::held_columns_in_cache : held_columns<V>;

template <class V, Traffic traffic>
[[gnu::always_inline]] inline void write_ordinary_group(const GradientRows &range, const GradientGroup &group,
                                                        std::size_t begin, std::size_t end, std::size_t ahead,
                                                        const ColumnSums &sums, VectorOutput<V, traffic> &output) {
    if constexpr (V::held_vectors > 0) {
        if (range.columns <= most_held_columns<V, traffic>) {
            for (; begin < end; begin += held_columns<V>) {
                with_held_columns<V, traffic>(smaller(end - begin, held_columns<V>), [&](const auto &columns) {
                    write_held_columns<V, traffic>(range, group, begin, columns, ahead, sums, output);
                });
            }
            return;
        }
    }
    write_group<V, Difference<V>, true>(range, group, begin, end, ahead, sums, output);
}

// A batch of a leaf; its first one finds nothing there.
template <class V>
[[gnu::always_inline]] inline void add_columns(double *to, const float *terms, std::size_t begin, std::size_t end,
                                               bool first) {
    std::size_t j = begin;
    for (; end - j >= V::width; j += V::width) {
        if (first) {
            V::store_widened(to + j, V::load(terms + j));
        } else {
            V::add_widened(to + j, V::load(terms + j));
        }
    }
    for (; j < end; ++j) {
        to[j] = first ? static_cast<double>(terms[j]) : to[j] + static_cast<double>(terms[j]);
    }
}

// With the last group of a batch, and where sums over rows go on beyond it.
[[gnu::always_inline]] inline bool ends_batch(const GradientGroup &group, const ColumnSums &sums) {
    const std::size_t done = group.first + group.rows - sums.first;
    return sums.dgamma != nullptr && (done % rows_of_batch == 0 || done == sums.rows);
}

template <class V>
[[gnu::always_inline]] inline void add_batch(const GradientGroup &group, std::size_t begin, std::size_t end,
                                             const ColumnSums &sums) {
    const bool first = group.first + group.rows - sums.first <= rows_of_batch;
    add_columns<V>(sums.dgamma, sums.batch_dgamma, begin, end, first);
    add_columns<V>(sums.dbeta, sums.batch_dbeta, begin, end, first);
}

// dx of columns [begin, end) of a group, whose sums are done; and its part of the sums over rows.
template <class V, Traffic traffic>
[[gnu::always_inline]] inline void write_gradients(const GradientRows &range, const GradientGroup &group,
                                                   std::size_t begin, std::size_t end, std::size_t ahead,
                                                   const ColumnSums &sums, VectorOutput<V, traffic> &output) {
    VectorOutput<V, Traffic::cached> plain(nullptr);
    if (range.dx == nullptr) {
        with_difference<V>(group, [&](auto difference) {
            write_group<V, typename decltype(difference)::type, false>(range, group, begin, end, 0, sums, plain);
        });
    } else if (group.scaled) [[unlikely]] {
        write_group<V, ScaledDifference<V>, true>(range, group, begin, end, 0, sums, plain);
        output.go_on_at(dx_at(range, group.first + group.rows, begin));
    } else {
        write_ordinary_group<V>(range, group, begin, end, ahead, sums, output);
    }
    if (ends_batch(group, sums)) {
        add_batch<V>(group, begin, end, sums);
    }
}

template <class V>
[[gnu::always_inline]] inline void finish_or_settle(const GradientRows &range, GradientGroup &group, GroupSums &sums) {
    if (!finish_group<V>(group, sums, 1.0 / static_cast<double>(range.columns))) [[unlikely]] {
        settle_unusual_group<V>(range, group, sums);
    }
}

// The `rows` rows from `first` on, with their sums done.
template <class V>
[[gnu::always_inline]] inline void start_summed(GradientGroup &group, const GradientRows &range, std::size_t first,
                                                std::size_t rows) {
    start(group, range, first, rows);
    GroupSums sums = {}; // or GCC 12 takes it for uninitialised
    sum_rows_of<V>(range, group, sums);
    finish_or_settle<V>(range, group, sums);
}

template <class V, Traffic traffic>
[[gnu::always_inline]] inline void backward_rows(const GradientRows &range, const ColumnSums &leaf) {
    const std::size_t ahead = range.rows_of_group + range.prefetch_lead / range.columns;
    VectorOutput<V, traffic> output(dx_at(range, leaf.first, 0));
    const std::size_t end = leaf.first + leaf.rows;
    for (std::size_t row = leaf.first; row < end; row += range.rows_of_group) {
        GradientGroup group;
        start_summed<V>(group, range, row, smaller(end - row, range.rows_of_group));
        const bool more = row + ahead + range.rows_of_group <= range.rows;
        write_gradients<V, traffic>(range, group, 0, range.columns, more ? ahead : 0, leaf, output);
    }
    output.finish();
}

// So many vectors from column `written` on, which comes to lie behind them.
template <class V, class Writer>
[[gnu::always_inline]] inline void write_vectors(Writer &writer, std::size_t &written, std::size_t vectors,
                                                 std::size_t lead) {
    for (const std::size_t stop = written + vectors * V::width; written < stop; written += V::width) {
        if (written % cache_line_floats == 0) {
            writer.prefetch(written, lead);
        }
        writer.whole(written);
    }
}

// Columns [begin, end) of a group of rows, and in turns with that the sums of the same columns of the group after it,
// no more than a block: so streaming stores and loads from memory are under way together. What a batch ends with is
// added to its leaf in turns as well. Sums go in loops: unrolled they are no faster beside memory, and several times
// the code.
template <class V, Traffic traffic, std::size_t rows>
[[gnu::noinline]] void write_and_sum_block(const GradientRows &all, const GradientGroup &group,
                                           const GradientGroup &next, std::size_t begin, std::size_t end,
                                           const ColumnSums &leaf, VectorOutput<V, traffic> &output,
                                           GroupSums &sums_of_next) {
    const GradientRows range = all; // copies that stores cannot seem to change
    const ColumnSums sums = leaf;
    const bool adds_batch = ends_batch(group, sums);
    const std::size_t lead = next.first + 2 * rows <= range.rows ? range.prefetch_lead : 0;
    const bool first = begin == 0;
    GradientEights<V> eights[rows];
    for (; begin < end; begin += normalize_block) {
        const std::size_t columns = smaller(end - begin, normalize_block);
        ColumnWriter<V, Difference<V>, true, traffic, rows> writer(range, group, 0, begin, rows, sums, output);
        writer.ask_for_pages(columns);
        std::size_t written = 0;
        const auto write = [&](std::size_t vectors) __attribute__((always_inline)) {
            const std::size_t from = written;
            write_vectors<V>(writer, written, vectors, lead);
            if (adds_batch) {
                add_batch<V>(group, begin + from, begin + written, sums);
            }
        };
        std::size_t turn = quad_vectors / rows; // as if it were not known: unrolled, GCC 16 loses 3 to 7%
        asm("" : "+r"(turn));
        for (std::size_t r = 0; r < rows; ++r) {
            add_row<V, Walk::in_loops>(
                eights[r], GradientRow<V, Difference<V>>(range, next, r, begin),
                columns, [&]() __attribute__((always_inline)) { write(turn); });
        }
        write((columns - written) / V::width);
        if (written < columns) {
            writer.prefetch(written, lead);
            writer.part(written, columns - written, V::first(columns - written));
            if (adds_batch) {
                add_batch<V>(group, begin + written, begin + columns, sums);
            }
        }
        output = writer.output();
    }
    for (std::size_t r = 0; r < rows; ++r) {
        add(sums_of_next, r, add_up(eights[r].fold()), first);
    }
}

// A group of rows, whose sums are done, and in turns with that the sums of the next one.
template <class V, Traffic traffic, std::size_t rows>
[[gnu::always_inline]] inline void write_and_sum(const GradientRows &range, const GradientGroup &group,
                                                 GradientGroup &next, const ColumnSums &leaf,
                                                 VectorOutput<V, traffic> &output) {
    start(next, range, group.first + rows, rows);
    GroupSums sums = {}; // or GCC 12 takes it for uninitialised
    if (range.columns != range.dx_stride) {
        output.go_on_at(dx_at(range, group.first, 0));
    }
    for (std::size_t begin = 0; begin < range.columns; begin += statistics_block) {
        const std::size_t end = smaller(range.columns, begin + statistics_block);
        write_and_sum_block<V, traffic, rows>(range, group, next, begin, end, leaf, output, sums);
    }
    finish_or_settle<V>(range, next, sums);
}

// Group by group, each in turns with the sums of the next one; the last one may have fewer rows.
template <class V, Traffic traffic, std::size_t rows>
[[gnu::always_inline]] inline void backward_groups_in_turns(const GradientRows &range, const ColumnSums &leaf) {
    VectorOutput<V, traffic> output(dx_at(range, leaf.first, 0));
    const std::size_t end = leaf.first + leaf.rows;
    GradientGroup groups[2];
    std::size_t g = 0;
    start_summed<V>(groups[0], range, leaf.first, smaller(leaf.rows, rows));
    for (; groups[g].first + groups[g].rows < end; g = 1 - g) {
        const GradientGroup &group = groups[g];
        GradientGroup &next = groups[1 - g];
        const std::size_t left = end - group.first - rows;
        if (group.scaled || left < rows) [[unlikely]] {
            write_gradients<V, traffic>(range, group, 0, range.columns, 0, leaf, output);
            start_summed<V>(next, range, group.first + rows, smaller(left, rows));
        } else {
            write_and_sum<V, traffic, rows>(range, group, next, leaf, output);
        }
    }
    write_gradients<V, traffic>(range, groups[g], 0, range.columns, end + rows <= range.rows ? rows : 0, leaf, output);
    output.finish();
}

// Pairs share what is loaded of gamma and of the sums over rows. What is packed knows one row after the other alone.
template <class V, Traffic traffic>
[[gnu::always_inline]] inline void backward_rows_in_turns(const GradientRows &range, const ColumnSums &leaf) {
    if constexpr (V::rows_per_pass > 1 && traffic != Traffic::packed) {
        if (range.rows_of_group > 1) {
            return backward_groups_in_turns<V, traffic, 2>(range, leaf);
        }
    }
    backward_groups_in_turns<V, traffic, 1>(range, leaf);
}

// Of rows that threads share.

template <class V>
GradientGroup start_group(const GradientRows &range, std::size_t first, std::size_t rows) {
    GradientGroup group;
    start(group, range, first, rows);
    start_scaling(group);
    return group;
}

template <class V>
void sum_blocks(const GradientRows &range, const GradientGroup &group, BlockRange blocks, GradientSums *sums) {
    with_difference<V>(group, [&](auto difference) {
        for (std::size_t r = 0; r < group.rows; ++r) {
            for (std::size_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
                sums[r * blocks_of(range.columns) + block] =
                    sum_block<V, typename decltype(difference)::type>(range, group, r, block);
            }
        }
    });
}

template <class V>
bool settle(const GradientRows &range, GradientGroup &group, const GradientSums *blocks, int round) {
    const double per_element = 1.0 / static_cast<double>(range.columns);
    bool settled = true;
    for (std::size_t r = 0; r < group.rows; ++r) {
        GroupSums sums;
        for (std::size_t block = 0; block < blocks_of(range.columns); ++block) {
            add(sums, r, *blocks++, block == 0);
        }
        settled = settle_row(group, r, sums, per_element, round) && settled;
    }
    return settled;
}

} // namespace
} // namespace simdnorm
