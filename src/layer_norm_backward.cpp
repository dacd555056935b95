// The backward call: check the arguments, divide the rows, run the kernels over them in batches, add up dgamma and
// dbeta.
#include "arguments.hpp"
#include "error.hpp"
#include "execution_plan.hpp"
#include "floating_point_environment.hpp"
#include "instruction_set.hpp"
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

// How the sums over rows are cut: by the shape alone, so that they have the same bits however many threads there are.
//
// Rows are in leaves of a binary tree: leaf l has the rows from l * rows_of_leaf on. In a leaf they are added batch by
// batch; then leaves 2k and 2k + 1 are added to each other, then pairs of pairs, and so on.
struct Cut {
    std::size_t rows_of_batch;
    std::size_t rows_of_leaf;
    std::size_t leaves;
};

Cut cut(std::size_t rows, std::size_t columns) {
    // A batch is read twice, and should still be in L2 the second time.
    const std::size_t rows_of_batch = columns <= statistics_block ? greatest_batch : 4;
    // So much work that adding the columns of two leaves does not count beside it.
    constexpr std::size_t elements_of_leaf = 65536;
    const std::size_t batches = std::max<std::size_t>(4, elements_of_leaf / columns / greatest_batch);
    const std::size_t rows_of_leaf = batches * greatest_batch;
    return {rows_of_batch, rows_of_leaf, (rows + rows_of_leaf - 1) / rows_of_leaf};
}

// Sums over the rows of some neighbouring leaves, 2^level of them but where the last leaf is among them.
struct Node {
    std::size_t first;
    unsigned level;
    double *dgamma; // of all columns, and right behind them dbeta
};

// The nodes of the tree that are done, from left to right, over some columns.
class Tree {
  public:
    // Of so many leaves in a row no more nodes than this are left at any time, wherever the first of them stands, and
    // with the leaf that is being added.
    static constexpr std::size_t most_nodes = 2 * std::numeric_limits<std::size_t>::digits;
    static std::size_t nodes_of(std::size_t leaves) { return 2 * static_cast<std::size_t>(std::bit_width(leaves)) + 1; }

    Tree() = default;
    Tree(double *memory, std::size_t columns, std::size_t begin, std::size_t end)
        : memory_(memory), columns_(columns), begin_(begin), end_(end) {}

    // A new leaf, all zero.
    Node &add_leaf(std::size_t leaf) {
        double *sums = memory_ + count_ * 2 * columns_;
        std::fill(sums + begin_, sums + end_, 0.0);
        std::fill(sums + columns_ + begin_, sums + columns_ + end_, 0.0);
        return nodes_[count_++] = {leaf, 0, sums};
    }

    // The last leaf is done: nodes that belong together become one.
    void close_leaf() {
        while (count_ > 1 && belong_together(nodes_[count_ - 2], nodes_[count_ - 1])) {
            merge_last();
        }
    }

    // What another thread has made of the leaves that follow.
    void append(const Tree &next) {
        for (std::size_t i = 0; i < next.count_; ++i) {
            Node node = next.nodes_[i];
            double *sums = memory_ + count_ * 2 * columns_;
            std::copy_n(node.dgamma, 2 * columns_, sums);
            node.dgamma = sums;
            nodes_[count_++] = node;
            close_leaf();
        }
    }

    // All leaves are done: the root.
    const Node &finish() {
        while (count_ > 1) {
            merge_last();
        }
        return nodes_[0];
    }

  private:
    static bool belong_together(const Node &a, const Node &b) {
        return a.level == b.level && (a.first >> a.level) % 2 == 0;
    }

    void merge_last() {
        Node &left = nodes_[count_ - 2];
        const Node &right = nodes_[count_ - 1];
        for (std::size_t j = begin_; j < end_; ++j) {
            left.dgamma[j] += right.dgamma[j];
            left.dgamma[columns_ + j] += right.dgamma[columns_ + j];
        }
        ++left.level;
        --count_;
    }

