// The check of a forward pass: y, mean and rstd.
#include "check_parts.hpp"
#include "two_passes.hpp"

#include <simdnorm/simdnorm.h>

#include <limits>
#include <stdexcept>

namespace bench {

namespace {

// What the scalar set makes of a row of the problem, alone.
class ReferenceRow {
  public:
    ReferenceRow(const ForwardProblem &problem, std::size_t row)
        : problem_(problem), row_(row), x_(problem.x + row * problem.shape.columns), y_(problem.shape.columns) {
        simdnorm_layer_norm_args args = {};
        args.rows = 1;
        args.columns = problem.shape.columns;
        args.x = x_;
        args.gamma = problem.gamma;
        args.beta = problem.beta;
        args.epsilon = problem.epsilon;
        args.y = y_.data();
        args.mean = &mean_;
        args.rstd = &rstd_;
        args.threads = 1;
        if (simdnorm_use_instruction_set("scalar") != SIMDNORM_OK || simdnorm_layer_norm(&args) != SIMDNORM_OK) {
            throw std::runtime_error(simdnorm_last_error());
        }
    }

    // Against the promised bounds. The sums of `double` differ from exact ones by far less.
    std::optional<Mismatch> differs_from_double() const {
        const auto [mean, variance] = two_pass_statistics<double>(x_, y_.size());
        const double rstd = 1 / std::sqrt(variance + problem_.epsilon);
        if (!within(mean_, mean, 4e-7 * std::max(std::abs(mean), std::sqrt(variance)))) {
            return mismatch("mean of the scalar set, against two passes in double,", row_, 0, mean, mean_);
        }
        if (!within(rstd_, rstd, 4e-7 * rstd)) {
            return mismatch("rstd of the scalar set, against two passes in double,", row_, 0, rstd, rstd_);
        }
        const double u = 0x1p-24;
        for (std::size_t j = 0; j < y_.size(); ++j) {
            const double v = (x_[j] - mean) * rstd;
            const double gamma = problem_.gamma[j];
            const double beta = problem_.beta[j];
            const double bound = 16 * u * (std::abs(gamma) * std::max(1.0, std::abs(v)) + std::abs(beta));
            if (!within(y_[j], gamma * v + beta, bound)) {
                return mismatch("y of the scalar set, against two passes in double,", row_, j, gamma * v + beta, y_[j]);
            }
        }
        return std::nullopt;
    }

    std::optional<Mismatch> differs_in_bits() const {
        if (bits(problem_.mean[row_]) != bits(mean_)) {
            return mismatch("mean", row_, 0, mean_, problem_.mean[row_]);
        }
        if (bits(problem_.rstd[row_]) != bits(rstd_)) {
            return mismatch("rstd", row_, 0, rstd_, problem_.rstd[row_]);
        }
        return first_difference("y", row_, problem_.y + row_ * y_.size(), y_);
    }

  private:
    const ForwardProblem &problem_;
    std::size_t row_;
    const float *x_;
    std::vector<float> y_;
    float mean_ = 0;
    float rstd_ = 0;
};

std::optional<Mismatch> differs_from_reference(const ForwardProblem &problem, std::size_t row) {
    const ReferenceRow reference(problem, row);
    const std::optional<Mismatch> found = reference.differs_from_double();
    return found ? found : reference.differs_in_bits();
}

std::optional<Mismatch> differs_from_exact(const ForwardProblem &problem, std::size_t row, bool has_statistics) {
    const std::size_t columns = problem.shape.columns;
    const float *x = problem.x + row * columns;
    const float *y = problem.y + row * columns;
    const auto [mean, variance] = two_pass_statistics<double>(x, columns);
    const double rstd = 1 / std::sqrt(variance + problem.epsilon);
    const double tolerance = tolerance_of_peers(columns);
    if (has_statistics && !within(problem.mean[row], mean, tolerance * std::max(std::abs(mean), 1 / rstd))) {
        return mismatch("mean", row, 0, mean, problem.mean[row]);
    }
    if (has_statistics && !within(problem.rstd[row], rstd, tolerance * rstd)) {
        return mismatch("rstd", row, 0, rstd, problem.rstd[row]);
    }
    for (std::size_t j = 0; j < columns; ++j) {
        const double scaled = problem.gamma[j] * ((x[j] - mean) * rstd);
        const double beta = problem.beta[j];
        if (!within(y[j], scaled + beta, tolerance * (1 + std::abs(scaled) + std::abs(beta)))) {
            return mismatch("y", row, j, scaled + beta, y[j]);
        }
    }
    return std::nullopt;
}

std::optional<Mismatch> differs_from_x(const ForwardProblem &problem, std::size_t row) {
    const float *x = problem.x + row * problem.shape.columns;
    return first_difference("y", row, problem.y + row * problem.shape.columns, {x, x + problem.shape.columns});
}

std::optional<Mismatch> find_mismatch_in_row(const ForwardProblem &problem, Kind kind, std::size_t row) {
    switch (kind) {
    case Kind::simdnorm:
        return differs_from_reference(problem, row);
    case Kind::peer:
        return differs_from_exact(problem, row, true);
    case Kind::peer_of_y:
        return differs_from_exact(problem, row, false);
    case Kind::plain_limit:
    case Kind::streaming_limit:
        break;
    }
    return differs_from_x(problem, row);
}

} // namespace

void spoil_outputs(const ForwardProblem &problem) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t row : rows_to_check(problem.shape)) {
        std::fill_n(problem.y + row * problem.shape.columns, problem.shape.columns, nan);
        problem.mean[row] = nan;
        problem.rstd[row] = nan;
    }
}

// NOLINTNEXTLINE(readability-convert-member-functions-to-static): it is called as the one of the backward pass is
std::optional<Mismatch> Check::find_mismatch(const ForwardProblem &problem, Kind kind) {
    return first_mismatch(problem.shape, [&](std::size_t row) { return find_mismatch_in_row(problem, kind, row); });
}

} // namespace bench
