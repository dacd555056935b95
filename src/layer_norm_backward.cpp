// The backward call: check the arguments, divide the rows, run the kernels over them, add up dgamma and dbeta.
#include "arguments.hpp"
#include "error.hpp"
#include "execution_plan.hpp"
#include "floating_point_environment.hpp"
#include "instruction_set.hpp"
#include "layer_norm.hpp"
#include "threads.hpp"

#include <simdnorm/simdnorm.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>

namespace simdnorm {
namespace {

// The nodes of the tree that are done, from left to right, over some columns. Each has sums over the rows of some
// neighbouring leaves: 2^level of them but where the last leaf is among them.
class Tree {
  public:
    // No more nodes than this are there at any time, the leaf that is being added among them: of leaves from the first
    // on, and of as many wherever they are. There levels rise and then fall: with 2^k leaves or more, but less than
    // 2^(k + 1), at most from 0 to k - 1 and back, and the new leaf.
    static std::size_t nodes_from_first(std::size_t leaves) {
        return static_cast<std::size_t>(std::bit_width(leaves - 1)) + 1;
    }
    static std::size_t nodes_anywhere(std::size_t leaves) {
        return 2 * static_cast<std::size_t>(std::bit_width(leaves)) - 1;
    }

    Tree() = default;
    // The columns from begin to end are this tree's.
    Tree(double *memory, std::size_t columns, std::size_t begin, std::size_t end)
        : memory_(memory), columns_(columns), begin_(begin), end_(end) {}

    // Where the sums of a new leaf go: dgamma of all columns, and right behind them dbeta.
    double *add_leaf(std::size_t leaf) {
        nodes_[count_] = {leaf, 0};
        return sums_of(count_++);
    }

    // The last leaf is done: nodes that belong together become one.
    void close_leaf() {
        while (count_ > 1 && belong_together(nodes_[count_ - 2], nodes_[count_ - 1])) {
            merge_last();
        }
    }

    // The same nodes over fewer columns, in the same memory.
    Tree part(std::size_t begin, std::size_t end) const {
        Tree part(memory_, columns_, begin, end);
        std::copy_n(nodes_, count_, part.nodes_);
        part.count_ = count_;
        return part;
    }

    // What another thread has made of the leaves that follow.
    void append(const Tree &next) {
        for (std::size_t i = 0; i < next.count_; ++i) {
            if (count_ > 0 && belong_together(nodes_[count_ - 1], next.nodes_[i])) {
                merge(nodes_[count_ - 1], sums_of(count_ - 1), next.sums_of(i));
            } else {
                copy(sums_of(count_), next.sums_of(i));
                nodes_[count_++] = next.nodes_[i];
            }
            close_leaf();
        }
    }

    // All leaves are done: writes the root's sums where they are wanted.
    void finish(float *dgamma, float *dbeta) {
        while (count_ > 1) {
            merge_last();
        }
        write(dgamma, sums_of(0));
        write(dbeta, sums_of(0) + columns_);
    }

  private:
    struct Node {
        std::size_t first;
        unsigned level;
    };

    static bool belong_together(const Node &a, const Node &b) {
        return a.level == b.level && (a.first >> a.level) % 2 == 0;
    }

    double *sums_of(std::size_t node) const { return memory_ + node * 2 * columns_; }

    void add(double *to, const double *terms) const {
        for (std::size_t j = begin_; j < end_; ++j) {
            to[j] += terms[j];
        }
    }

    void copy(double *to, const double *from) const {
        std::copy(from + begin_, from + end_, to + begin_);
        std::copy(from + columns_ + begin_, from + columns_ + end_, to + columns_ + begin_);
    }

    void write(float *to, const double *from) const {
        for (std::size_t j = begin_; to != nullptr && j < end_; ++j) {
            to[j] = static_cast<float>(from[j]);
        }
    }

    void merge(Node &node, double *left, const double *right) const {
        // One after the other: where columns are a multiple of 512, dbeta would seem to wait for stores to dgamma.
        add(left, right);
        add(left + columns_, right + columns_);
        ++node.level;
    }

    void merge_last() {
        merge(nodes_[count_ - 2], sums_of(count_ - 2), sums_of(count_ - 1));
        --count_;
    }

