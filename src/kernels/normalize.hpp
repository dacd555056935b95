// Rows + their statistics -> y.
#pragma once

#include "block_sums.hpp"
#include "kernel_table.hpp"
#include "lanes.hpp"
#include "row_statistics.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace simdnorm {
namespace {

// Rows are normalised in blocks of columns, so that a block of gamma and beta stays in L1 for the rows of a group.
constexpr std::size_t normalize_block = 1024;

// What stands for a gamma or beta left out: the same arithmetic as with arrays, hence the same bits.
template <int value>
struct Constants {
    float of_columns[statistics_block] = {};
    constexpr Constants() {
        for (float &element : of_columns) {
            element = value;
        }
    }
};
constexpr Constants<1> ones;
constexpr Constants<0> zeros;

// Ordinary stores wait for each other, and one that misses L1 for its line. So lines are asked for so many elements
// before they are written, where the plan wants it. Measured on Emerald Rapids
// (docs/measurements/emerald-rapids.md).
constexpr std::size_t output_lead = 64;

// Loads that miss L1 and streaming stores share a few buffers. A CPU that looks far ahead fills them with loads, and
// stores wait. So the loads of some lines are waited for before those of the next are begun. Calls lines(begin, end)
// for pieces of the first `columns` of so many lines. No test of that kind stands in the loop over the lines: if the
// CPU foresaw it wrongly it would wait for its loads all the same.
template <class V, Traffic traffic, class Lines>
[[gnu::always_inline]] inline void for_lines_at_once(std::size_t columns, std::size_t lines_at_once,
                                                     const Lines &lines) {
    if constexpr (passes_caches(traffic)) {
        const std::size_t most = lines_at_once * cache_line_floats;
        std::size_t begin = 0;
        for (;;) {
            const bool last = columns - begin <= most;
            lines(begin, last ? columns : begin + most);
            if (last) {
                return;
            }
            V::wait_for_loads();
            begin += most;
        }
    } else {
        lines(0, columns);
    }
}

// Before the first line: waits for what others have loaded, too.
template <class V, Traffic traffic>
[[gnu::always_inline]] inline void wait_for_others(std::size_t lines_at_once) {
    if constexpr (passes_caches(traffic)) {
        if (lines_at_once != any_number_of_lines) {
            V::wait_for_loads();
        }
    }
}

// A store to a page that the TLB does not have waits until the page's entry is found, and all later stores behind it:
// in memory that happens once a page. No store is begun early enough to hide it. So where a page starts in these
// columns of y a line in the middle of the page after it is asked for. The start of that page would do, were it not
// often asked for together with the start of one of x, and then in vain (docs/measurements/zen-5.md). Of more than
// normalize_block columns, only for the first page: all at once cost Emerald Rapids 3 to 5% where rows go by fours.
constexpr std::uintptr_t page_bytes = 4096; // the least that a page has: of larger ones several lines are asked for

template <class V, Traffic traffic>
[[gnu::always_inline]] inline void ask_for_page(const float *y, std::size_t columns) {
    if constexpr (traffic != Traffic::cached) {
        const auto begin = reinterpret_cast<std::uintptr_t>(y);
        const std::uintptr_t page = (begin + page_bytes - 1) / page_bytes * page_bytes;
        if (page < begin + columns * sizeof(float)) {
            V::prefetch_page(reinterpret_cast<const void *>(page + page_bytes + page_bytes / 2));
        }
    }
}

// The first `columns` of some rows, in order: whole(j) for each vector, part(j, mask) for what is left, and
// prefetch(j) ahead of each line. `lines_of_turn` lines in one turn of the loop: a CPU foresees the end of a loop of
// few turns, and misses that of one of many.
template <class V, Traffic traffic, std::size_t lines_of_turn, class Prefetch, class Whole, class Part>
[[gnu::always_inline]] inline void for_each_vector(std::size_t columns, std::size_t lines_at_once,
                                                   const Prefetch &prefetch, const Whole &whole, const Part &part) {
    for_lines_at_once<V, traffic>(
        columns, lines_at_once, [&](std::size_t j, std::size_t end) __attribute__((always_inline)) {
            const auto lines = [&](std::size_t count) __attribute__((always_inline)) {
                while (end - j >= count * cache_line_floats) {
                    for (std::size_t l = 0; l < count; ++l, j += cache_line_floats) {
                        prefetch(j);
                        for (std::size_t k = 0; k < cache_line_floats; k += V::width) {
                            whole(j + k);
                        }
                    }
                }
            };
            if constexpr (lines_of_turn > 1) {
                lines(lines_of_turn);
            }
            lines(1);
            if (j < end) {
                prefetch(j);
            }
            for (; end - j >= V::width; j += V::width) {
                whole(j);
            }
            if (j < end) {
                part(j, V::first(end - j));
            }
        });
}

// Elements that follow each other in memory, be they of one row or of several, written past the caches in whole
// vectors: what does not fill one is held back. A line of the caches that is written in parts costs more than ordinary
// stores.
template <class V>
class Packer {
  public:
    [[gnu::always_inline]] explicit Packer(float *y) { start(y); }

