#include "network.hpp"

#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstddef>
#include <random>
#include <span>

namespace {

simdnorm::matrix_view<float> view(Matrix &matrix) {
    return {matrix.data(), static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols())};
}

std::span<float> view(RowVector &vector) {
    return {vector.data(), static_cast<std::size_t>(vector.size())};
}

// He's initialisation: with this range the variance stays about the same from layer to layer. The distributions of
// <random> give other numbers on other standard libraries; these are the same everywhere.
Matrix random_weights(Eigen::Index inputs, Eigen::Index outputs, std::mt19937 &random) {
    const float range = std::sqrt(6 / static_cast<float>(inputs));
    return Matrix::NullaryExpr(inputs, outputs, [&] {
        const float from_0_to_2 = static_cast<float>(random() >> 8) * 0x1p-23F; // 24 bits: exact
        return range * (from_0_to_2 - 1);
    });
}

Parameters initial_parameters(const Sizes &sizes, std::mt19937 random) {
    Parameters result;
    result.w1 = random_weights(sizes.inputs, sizes.hidden, random);
    result.b1 = RowVector::Zero(sizes.hidden);
    result.gamma = RowVector::Ones(sizes.hidden);
    result.beta = RowVector::Zero(sizes.hidden);
    result.w2 = random_weights(sizes.hidden, sizes.classes, random);
    result.b2 = RowVector::Zero(sizes.classes);
    return result;
}

} // namespace

Network::Network(const Sizes &sizes, bool layer_norm, std::uint32_t seed)
    : parameters(initial_parameters(sizes, std::mt19937(seed))), gradients(parameters), layer_norm_(layer_norm) {
    gradients.gamma.setZero();
    gradients.beta.setZero();
}

Matrix Network::forward(const Matrix &x) {
    x_ = x;
    h_ = (x * parameters.w1).rowwise() + parameters.b1;
    if (layer_norm_) {
        z_.resizeLike(h_);
        mean_.resize(h_.rows());
        rstd_.resize(h_.rows());
        simdnorm::layer_norm({.x = view(h_),
                              .gamma = view(parameters.gamma),
                              .beta = view(parameters.beta),
                              .epsilon = 1e-5,
                              .y = view(z_),
                              .mean = view(mean_),
                              .rstd = view(rstd_)});
    } else {
        z_ = h_;
    }
    a_ = z_.cwiseMax(0);
    return (a_ * parameters.w2).rowwise() + parameters.b2;
}

// The chain rule from the last line of forward to its first. For y = x w + b it gives dw = x^T dy, db = the sum of the
// rows of dy, and dx = dy w^T.
void Network::backward(const Matrix &dlogits) {
    gradients.w2 = a_.transpose() * dlogits;
    gradients.b2 = dlogits.colwise().sum();
    const Matrix da = dlogits * parameters.w2.transpose();
    Matrix dz = (z_.array() > 0).select(da, 0); // max(z, 0) has slope 1 above 0, else 0
    Matrix dh = dz;
    if (layer_norm_) {
        // Wants the input of the forward pass and the statistics of its rows, not its output.
        simdnorm::layer_norm_backward({.dy = view(dz),
                                       .x = view(h_),
                                       .gamma = view(parameters.gamma),
                                       .mean = view(mean_),
                                       .rstd = view(rstd_),
                                       .dx = view(dh),
                                       .dgamma = view(gradients.gamma),
                                       .dbeta = view(gradients.beta)});
    }
    gradients.w1 = x_.transpose() * dh;
    gradients.b1 = dh.colwise().sum();
}

void Network::step(float learning_rate) {
    const auto descend = [&](auto member) { parameters.*member -= learning_rate * gradients.*member; };
    descend(&Parameters::w1);
    descend(&Parameters::b1);
    descend(&Parameters::gamma);
    descend(&Parameters::beta);
    descend(&Parameters::w2);
    descend(&Parameters::b2);
}

// With p = softmax(logits) the gradient of -log p[label] is p, less 1 at the label.
Loss softmax_cross_entropy(const Matrix &logits, const std::vector<Eigen::Index> &labels) {
    // Softmax stays the same when a row is shifted. With its largest logit at 0, exp cannot overflow.
    const Matrix shifted = logits.colwise() - logits.rowwise().maxCoeff();
    const auto rows = static_cast<float>(logits.rows());
    Loss result{.value = 0, .dlogits = shifted.array().exp()};
    for (Eigen::Index row = 0; row < logits.rows(); ++row) {
        const Eigen::Index label = labels[static_cast<std::size_t>(row)];
        const float sum = result.dlogits.row(row).sum();
        result.value += (std::log(sum) - shifted(row, label)) / rows;
        result.dlogits.row(row) /= sum;
        result.dlogits(row, label) -= 1;
    }
    result.dlogits /= rows;
    return result;
}