    double *memory_ = nullptr;
    std::size_t columns_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t count_ = 0;
    Node nodes_[2 * std::numeric_limits<std::size_t>::digits + 1];
};

// What a call needs beside its arguments. In one piece: of pieces of less than 128 KiB that together are more, glibc
// hands some back to the system after every call, which clears it for the next; a piece of more than that raises its
// limit.
class Scratch {
  public:
    Scratch(const BackwardPlan &plan, std::size_t columns, bool needs_trees, bool needs_batch) {
        const bool shares_rows = plan.division.shares_rows;
        const std::size_t threads = shares_rows ? 1 : static_cast<std::size_t>(plan.division.threads);
        const std::size_t trees = needs_trees && !shares_rows ? threads : 0;
        const double sums = 2.0 * static_cast<double>(columns);
        nodes_ = reserve(threads, needs_trees ? nodes_of_tree(plan, threads) * sums * sizeof(double) : 0.0);
        trees_ = reserve(trees, sizeof(Tree));
        batches_ = reserve(threads, needs_batch ? sums * sizeof(float) : 0.0);
        const double blocks = static_cast<double>(plan.rows_of_group * blocks_of(columns));
        blocks_ = reserve(2, shares_rows ? blocks * sizeof(GradientSums) : 0.0);
        if (bytes_ <= few_bytes) {
            begin_ = few_;
        } else if (bytes_ < static_cast<double>(PTRDIFF_MAX - alignment)) { // beyond, GCC throws
            many_.reset(new (std::nothrow) std::byte[static_cast<std::size_t>(bytes_) + alignment]);
            begin_ = aligned(many_.get());
        }
        for (std::size_t thread = 0; exists() && thread < trees; ++thread) {
            new (tree(thread)) Tree(nodes(thread), columns, 0, columns);
        }
    }
    ~Scratch() = default;
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;

    bool exists() const { return begin_ != nullptr; }

    // Sums over rows, of all columns, for each thread that has rows of its own, or once for all that share rows.
    double *nodes(std::size_t thread) const { return part<double>(nodes_, thread); }
    float *batch(std::size_t thread) const { return part<float>(batches_, thread); }
    // Of a thread that has rows of its own; empty, and so it stays should fewer threads come.
    Tree *tree(std::size_t thread) const { return part<Tree>(trees_, thread); }
    // Sums of the blocks of a group of rows that threads share. In two halves: a thread that is done with one group may
    // already sum the next while another thread still reads the sums of the first.
    GradientSums *blocks(std::size_t half) const { return part<GradientSums>(blocks_, half); }

  private:
    // Threads must not write to one line of a cache, nor to two lines that are fetched together: 128 bytes. And a
    // vector that straddles lines is slow to store.
    static constexpr std::size_t alignment = 128;

    // Up to so many lie on the stack: an allocation would take as long as a short row.
    static constexpr std::size_t few_bytes = 16384;

    // Parts of one size, one after the other. As real numbers: there may be more to ask for than size_t can tell.
    struct Parts {
        double begin;
        double bytes_of_each;
    };

    Parts reserve(std::size_t parts, double bytes_of_each) {
        const double padded = std::ceil(bytes_of_each / alignment) * alignment;
        const double begin = bytes_;
        bytes_ += static_cast<double>(parts) * padded;
        return {begin, padded};
    }

    template <class Element>
    Element *part(const Parts &parts, std::size_t index) const {
        std::byte *begin = begin_ + static_cast<std::size_t>(parts.begin);
        return reinterpret_cast<Element *>(begin + index * static_cast<std::size_t>(parts.bytes_of_each));
    }

    static std::byte *aligned(std::byte *begin) {
        const std::uintptr_t beyond = reinterpret_cast<std::uintptr_t>(begin) % alignment;
        return beyond == 0 ? begin : begin + (alignment - beyond);
    }

    static double nodes_of_tree(const BackwardPlan &plan, std::size_t threads) {
        // The first part takes in what the others have made of leaves of their own: half of all each, if no more than
        // two threads come.
        const std::size_t most_leaves = plan.leaves / 2 + plan.leaves % 2;
        return static_cast<double>(
            std::max(Tree::nodes_from_first(plan.leaves), threads == 1 ? 0 : Tree::nodes_anywhere(most_leaves)));
    }