    [[gnu::always_inline]] void put(typename V::Floats value) {
        write(V::join(held_, value, places_));
        held_ = value;
    }

    // The first `count` elements, fewer than a vector has.
    [[gnu::always_inline]] void put_first(typename V::Floats value, std::size_t count) {
        if (count_ + count < V::width) {
            held_ = V::join(held_, value, V::from(count));
            count_ += count;
        } else {
            write(V::join(held_, value, places_));
            held_ = V::join(value, value, V::from(count));
            count_ = count_ + count - V::width;
        }
        places_ = V::from(V::width - count_);
    }

    // Writes what is held, and goes on at y.
    [[gnu::noinline]] void restart(float *y) {
        finish();
        start(y);
    }

    [[gnu::noinline]] void finish() {
        write_part(to_, V::join(held_, held_, places_), foreign_, count_);
        foreign_ = count_; // what is written is no longer ours to write
    }

  private:
    [[gnu::always_inline]] void start(float *y) {
        foreign_ = reinterpret_cast<std::uintptr_t>(y) / sizeof(float) % V::width;
        to_ = y - foreign_;
        held_ = V::broadcast(0.0F);
        count_ = foreign_;
        places_ = V::from(V::width - count_);
    }

    [[gnu::always_inline]] void write(typename V::Floats value) {
        if (foreign_ > 0) [[unlikely]] {
            write_part(to_, value, foreign_, V::width);
            foreign_ = 0;
        } else {
            V::stream(to_, value);
        }
        to_ += V::width;
    }

    // Of a vector that is not all ours, what is, by ordinary stores. Static, or the packer would have to be in memory
    // for its sake, all the time.
    [[gnu::noinline]] static void write_part(float *to, typename V::Floats value, std::size_t begin, std::size_t end) {
        float elements[V::width];
        V::store(elements, value);
        for (std::size_t j = begin; j < end; ++j) {
            to[j] = elements[j];
        }
    }

    typename V::Floats held_; // the last count_ elements of it
    decltype(V::from(0)) places_;
    std::size_t count_;
    float *to_;
    std::size_t foreign_; // elements there that belong to somebody else
};

// Where the vectors of an output go, one after the other: into the caches, or past them line by line.
template <class V, Traffic traffic>
struct VectorOutput {
    [[gnu::always_inline]] explicit VectorOutput(float *) {}
    [[gnu::always_inline]] void whole(float *to, typename V::Floats value) {
        if constexpr (traffic == Traffic::streamed) {
            V::stream(to, value);
        } else {
            V::store(to, value);
        }
    }
    [[gnu::always_inline]] void part(float *to, std::size_t count, typename V::Floats value) {
        V::store_first(to, V::first(count), value);
    }
    [[gnu::always_inline]] void go_on_at(float *) {}
    [[gnu::always_inline]] void finish() {}
};

// Past the caches where rows do not fill lines: one row after the other.
template <class V>
struct VectorOutput<V, Traffic::packed> {
    // NOLINTNEXTLINE(readability-non-const-parameter): the packer writes there
    [[gnu::always_inline]] explicit VectorOutput(float *to) : packer(to) {}
    [[gnu::always_inline]] void whole(float *, typename V::Floats value) { packer.put(value); }
    [[gnu::always_inline]] void part(float *, std::size_t count, typename V::Floats value) {
        packer.put_first(value, count);
    }
    [[gnu::always_inline]] void go_on_at(float *to) {
        Packer<V> next = packer; // or the packer would have to be in memory, whose address restart takes
        next.restart(to);
        packer = next;
    }
    [[gnu::always_inline]] void finish() { packer.finish(); }