    double *memory_ = nullptr;
    std::size_t columns_ = 0;
    std::size_t begin_ = 0; // the columns that are this tree's
    std::size_t end_ = 0;
    std::size_t count_ = 0;
    Node nodes_[most_nodes + 1] = {};
};

// Outside, squares of differences or an rstd are near the ends of float's range.
constexpr float least_ordinary_rstd = 0x1p-60F;
constexpr float greatest_ordinary_rstd = 0x1p+50F;

// A power of two that brings differences of x to about 1 in rows of extreme spread, without an overflow of the mean.
float scale_of(float mean, float rstd) {
    if (!std::isfinite(rstd) || !std::isfinite(mean) || rstd == 0.0F ||
        (rstd >= least_ordinary_rstd && rstd <= greatest_ordinary_rstd)) {
        return 1.0F;
    }
    const int room = mean != 0.0F ? 100 - std::ilogb(mean) : 126;
    return std::ldexp(1.0F, std::clamp(std::min(std::ilogb(rstd), room), -126, 126));
}

GradientBatch start_batch(const GradientRows &rows, std::size_t first, std::size_t count) {
    GradientBatch batch = {};
    batch.first = first;
    batch.rows = count;
    for (std::size_t r = 0; r < count; ++r) {
        batch.mean[r] = rows.mean[first + r];
        batch.factor[r] = rows.rstd[first + r];
        batch.scale[r] = scale_of(batch.mean[r], batch.factor[r]);
        batch.rstd[r] = batch.factor[r] / batch.scale[r];
    }
    return batch;
}

GradientSums sum_of_row(const GradientSums *blocks, std::size_t count) {
    GradientSums sum = blocks[0];
    for (std::size_t b = 1; b < count; ++b) {
        sum.differences += blocks[b].differences;
        sum.gradients += blocks[b].gradients;
        sum.products += blocks[b].products;
    }
    return sum;
}

// Whether the mean of a row was off by more than a float's last place; then it no longer is, and the row has to be
// summed again.
bool mend_mean(GradientBatch &batch, std::size_t r, double off) {
    const double mean = batch.mean[r];
    if (!std::isfinite(off) || static_cast<float>(mean + off / 2) == batch.mean[r]) {
        return false;
    }
    batch.mean[r] = static_cast<float>(mean + off);
    return true;
}

void finish_row(GradientBatch &batch, std::size_t r, const GradientSums &sums, double columns) {
    const double off = sums.differences / columns;
    const double rstd = batch.rstd[r];
    const double product = rstd * (sums.products - off * sums.gradients) / columns;
    batch.shift[r] = static_cast<float>(-off * rstd);
    batch.mean_gradient[r] = static_cast<float>(sums.gradients / columns);
    batch.mean_product[r] = static_cast<float>(-product);
    // What is not finite spoils all of dx; if it is x, its mean or its rstd, v as well.
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    if (!std::isfinite(off) || !std::isfinite(rstd)) {
        batch.shift[r] = nan;
        batch.mean_gradient[r] = nan;
    } else if (!std::isfinite(product) || !std::isfinite(batch.mean_gradient[r])) {
        batch.mean_gradient[r] = nan;
    }
}

// The batch as its sums tell; false if some rows have to be summed again first.
bool finish_batch(GradientBatch &batch, const GradientRows &rows, const GradientSums *sums, bool may_sum_again) {
    const std::size_t blocks = blocks_of(rows.columns);
    const auto columns = static_cast<double>(rows.columns);
    bool finished = true;
    for (std::size_t r = 0; r < batch.rows; ++r) {
        const GradientSums sum = sum_of_row(sums + r * blocks, blocks);
        const bool mended =
            may_sum_again && mend_mean(batch, r, sum.differences / columns / static_cast<double>(batch.scale[r]));
        finished = finished && !mended;
        finish_row(batch, r, sum, columns);
    }
    return finished;
}