    double bytes_ = 0.0;
    Parts nodes_;
    Parts trees_;
    Parts batches_;
    Parts blocks_;
    std::unique_ptr<std::byte[]> many_;
    std::byte *begin_ = nullptr;
    alignas(alignment) std::byte few_[few_bytes];
};

// One call: what there is to do, and what of it a thread does.
struct Work {
    const KernelTable &kernels;
    const GradientRows &rows;
    const BackwardPlan &plan;
    Share leaves;
    BlockRange blocks;
    ColumnSums sums; // of a batch; those of a leaf come with it
    float *dgamma;   // where the sums over all rows go; or nullptr: not wanted
    float *dbeta;
};

// Calls use(sums) for each leaf in turn.
template <class Use>
void for_each_leaf(const Work &work, Tree *tree, const Use &use) {
    for (std::size_t leaf = work.leaves.first; leaf < work.leaves.first + work.leaves.count; ++leaf) {
        ColumnSums sums = work.sums;
        sums.first = leaf * work.plan.rows_of_leaf;
        sums.rows = std::min(work.plan.rows_of_leaf, work.rows.rows - sums.first);
        if (tree != nullptr) {
            sums.dgamma = tree->add_leaf(leaf);
            sums.dbeta = sums.dgamma + work.rows.columns;
        }
        use(sums);
        if (tree != nullptr) {
            tree->close_leaf();
        }
    }
}

void run_on_own_rows(const Work &work, Tree *tree) {
    for_each_leaf(work, tree, [&](const ColumnSums &sums) { work.kernels.layer_norm_backward(work.rows, sums); });
}

void run_on_own_blocks(const Work &work, Tree *tree, const Scratch &scratch) {
    std::size_t half = 0;
    for_each_leaf(work, tree, [&](const ColumnSums &sums) {
        const std::size_t end = sums.first + sums.rows;
        for (std::size_t row = sums.first; row < end; row += work.rows.rows_of_group) {
            const std::size_t count = std::min(work.rows.rows_of_group, end - row);
            GradientGroup group = work.kernels.start_group(work.rows, row, count);
            bool settled = false;
            for (int round = 1; !settled; ++round) {
                GradientSums *of_blocks = scratch.blocks(half++ % 2);
                work.kernels.sum_blocks(work.rows, group, work.blocks, of_blocks);
                wait_for_team();
                settled = work.kernels.settle(work.rows, group, of_blocks, round);
            }
            work.kernels.write_blocks(work.rows, group, work.blocks, sums);
        }
    });
}

// What all threads have made of their leaves becomes one tree, in the first thread's memory: a thread's share of the
// columns of it.
void merge_trees(const Work &all, const Scratch &scratch, int thread, int team) {
    const std::size_t columns = all.rows.columns;
    const Share lines = share_of_thread(quotient_rounded_up(columns, cache_line_floats), thread, team);
    const std::size_t begin = std::min(lines.first * cache_line_floats, columns);
    const std::size_t end = std::min(begin + lines.count * cache_line_floats, columns);
    Tree tree = scratch.tree(0)->part(begin, end);
    for (std::size_t t = 1; t < static_cast<std::size_t>(all.plan.division.threads); ++t) {
        tree.append(*scratch.tree(t));
    }
    tree.finish(all.dgamma, all.dbeta);
}

// Each thread has leaves of its own, and a tree where sums are wanted.
void deal_out_leaves(const Work &all, const Scratch &scratch, bool has_trees) {
    const bool merges_together = has_trees && all.plan.merges_together;
    run_on_team(all.plan.division.threads, [&](int thread, int team) {
        const DefaultFloatingPointEnvironment environment;
        const auto t = static_cast<std::size_t>(thread);
        Work work = all;
        work.leaves = share_of_thread(all.plan.leaves, thread, team);
        if (all.plan.leaves > 1) {
            work.sums.batch_dgamma = scratch.batch(t);
            work.sums.batch_dbeta = work.sums.batch_dgamma + all.rows.columns;
        }
        run_on_own_rows(work, has_trees ? scratch.tree(t) : nullptr);
        if (merges_together) {
            wait_for_team();
            merge_trees(all, scratch, thread, team);
        }
    });
    if (has_trees && !merges_together) {
        merge_trees(all, scratch, 0, 1);
    }
}

// Each thread has blocks of its own of all rows, and their columns of one tree.
void share_rows(const Work &all, const Scratch &scratch, bool has_tree) {
    const std::size_t columns = all.rows.columns;
    run_on_team(all.plan.division.threads, [&](int thread, int team) {
        const DefaultFloatingPointEnvironment environment;
        const Share share = share_of_thread(all.blocks.count, thread, team);
        Work work = all;
        work.blocks = {share.first, share.count};
        Tree tree(scratch.nodes(0), columns, std::min(share.first * statistics_block, columns),
                  std::min((share.first + share.count) * statistics_block, columns));
        run_on_own_blocks(work, has_tree ? &tree : nullptr, scratch);
        if (has_tree) {
            tree.finish(all.dgamma, all.dbeta);
        }
    });
}

GradientRows all_rows(const simdnorm_layer_norm_backward_args &args, const BackwardPlan &plan) {
    return {.rows = args.rows,
            .columns = args.columns,
            .dy = args.dy,
            .dy_stride = stride_or(args.dy_stride, args.columns),
            .x = args.x,
            .x_stride = stride_or(args.x_stride, args.columns),
            .gamma = args.gamma,
            .mean = args.mean,
            .rstd = args.rstd,
            .dx = args.dx,
            .dx_stride = stride_or(args.dx_stride, args.columns),
            .rows_of_group = plan.rows_of_group,
            .traffic = plan.traffic,
            .lines_at_once = plan.lines_at_once,
            .prefetch_lead = plan.prefetch_lead,
            .in_turns = plan.in_turns,
            .fetch_into = plan.fetch_into,
            .walk = plan.walk};
}

} // namespace

simdnorm_status layer_norm_backward(const simdnorm_layer_norm_backward_args &args, const BackwardPlan &plan) {
    const DefaultFloatingPointEnvironment environment;
    const GradientRows rows = all_rows(args, plan);
    // The sums of one batch are those of all rows, and go straight to where they are wanted.
    const bool needs_trees = rows.rows > rows_of_batch && (args.dgamma != nullptr || args.dbeta != nullptr);
    const bool needs_batch = needs_trees || args.dgamma == nullptr || args.dbeta == nullptr;
    Scratch scratch(plan, rows.columns, needs_trees, needs_batch); // not const: some of it lies within
    if (!scratch.exists()) {
        return fail(SIMDNORM_OUT_OF_MEMORY,
                    "simdnorm_layer_norm_backward: no memory for the sums of %zu columns on %d threads", rows.columns,
                    plan.division.threads);
    }
    const auto batch_or = [&](float *wanted, std::size_t offset) {
        return wanted != nullptr && !needs_trees ? wanted : scratch.batch(0) + offset;
    };
    const Work work = {
        .kernels = *instruction_set_in_use().kernels,
        .rows = rows,
        .plan = plan,
        .leaves = {0, plan.leaves},
        .blocks = {0, blocks_of(rows.columns)},
        .sums = {.batch_dgamma = batch_or(args.dgamma, 0), .batch_dbeta = batch_or(args.dbeta, rows.columns)},
        .dgamma = args.dgamma,
        .dbeta = args.dbeta};
    if (plan.division.shares_rows) {
        share_rows(work, scratch, needs_trees);
    } else {
        deal_out_leaves(work, scratch, needs_trees);
    }
    return SIMDNORM_OK;
}

} // namespace simdnorm

simdnorm_status simdnorm_layer_norm_backward(const simdnorm_layer_norm_backward_args *args) noexcept {
    using namespace simdnorm;
    if (const simdnorm_status status = check_arguments(args); status != SIMDNORM_OK) {
        return status;
    }
    if (args->dx == nullptr && args->dgamma == nullptr && args->dbeta == nullptr) {
        return SIMDNORM_OK;
    }
    if (args->rows == 0) {
        for (float *sums : {args->dgamma, args->dbeta}) {
            if (sums != nullptr) {
                std::fill_n(sums, args->columns, 0.0F);
            }
        }
        return SIMDNORM_OK;
    }
    return layer_norm_backward(*args, plan_layer_norm_backward(*args, machine_in_use()));
}