    Packer<V> packer;
};

// Where x lies in memory, it is asked for so many elements beyond what is normalised: what is fetched from there now,
// and what is summed next, into L1; or 0: that is not asked for once more.
struct Lookahead {
    std::size_t to_fetched = 0;
    std::size_t to_summed = 0;
};

// A block of columns of `rows` rows.
template <std::size_t rows>
struct Segment {
    const float *x[rows];
    float *y[rows];
    const float *gamma;
    const float *beta;
    Lookahead ahead;
    std::size_t lines_at_once;
    FetchInto fetch_into;
    bool asks_for_y;
};

template <class V, std::size_t rows>
struct Normalizer {
    typename V::Floats mean[rows];
    typename V::Floats rstd[rows];
    typename V::Floats shift[rows];

    // Of the statistics, those from row `first` on.
    template <std::size_t group>
    [[gnu::always_inline]] Normalizer(const RowStatistics<group> &statistics, std::size_t first) {
        for (std::size_t r = 0; r < rows; ++r) {
            mean[r] = V::broadcast(statistics.mean[first + r]);
            rstd[r] = V::broadcast(statistics.rstd[first + r]);
            shift[r] = V::broadcast(statistics.shift[first + r]);
        }
    }

    [[gnu::always_inline]] typename V::Floats apply(std::size_t r, typename V::Floats x, typename V::Floats gamma,
                                                    typename V::Floats beta) const {
        const typename V::Floats v = V::multiply_add(x - mean[r], rstd[r], shift[r]);
        return V::multiply_add(v, gamma, beta);
    }

    // `count` columns, fewer than a vector has, from column j on.
    template <Traffic traffic>
    [[gnu::always_inline]] void part(const Segment<rows> &s, std::size_t j, std::size_t count,
                                     VectorOutput<V, traffic> &output) const {
        const typename V::Mask mask = V::first(count);
        const typename V::Floats zero = V::broadcast(0.0F);
        const typename V::Floats gamma = V::load_first(s.gamma + j, mask, zero);
        const typename V::Floats beta = V::load_first(s.beta + j, mask, zero);
        for (std::size_t r = 0; r < rows; ++r) {
            output.part(s.y[r] + j, count, apply(r, V::load_first(s.x[r] + j, mask, mean[r]), gamma, beta));
        }
    }

    template <Traffic traffic>
    [[gnu::always_inline]] void whole(const Segment<rows> &s, std::size_t j, VectorOutput<V, traffic> &output) const {
        const typename V::Floats gamma = V::load(s.gamma + j);
        const typename V::Floats beta = V::load(s.beta + j);
        // All loads before all stores: a store to one row's y could look like one to another row's x, 4 KiB on.
        typename V::Floats y[rows];
        for (std::size_t r = 0; r < rows; ++r) {
            y[r] = apply(r, V::load(s.x[r] + j), gamma, beta);
        }
        for (std::size_t r = 0; r < rows; ++r) {
            output.whole(s.y[r] + j, y[r]);
        }
    }

    // The first `columns` of a segment, in order.
    template <Traffic traffic>
    [[gnu::always_inline]] void columns(const Segment<rows> &s, std::size_t columns,
                                        VectorOutput<V, traffic> &to) const {
        VectorOutput<V, traffic> output = to; // a copy that stores to y cannot seem to change
        ask_for_pages<traffic>(s, columns);
        constexpr std::size_t lines_of_turn = traffic == Traffic::cached && rows < 4 ? 8 / rows : 1;
        for_each_vector<V, traffic, lines_of_turn>(
            columns, s.lines_at_once, [&](std::size_t j) __attribute__((always_inline)) { prefetch<traffic>(s, j); },
            [&](std::size_t j) __attribute__((always_inline)) { whole(s, j, output); },
            [&](std::size_t j, typename V::Mask) __attribute__((always_inline)) { part(s, j, columns - j, output); });
        to = output;
    }