// A mean from elsewhere may be so far off that the first sum of differences from it is inexact itself.
constexpr int most_rounds = 4;

// The leaves, and of their columns the blocks, that one thread works on; and the memory it has for that.
struct Work {
    const KernelTable &kernels;
    const GradientRows &rows;
    const Cut &cut;
    Share leaves;
    BlockRange blocks;
    bool shares_rows; // with all threads of the team, who sum blocks of the same rows into the same memory
    GradientSums *sums;
    std::size_t size_of_sums; // there is room for two of these
};

// A thread that is done with one round of sums may already be in the next while another still reads those of the first:
// they take turns in the two halves of the memory.
GradientBatch sum_batch(const Work &work, std::size_t first, std::size_t count, unsigned &round) {
    GradientBatch batch = start_batch(work.rows, first, count);
    for (int again = 1;; ++again) {
        GradientSums *sums = work.sums + (work.shares_rows ? round++ % 2 * work.size_of_sums : 0);
        work.kernels.sum_gradients(work.rows, batch, work.blocks, sums);
        if (work.shares_rows) {
            wait_for_team();
        }
        if (finish_batch(batch, work.rows, sums, again < most_rounds)) {
            return batch;
        }
    }
}

void run(const Work &work, Tree *tree) {
    unsigned round = 0;
    for (std::size_t leaf = work.leaves.first; leaf < work.leaves.first + work.leaves.count; ++leaf) {
        double *dgamma = tree != nullptr ? tree->add_leaf(leaf).dgamma : nullptr;
        double *dbeta = tree != nullptr ? dgamma + work.rows.columns : nullptr;
        const std::size_t end = std::min(work.rows.rows, (leaf + 1) * work.cut.rows_of_leaf);
        for (std::size_t row = leaf * work.cut.rows_of_leaf; row < end; row += work.cut.rows_of_batch) {
            const GradientBatch batch = sum_batch(work, row, std::min(work.cut.rows_of_batch, end - row), round);
            work.kernels.write_gradients(work.rows, batch, work.blocks, dgamma, dbeta);
        }
        if (tree != nullptr) {
            tree->close_leaf();
        }
    }
}

GradientRows all_rows(const simdnorm_layer_norm_backward_args &args) {
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
            .dx_stride = stride_or(args.dx_stride, args.columns)};
}

// NULL where there is no room; GCC throws where there could never be.
template <class Element>
std::unique_ptr<Element[]> allocate(std::size_t count) {
    const bool possible = count <= PTRDIFF_MAX / sizeof(Element);
    return std::unique_ptr<Element[]>(possible ? new (std::nothrow) Element[count] : nullptr);
}

void write(float *to, const double *from, std::size_t columns) {
    for (std::size_t j = 0; to != nullptr && j < columns; ++j) {
        to[j] = static_cast<float>(from[j]);
    }
}

// Memory for the sums: of the blocks of a batch's rows, and of columns.
struct Scratch {
    std::size_t size_of_sums; // of one batch
    std::size_t size_of_tree; // 0 if neither dgamma nor dbeta is wanted
    std::unique_ptr<GradientSums[]> sums;
    std::unique_ptr<double[]> columns;
    std::unique_ptr<Tree[]> trees;

    Scratch(const Cut &cut, const Division &division, std::size_t of_columns, bool wants_columns)
        : size_of_sums(cut.rows_of_batch * blocks_of(of_columns)),
          size_of_tree(wants_columns ? Tree::nodes_of(cut.leaves) * 2 * of_columns : 0) {
        const auto threads = static_cast<std::size_t>(division.threads);
        sums = allocate<GradientSums>((division.shares_rows ? 2 : threads) * size_of_sums);
        columns = allocate<double>((division.shares_rows ? 1 : threads) * size_of_tree);
        trees = allocate<Tree>(threads);
    }

    bool exists() const { return sums != nullptr && columns != nullptr && trees != nullptr; }
};

