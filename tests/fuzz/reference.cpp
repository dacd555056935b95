#include "reference.hpp"

#include "bits.hpp"
#include "gradient_oracle.hpp"
#include "instruction_sets.hpp"
#include "oracle.hpp"

#include <simdnorm/simdnorm.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace simdnorm_test {
namespace {

bool all_finite(const float *first, std::size_t count) {
    return std::all_of(first, first + count, [](float value) { return std::isfinite(value); });
}

const float *data_or_null(const std::vector<float> &values) {
    return values.empty() ? nullptr : values.data();
}

// A plain call cannot fail.
void require_ok(simdnorm_status status) {
    if (status != SIMDNORM_OK) {
        std::fprintf(stderr, "the reference call failed: %s\n", simdnorm_last_error());
        std::abort();
    }
}

struct ForwardInputs {
    std::vector<float> x, gamma, beta; // the last two empty: NULL
};

struct ForwardRow {
    std::vector<float> y;
    float mean = 0;
    float rstd = 0;
};

ForwardRow forward_row(const Case &problem, const ForwardInputs &inputs, std::size_t row) {
    ForwardRow result;
    result.y.resize(problem.columns);
    simdnorm_layer_norm_args args = {};
    args.rows = 1;
    args.columns = problem.columns;
    args.x = inputs.x.data() + row * problem.columns;
    args.gamma = data_or_null(inputs.gamma);
    args.beta = data_or_null(inputs.beta);
    args.epsilon = problem.epsilon;
    args.y = result.y.data();
    args.mean = &result.mean;
    args.rstd = &result.rstd;
    args.threads = 1;
    args.store = SIMDNORM_STORE_CACHED;
    require_ok(simdnorm_layer_norm(&args));
    return result;
}

std::string in_row(std::size_t row, const char *what) {
    return "row " + std::to_string(row) + ": " + what;
}

// "A NaN or an infinity in a row of x".
std::string check_spoiled_row(const float *x, std::size_t columns, const ForwardRow &result) {
    bool plus = false, minus = false, nan = false;
    for (std::size_t j = 0; j < columns; ++j) {
        plus |= x[j] == infinity;
        minus |= x[j] == -infinity;
        nan |= std::isnan(x[j]);
    }
    const std::uint32_t mean = nan || plus == minus ? quiet_nan_bits : plus ? plus_infinity_bits : minus_infinity_bits;
    if (bits_of(result.mean) != mean) {
        return "mean of a row that is not finite";
    }
    const bool spoiled =
        std::all_of(result.y.begin(), result.y.end(), [](float y) { return bits_of(y) == quiet_nan_bits; });
    return spoiled && bits_of(result.rstd) == quiet_nan_bits ? "" : "y or rstd of a row that is not finite";
}

// The header's bound, wherever gamma, beta and the exact y are finite floats.
bool y_is_near(const Oracle &oracle, float x, float gamma, float beta, float y) {
    constexpr long double u = 0x1p-24L;
    const long double v = oracle.normalized(x);
    const long double exact = gamma * v + beta;
    if (!std::isfinite(gamma) || !std::isfinite(beta) || std::fabs(exact) > largest) {
        return true;
    }
    const long double unit = u * (std::fabs(gamma) * std::max(1.0L, std::fabs(v)) + std::fabs(beta));
    return in_units(y - exact, unit) <= Errors::y_bound;
}

std::string check_finite_row(const Case &problem, const ForwardInputs &inputs, const float *x,
                             const ForwardRow &result) {
    const Oracle oracle(x, problem.columns, problem.epsilon);
    if (in_units(result.mean - oracle.mean(), std::max(std::fabs(oracle.mean()), oracle.sigma())) >
        Errors::mean_bound) {
        return "mean is too far off";
    }
    if (rstd_error(result.rstd, oracle.rstd()) > Errors::rstd_bound) {
        return "rstd is too far off";
    }
    for (std::size_t j = 0; j < problem.columns; ++j) {
        const float gamma = inputs.gamma.empty() ? 1 : inputs.gamma[j];
        const float beta = inputs.beta.empty() ? 0 : inputs.beta[j];
        if (!y_is_near(oracle, x[j], gamma, beta, result.y[j])) {
            return "y is too far off in column " + std::to_string(j) + ": " + hex(result.y[j]);
        }
    }
    return "";
}

std::string check_row(const Case &problem, const ForwardInputs &inputs, std::size_t row, const ForwardRow &result) {
    const float *x = inputs.x.data() + row * problem.columns;
    const std::string wrong = all_finite(x, problem.columns) ? check_finite_row(problem, inputs, x, result)
                                                             : check_spoiled_row(x, problem.columns, result);
    return wrong.empty() ? "" : in_row(row, wrong.c_str());
}

// A NaN of a row that is spoiled by x has its bits promised; one from gamma or beta has not.
Reference forward_reference(const Case &problem, const Memory &memory, const Image &before) {
    const ForwardInputs inputs = {memory.gather(before, forward::x), memory.gather(before, forward::gamma),
                                  memory.gather(before, forward::beta)};
    Reference reference;
    Expected y = {forward::y, {}, {}}, mean = {forward::mean, {}, {}}, rstd = {forward::rstd, {}, {}};
    for (std::size_t row = 0; row < problem.rows; ++row) {
        const ForwardRow result = forward_row(problem, inputs, row);
        if (reference.contradiction.empty()) {
            reference.contradiction = check_row(problem, inputs, row, result);
        }
        y.values.insert(y.values.end(), result.y.begin(), result.y.end());
        y.any_nan.insert(y.any_nan.end(), problem.columns,
                         all_finite(inputs.x.data() + row * problem.columns, problem.columns));
        mean.values.push_back(result.mean);
        rstd.values.push_back(result.rstd);
    }
    mean.any_nan.assign(problem.rows, false);
    rstd.any_nan.assign(problem.rows, false);
    reference.outputs = {y, mean, rstd};
    return reference;
}

struct BackwardInputs {
    std::vector<float> dy, x, gamma, mean, rstd;
};

// Of some rows, without gaps. NULL for what is not wanted.
void plain_backward(const Case &problem, const BackwardInputs &inputs, std::size_t first, std::size_t rows, float *dx,
                    float *dgamma, float *dbeta) {
    simdnorm_layer_norm_backward_args args = {};
    args.rows = rows;
    args.columns = problem.columns;
    args.dy = inputs.dy.data() + first * problem.columns;
    args.x = inputs.x.data() + first * problem.columns;
    args.gamma = data_or_null(inputs.gamma);
    args.mean = inputs.mean.data() + first;
    args.rstd = inputs.rstd.data() + first;
    args.dx = dx;
    args.dgamma = dgamma;
    args.dbeta = dbeta;
    args.threads = 1;
    args.store = SIMDNORM_STORE_CACHED;
    require_ok(simdnorm_layer_norm_backward(&args));
}

// "Spoils": leaves an infinity or a NaN.
bool spoiled(const float *first, std::size_t count) {
    return std::none_of(first, first + count, [](float value) { return std::isfinite(value); });
}

// What the header says of dy, x, mean and rstd that are not finite.
std::string check_spoiled(const Case &problem, const BackwardInputs &inputs, const std::vector<float> &dx,
                          const std::vector<float> &dgamma, const std::vector<float> &dbeta) {
    const std::size_t columns = problem.columns;
    bool v_is_spoiled = false;
    for (std::size_t row = 0; row < problem.rows; ++row) {
        const float *dy = inputs.dy.data() + row * columns;
        const bool of_row = !all_finite(inputs.x.data() + row * columns, columns) || !std::isfinite(inputs.mean[row]) ||
                            !std::isfinite(inputs.rstd[row]);
        v_is_spoiled |= of_row;
        if ((of_row || !all_finite(dy, columns)) && !spoiled(dx.data() + row * columns, columns)) {
            return in_row(row, "dx is finite where an input is not");
        }
        for (std::size_t j = 0; j < columns; ++j) {
            if (!std::isfinite(dy[j]) && (std::isfinite(dgamma[j]) || std::isfinite(dbeta[j]))) {
                return in_row(row, "dgamma or dbeta is finite where dy is not");
            }
        }
    }
    if (v_is_spoiled && !spoiled(dgamma.data(), columns)) {
        return "dgamma is finite where an input is not";
    }
    const bool zero = std::all_of(dgamma.begin(), dgamma.end(), [](float sum) { return bits_of(sum) == 0; });
    return problem.rows > 0 || zero ? "" : "dgamma of no rows is not zero";
}

bool all_finite(const std::vector<float> &values) {
    return all_finite(values.data(), values.size());
}

// Neither under- nor overflows in a product with what is within float's middle.
bool is_moderate(double magnitude) {
    return magnitude == 0 || (0x1p-80 <= magnitude && magnitude <= 0x1p+40);
}

// "As long as no product of floats underflows": of each row of g, and of each column of dy.
bool products_are_moderate(const Case &problem, const BackwardInputs &inputs) {
    std::vector<double> of_column(problem.columns);
    for (std::size_t row = 0; row < problem.rows; ++row) {
        double of_row = 0;
        for (std::size_t j = 0; j < problem.columns; ++j) {
            const double dy = std::fabs(static_cast<double>(inputs.dy[row * problem.columns + j]));
            const double gamma = inputs.gamma.empty() ? 1 : inputs.gamma[j];
            of_row += dy * std::fabs(gamma);
            of_column[j] += dy;
        }
        if (!is_moderate(of_row / static_cast<double>(problem.columns))) {
            return false;
        }
    }
    return std::all_of(of_column.begin(), of_column.end(),
                       [&](double magnitude) { return is_moderate(magnitude / static_cast<double>(problem.rows)); });
}

// The header's bounds on dx and dgamma, where they are promised.
std::string check_gradients(const Case &problem, const BackwardInputs &inputs, const Gradients &actual) {
    if (problem.rows == 0 || !all_finite(inputs.x) || !all_finite(inputs.dy) || !all_finite(inputs.gamma) ||
        !products_are_moderate(problem, inputs)) {
        return "";
    }
    Backward right({problem.rows, problem.columns, inputs.x, inputs.gamma, {}, problem.epsilon}, 0);
    right.dy = inputs.dy;
    const bool kept = same_bits(right.kept.mean.data(), inputs.mean.data(), problem.rows) &&
                      same_bits(right.kept.rstd.data(), inputs.rstd.data(), problem.rows);
    if (!kept || !std::all_of(inputs.rstd.begin(), inputs.rstd.end(), rstd_is_promised)) {
        return "";
    }
    const GradientErrors errors = judge(right, actual);
    if (errors.dx > GradientErrors::bound) {
        return "dx is too far off: " + std::to_string(errors.dx) + " units";
    }
    return errors.dgamma > GradientErrors::bound ? "dgamma is too far off: " + std::to_string(errors.dgamma) + " units"
                                                 : "";
}

// The header's bound on dbeta, where no sum may overflow on the way; this tells as well that nothing but dy spoils it.
std::string check_dbeta(const Case &problem, const BackwardInputs &inputs, const std::vector<float> &dbeta) {
    constexpr long double u = 0x1p-24L;
    for (std::size_t j = 0; j < problem.columns; ++j) {
        long double sum = 0, magnitudes = 0;
        for (std::size_t row = 0; row < problem.rows; ++row) {
            sum += inputs.dy[row * problem.columns + j];
            magnitudes += std::fabs(inputs.dy[row * problem.columns + j]);
        }
        constexpr double bound = 16;
        if (magnitudes < largest / 2 && in_units(dbeta[j] - sum, u * magnitudes) > bound) {
            return "dbeta is too far off in column " + std::to_string(j) + ": " + hex(dbeta[j]);
        }
    }
    return "";
}

Reference backward_reference(const Case &problem, const Memory &memory, const Image &before) {
    const BackwardInputs inputs = {memory.gather(before, backward::dy), memory.gather(before, backward::x),
                                   memory.gather(before, backward::gamma), memory.gather(before, backward::mean),
                                   memory.gather(before, backward::rstd)};
    const std::size_t columns = problem.columns;
    std::vector<float> dx(problem.rows * columns), dgamma(columns), dbeta(columns);
    for (std::size_t row = 0; row < problem.rows; ++row) {
        plain_backward(problem, inputs, row, 1, dx.data() + row * columns, nullptr, nullptr);
    }
    plain_backward(problem, inputs, 0, problem.rows, nullptr, dgamma.data(), dbeta.data());

    Reference reference;
    reference.contradiction = check_spoiled(problem, inputs, dx, dgamma, dbeta);
    if (reference.contradiction.empty()) {
        reference.contradiction = check_dbeta(problem, inputs, dbeta);
    }
    if (reference.contradiction.empty()) {
        reference.contradiction = check_gradients(problem, inputs, {dx, dgamma, dbeta});
    }
    // Which NaN, is promised nowhere.
    const std::vector<bool> any_in_dx(dx.size(), true), any_in_sums(columns, true);
    reference.outputs = {
        {backward::dx, dx, any_in_dx}, {backward::dgamma, dgamma, any_in_sums}, {backward::dbeta, dbeta, any_in_sums}};
    return reference;
}

} // namespace

void keep_statistics(const Case &problem, const Memory &memory, Image &before) {
    const UseInstructionSet scalar("scalar");
    const ForwardInputs inputs = {memory.gather(before, backward::x), {}, {}};
    for (std::size_t row = 0; row < problem.rows; ++row) {
        const ForwardRow result = forward_row(problem, inputs, row);
        before[memory.part(backward::mean)][memory.index(backward::mean, 0, row)] = result.mean;
        before[memory.part(backward::rstd)][memory.index(backward::rstd, 0, row)] = result.rstd;
    }
}

Reference reference(const Case &problem, const Memory &memory, const Image &before) {
    const UseInstructionSet scalar("scalar");
    Reference all =
        problem.is_backward ? backward_reference(problem, memory, before) : forward_reference(problem, memory, before);
    std::erase_if(all.outputs, [&](const Expected &expected) { return problem.arguments[expected.argument].is_null; });
    return all;
}

} // namespace simdnorm_test
