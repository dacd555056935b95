// The check of a backward pass: dx, dgamma and dbeta.
#include "check_parts.hpp"
#include "two_passes.hpp"

#include <simdnorm/simdnorm.h>

#include <functional>
#include <limits>
#include <stdexcept>

namespace bench {

// What every contender's dgamma and dbeta are compared with.
struct SumsOverRows {
    std::vector<double> dgamma, dbeta;                 // in double: as good as exact
    std::vector<double> size_of_dgamma, size_of_dbeta; // of their terms' absolute values: what errors are measured by
    std::vector<float> scalar_dgamma, scalar_dbeta;    // by the scalar set

    explicit SumsOverRows(std::size_t columns)
        : dgamma(columns), dbeta(columns), size_of_dgamma(columns), size_of_dbeta(columns), scalar_dgamma(columns),
          scalar_dbeta(columns) {}
};

namespace {

// A row and its normalised values v, from x itself: not from the mean and rstd that the problem has as floats.
class Row {
  public:
    Row(const BackwardProblem &problem, std::size_t row)
        : x_(problem.x + row * problem.shape.columns), dy_(problem.dy + row * problem.shape.columns),
          gamma_(problem.gamma) {
        const auto [mean, variance] = two_pass_statistics<double>(x_, problem.shape.columns);
        mean_ = mean;
        rstd_ = 1 / std::sqrt(variance + problem.epsilon);
    }

    double rstd() const { return rstd_; }
    double dy(std::size_t j) const { return dy_[j]; }
    double g(std::size_t j) const { return dy(j) * gamma_[j]; }
    double v(std::size_t j) const { return (x_[j] - mean_) * rstd_; }
    double size_of_v(std::size_t j) const { return std::max(1.0, std::abs(v(j))); } // as its error is promised