// Each thread has leaves of its own, and a tree. The one of all, in the end.
const double *deal_out_leaves(const Work &all, const Scratch &scratch, int threads) {
    const bool wants_columns = scratch.size_of_tree > 0;
    const std::size_t columns = all.rows.columns;
    run_on_team(threads, [&](int thread, int team) {
        const DefaultFloatingPointEnvironment environment;
        const auto t = static_cast<std::size_t>(thread);
        Work work = all;
        work.leaves = share_of_thread(all.cut.leaves, thread, team);
        work.sums += t * scratch.size_of_sums;
        scratch.trees[t] = Tree(scratch.columns.get() + t * scratch.size_of_tree, columns, 0, columns);
        run(work, wants_columns ? &scratch.trees[t] : nullptr);
    });
    Tree &tree = scratch.trees[0];
    for (std::size_t t = 1; t < static_cast<std::size_t>(threads); ++t) {
        tree.append(scratch.trees[t]);
    }
    return wants_columns ? tree.finish().dgamma : nullptr;
}

// Each thread has blocks of its own of all rows, and their columns of one tree.
const double *share_rows(const Work &all, const Scratch &scratch, int threads) {
    const bool wants_columns = scratch.size_of_tree > 0;
    run_on_team(threads, [&](int thread, int team) {
        const DefaultFloatingPointEnvironment environment;
        const Share share = share_of_thread(all.blocks.count, thread, team);
        Work work = all;
        work.blocks = {share.first, share.count};
        Tree tree(scratch.columns.get(), all.rows.columns, std::min(share.first * statistics_block, all.rows.columns),
                  std::min((share.first + share.count) * statistics_block, all.rows.columns));
        run(work, wants_columns ? &tree : nullptr);
        if (wants_columns) {
            tree.finish();
        }
    });
    return wants_columns ? scratch.columns.get() : nullptr;
}

simdnorm_status layer_norm_backward(const simdnorm_layer_norm_backward_args &args) {
    const DefaultFloatingPointEnvironment environment;
    const GradientRows rows = all_rows(args);
    const Cut shape = cut(rows.rows, rows.columns);
    const Division division = divide(rows.rows, rows.columns, shape.leaves, args.threads);
    const Scratch scratch(shape, division, rows.columns, args.dgamma != nullptr || args.dbeta != nullptr);
    if (!scratch.exists()) {
        return fail(SIMDNORM_OUT_OF_MEMORY,
                    "simdnorm_layer_norm_backward: no memory for the sums of %zu columns on %d threads", rows.columns,
                    division.threads);
    }
    const Work all = {.kernels = *instruction_set_in_use().kernels,
                      .rows = rows,
                      .cut = shape,
                      .leaves = {0, shape.leaves},
                      .blocks = {0, blocks_of(rows.columns)},
                      .shares_rows = division.shares_rows,
                      .sums = scratch.sums.get(),
                      .size_of_sums = scratch.size_of_sums};
    const double *sums = division.shares_rows ? share_rows(all, scratch, division.threads)
                                              : deal_out_leaves(all, scratch, division.threads);
    write(args.dgamma, sums, rows.columns);
    write(args.dbeta, sums != nullptr ? sums + rows.columns : nullptr, rows.columns);
    return SIMDNORM_OK;
}

} // namespace
} // namespace simdnorm

simdnorm_status simdnorm_layer_norm_backward(const simdnorm_layer_norm_backward_args *args) noexcept {
    using namespace simdnorm;
    if (const simdnorm_status status = check_arguments(args); status != SIMDNORM_OK) {
        return status;
    }
    if (args->rows == 0) {
        for (float *sums : {args->dgamma, args->dbeta}) {
            if (sums != nullptr) {
                std::fill_n(sums, args->columns, 0.0F);
            }
        }
        return SIMDNORM_OK;
    }
    return layer_norm_backward(*args);
}
