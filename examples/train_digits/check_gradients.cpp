// Compares the loss and the gradients of the network with those of libtorch, which computes them by automatic
// differentiation, in double.
#include "data.hpp"
#include "network.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <numeric>
#include <vector>

namespace {

// How far a gradient may be from libtorch's, over the largest entry of libtorch's. It is at most 4e-7; without the term
// mean(g) of dx, 3e-2.
constexpr double tolerance = 1e-5;

at::Tensor in_double(const float *data, at::IntArrayRef sizes) {
    // Tensors are not const; this one is copied.
    return at::from_blob(const_cast<float *>(data), sizes, at::kFloat).to(at::kDouble);
}

at::Tensor tensor(const Matrix &matrix) {
    return in_double(matrix.data(), {matrix.rows(), matrix.cols()});
}

at::Tensor tensor(const RowVector &vector) {
    return in_double(vector.data(), {vector.size()});
}

template <class Array>
at::Tensor leaf(const Array &array) {
    return tensor(array).requires_grad_(true);
}

// The parameters in libtorch, and the loss that follows from them.
struct Reference {
    at::Tensor w1, b1, gamma, beta, w2, b2;
    at::Tensor loss;
};

Reference differentiate(const Parameters &parameters, bool layer_norm, const Digits &batch) {
    Reference result{leaf(parameters.w1),
                     leaf(parameters.b1),
                     leaf(parameters.gamma),
                     leaf(parameters.beta),
                     leaf(parameters.w2),
                     leaf(parameters.b2),
                     {}};
    const std::vector<std::int64_t> labels(batch.labels.begin(), batch.labels.end());
    const at::Tensor h = at::addmm(result.b1, tensor(batch.pixels), result.w1);
    const at::Tensor z = layer_norm ? at::layer_norm(h, {parameters.gamma.size()}, result.gamma, result.beta, 1e-5) : h;
    const at::Tensor logits = at::addmm(result.b2, at::relu(z), result.w2);
    result.loss = at::cross_entropy_loss(logits, at::tensor(labels));
    result.loss.backward();
    return result;
}

bool is_near(const char *name, const at::Tensor &ours, const at::Tensor &reference) {
    const double error = (ours - reference).abs().max().item<double>();
    const double largest = reference.abs().max().item<double>();
    const bool near = error <= tolerance * largest; // not if anything is a NaN
    std::printf("  %-6s largest entry %9.3e, error over it %.1e%s\n", name, largest, error / largest,
                near ? "" : ": TOO LARGE");
    return near;
}

Digits rows_of(const Digits &digits, Eigen::Index first, std::size_t count) {
    std::vector<Eigen::Index> rows(count);
    std::iota(rows.begin(), rows.end(), first);
    return pick(digits, rows);
}

// A few steps in, so that gamma is not 1 and nothing is 0 any more.
Network trained(bool layer_norm, const Digits &digits) {
    Network network({.inputs = digits.pixels.cols(), .hidden = 64, .classes = 10}, layer_norm, 1);
    for (int step = 1; step <= 50; ++step) {
        const Digits batch = rows_of(digits, Eigen::Index{32} * step, 32);
        network.backward(softmax_cross_entropy(network.forward(batch.pixels), batch.labels).dlogits);
        network.step(0.1F);
    }
    return network;
}

bool check(bool layer_norm, const Digits &digits) {
    std::printf("%s layer normalisation\n", layer_norm ? "with" : "without");
    Network network = trained(layer_norm, digits);
    const Digits batch = rows_of(digits, 0, 32);
    const Loss loss = softmax_cross_entropy(network.forward(batch.pixels), batch.labels);
    network.backward(loss.dlogits);

    const Reference reference = differentiate(network.parameters, layer_norm, batch);
    const Parameters &ours = network.gradients;
    bool near = is_near("loss", at::scalar_tensor(loss.value, at::kDouble), reference.loss);
    near &= is_near("w1", tensor(ours.w1), reference.w1.grad());
    near &= is_near("b1", tensor(ours.b1), reference.b1.grad());
    if (layer_norm) {
        near &= is_near("gamma", tensor(ours.gamma), reference.gamma.grad());
        near &= is_near("beta", tensor(ours.beta), reference.beta.grad());
    }
    near &= is_near("w2", tensor(ours.w2), reference.w2.grad());
    near &= is_near("b2", tensor(ours.b2), reference.b2.grad());
    return near;
}

} // namespace

int main() {
    try {
        const Digits digits = read_digits(DIGITS_CSV);
        const bool near_with = check(true, digits);
        const bool near_without = check(false, digits);
        return near_with && near_without ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "check_gradients: %s\n", error.what());
        return 1;
    }
}