  private:
    const float *x_, *dy_, *gamma_;
    double mean_, rstd_;
};

// How far a result may be off: `size` is the sum of its terms' absolute values, `count` how many they are.
using Bound = double (*)(double size, std::size_t count);

double bound_of_scalar(double size, std::size_t /*count*/) {
    return 16 * 0x1p-24 * size;
}

double bound_of_peers(double size, std::size_t count) {
    return tolerance_of_peers(count) * (1 + size);
}

// Who is judged, as a mismatch names its outputs, and how.
struct Judgement {
    std::string whose;
    Bound bound;
};

const Judgement of_scalar = {" of the scalar set, against plain passes in double,", bound_of_scalar};
const Judgement of_peers = {"", bound_of_peers};

std::optional<Mismatch> differs_from_double(const Judgement &judgement, const BackwardProblem &problem, std::size_t row,
                                            const float *dx) {
    const std::size_t columns = problem.shape.columns;
    const Row exact(problem, row);
    double g = 0, gv = 0, size_of_g = 0, size_of_gv = 0; // means over the row
    for (std::size_t j = 0; j < columns; ++j) {
        g += exact.g(j) / static_cast<double>(columns);
        gv += exact.g(j) * exact.v(j) / static_cast<double>(columns);
        size_of_g += std::abs(exact.g(j)) / static_cast<double>(columns);
        size_of_gv += std::abs(exact.g(j)) * exact.size_of_v(j) / static_cast<double>(columns);
    }
    for (std::size_t j = 0; j < columns; ++j) {
        const double expected = exact.rstd() * (exact.g(j) - g - exact.v(j) * gv);
        const double size = exact.rstd() * (std::abs(exact.g(j)) + size_of_g + exact.size_of_v(j) * size_of_gv);
        if (!within(dx[j], expected, judgement.bound(size, columns))) {
            return mismatch("dx" + judgement.whose, row, j, expected, dx[j]);
        }
    }
    return std::nullopt;
}

std::optional<Mismatch> differ_from_double(const Judgement &judgement, const BackwardProblem &problem,
                                           const SumsOverRows &sums, const float *dgamma, const float *dbeta) {
    for (std::size_t j = 0; j < problem.shape.columns; ++j) {
        if (!within(dgamma[j], sums.dgamma[j], judgement.bound(sums.size_of_dgamma[j], problem.shape.rows))) {
            return mismatch("dgamma" + judgement.whose, 0, j, sums.dgamma[j], dgamma[j]);
        }
        if (!within(dbeta[j], sums.dbeta[j], judgement.bound(sums.size_of_dbeta[j], problem.shape.rows))) {
            return mismatch("dbeta" + judgement.whose, 0, j, sums.dbeta[j], dbeta[j]);
        }
    }
    return std::nullopt;
}

// The scalar set, on rows from the given one on; outputs that are not wanted are NULL.
void run_scalar(const BackwardProblem &problem, std::size_t row, std::size_t rows, float *dx, float *dgamma,
                float *dbeta) {
    simdnorm_layer_norm_backward_args args = {};
    args.rows = rows;
    args.columns = problem.shape.columns;
    args.dy = problem.dy + row * problem.shape.columns;
    args.x = problem.x + row * problem.shape.columns;
    args.gamma = problem.gamma;
    args.mean = problem.mean + row;
    args.rstd = problem.rstd + row;
    args.dx = dx;
    args.dgamma = dgamma;
    args.dbeta = dbeta;
    args.threads = 1;
    if (simdnorm_use_instruction_set("scalar") != SIMDNORM_OK || simdnorm_layer_norm_backward(&args) != SIMDNORM_OK) {
        throw std::runtime_error(simdnorm_last_error());
    }
}

std::unique_ptr<SumsOverRows> make_sums(const BackwardProblem &problem) {
    const std::size_t columns = problem.shape.columns;
    auto sums = std::make_unique<SumsOverRows>(columns);
    for (std::size_t i = 0; i < problem.shape.rows; ++i) {
        const Row row(problem, i);
        for (std::size_t j = 0; j < columns; ++j) {
            sums->dgamma[j] += row.dy(j) * row.v(j);
            sums->dbeta[j] += row.dy(j);
            sums->size_of_dgamma[j] += std::abs(row.dy(j)) * row.size_of_v(j);
            sums->size_of_dbeta[j] += std::abs(row.dy(j));
        }
    }
    run_scalar(problem, 0, problem.shape.rows, nullptr, sums->scalar_dgamma.data(), sums->scalar_dbeta.data());
    return sums;
}

std::optional<Mismatch> differs_from_scalar(const BackwardProblem &problem, std::size_t row) {
    std::vector<float> dx(problem.shape.columns);
    run_scalar(problem, row, 1, dx.data(), nullptr, nullptr);
    const auto found = differs_from_double(of_scalar, problem, row, dx.data());
    return found ? found : first_difference("dx", row, problem.dx + row * dx.size(), dx);
}

std::optional<Mismatch> differ_from_scalar(const BackwardProblem &problem, const SumsOverRows &sums) {
    auto found = differ_from_double(of_scalar, problem, sums, sums.scalar_dgamma.data(), sums.scalar_dbeta.data());
    if (!found) {
        found = first_difference("dgamma", 0, problem.dgamma, sums.scalar_dgamma);
    }
    return found ? found : first_difference("dbeta", 0, problem.dbeta, sums.scalar_dbeta);
}

std::optional<Mismatch> differs_from_sum(const BackwardProblem &problem, std::size_t row) {
    const std::size_t begin = row * problem.shape.columns;
    std::vector<float> sum(problem.shape.columns);
    std::transform(problem.dy + begin, problem.dy + begin + sum.size(), problem.x + begin, sum.begin(), std::plus<>());
    return first_difference("dx", row, problem.dx + begin, sum);
}

std::optional<Mismatch> find_mismatch_in_row(const BackwardProblem &problem, Kind kind, std::size_t row) {
    switch (kind) {
    case Kind::simdnorm:
        return differs_from_scalar(problem, row);
    case Kind::peer:
    case Kind::peer_of_y:
        return differs_from_double(of_peers, problem, row, problem.dx + row * problem.shape.columns);
    case Kind::plain_limit:
    case Kind::streaming_limit:
        break;
    }
    return differs_from_sum(problem, row);
}

} // namespace

void spoil_outputs(const BackwardProblem &problem) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t row : rows_to_check(problem.shape)) {
        std::fill_n(problem.dx + row * problem.shape.columns, problem.shape.columns, nan);
    }
    std::fill_n(problem.dgamma, problem.shape.columns, nan);
    std::fill_n(problem.dbeta, problem.shape.columns, nan);
}

Check::Check() = default;
Check::~Check() = default;

const SumsOverRows &Check::sums_of(const BackwardProblem &problem) {
    std::unique_ptr<SumsOverRows> &sums = sums_[{problem.shape.rows, problem.shape.columns}];
    if (sums == nullptr) {
        sums = make_sums(problem);
    }
    return *sums;
}

std::optional<Mismatch> Check::find_mismatch(const BackwardProblem &problem, Kind kind) {
    auto found =
        first_mismatch(problem.shape, [&](std::size_t row) { return find_mismatch_in_row(problem, kind, row); });
    if (found || is_limit(kind)) {
        return found;
    }
    const SumsOverRows &sums = sums_of(problem);
    return kind == Kind::simdnorm ? differ_from_scalar(problem, sums)
                                  : differ_from_double(of_peers, problem, sums, problem.dgamma, problem.dbeta);
}

} // namespace bench