    template <Traffic traffic>
    [[gnu::always_inline]] void ask_for_pages(const Segment<rows> &s, std::size_t columns) const {
        for (std::size_t r = 0; r < rows; ++r) {
            ask_for_page<V, traffic>(s.y[r], columns);
        }
    }

    // Asks for what will be wanted next of x, where it lies in memory, and of the lines of y, if so planned.
    template <Traffic traffic>
    [[gnu::always_inline]] void prefetch(const Segment<rows> &s, std::size_t j) const {
        for (std::size_t r = 0; r < rows; ++r) {
            if constexpr (traffic != Traffic::cached) {
                V::prefetch(s.x[r] + j + s.ahead.to_fetched, s.fetch_into);
                if (s.ahead.to_summed != 0) {
                    V::prefetch(s.x[r] + j + s.ahead.to_summed, FetchInto::l1);
                }
            }
            if constexpr (!passes_caches(traffic)) {
                if (s.asks_for_y) {
                    V::prefetch_output(s.y[r] + j + output_lead);
                }
            }
        }
    }
};

// Rows of so many columns may have what belongs to these in registers, while the rows of a group go by one after the
// other. They are too few for waits between lines (lines_at_once).
template <class V>
constexpr std::size_t held_columns = std::size_t{V::width} * V::held_vectors;

// Such columns: up to held_vectors vectors, of which the last may be a part.
template <class V, std::size_t whole, bool has_part>
class HeldColumns {
  public:
    static constexpr std::size_t vectors = whole + (has_part ? 1 : 0);

    [[gnu::always_inline]] explicit HeldColumns(std::size_t columns)
        : columns_(columns), part_{V::first(columns - whole * V::width)} {}

    [[gnu::always_inline]] std::size_t columns() const { return columns_; }

    // Calls use(i, column, vector) for each of them, with what there is of it.
    template <class Use>
    [[gnu::always_inline]] void for_each(const Use &use) const {
        for_each_of(
            std::make_index_sequence<whole>(), [&](auto i) __attribute__((always_inline)) {
                use(i, i * V::width, WholeVector<V>());
            });
        if constexpr (has_part) {
            use(std::integral_constant<std::size_t, whole>(), whole * V::width, part_);
        }
    }

    template <class Output>
    [[gnu::always_inline]] void put(Output &output, WholeVector<V>, float *to, typename V::Floats value) const {
        output.whole(to, value);
    }
    template <class Output>
    [[gnu::always_inline]] void put(Output &output, PartOfVector<V>, float *to, typename V::Floats value) const {
        output.part(to, columns_ - whole * V::width, value);
    }

  private:
    std::size_t columns_;
    PartOfVector<V> part_;
};

// Calls use(n) with n, 0 <= n <= most, as a constant.
template <std::size_t most, class Use>
[[gnu::always_inline]] inline void with_constant(std::size_t n, const Use &use) {
    if constexpr (most > 0) {
        if (n < most) {
            return with_constant<most - 1>(n, use);
        }
    }
    use(std::integral_constant<std::size_t, most>());
}

// Calls use(held) with the first `columns`, 0 < columns <= held_columns.
template <class V, Traffic traffic, class Use>
[[gnu::always_inline]] inline void with_held_columns(std::size_t columns, const Use &use) {
    with_constant<V::held_vectors>(
        columns / V::width, [&](auto whole) __attribute__((always_inline)) {
            if (columns == whole * V::width) {
                if constexpr (whole > 0) {
                    use(HeldColumns<V, whole, false>(columns));
                }
            } else if constexpr (traffic != Traffic::streamed && whole < V::held_vectors) { // streamed rows fill lines
                use(HeldColumns<V, whole, true>(columns));
            }
        });
}

} // namespace
} // namespace simdnorm
