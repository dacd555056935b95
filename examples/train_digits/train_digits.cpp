// Trains a network with layer normalisation on handwritten digits, and beside it the same network without.
#include "data.hpp"
#include "network.hpp"

#include <simdnorm/simdnorm.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace {

constexpr Sizes sizes = {.inputs = 64, .hidden = 64, .classes = 10};
constexpr std::uint32_t seed = 1;
constexpr std::size_t held_out_digits = 360; // a fifth
constexpr std::size_t batch_size = 32;
constexpr int epochs = 20;
constexpr float learning_rate = 0.3F;
constexpr double least_accuracy = 0.95;

// std::shuffle does it in another order on other standard libraries.
void shuffle(std::span<Eigen::Index> indices, std::mt19937 &random) {
    for (std::size_t last = indices.size() - 1; last > 0; --last) {
        std::swap(indices[last], indices[random() % (last + 1)]);
    }
}

void train_on(const Digits &batch, Network &network) {
    const Matrix logits = network.forward(batch.pixels);
    network.backward(softmax_cross_entropy(logits, batch.labels).dlogits);
    network.step(learning_rate);
}

struct Result {
    double loss = 0;
    double accuracy = 0;
};

Result evaluate(Network &network, const Digits &digits) {
    const Matrix logits = network.forward(digits.pixels);
    std::size_t right = 0;
    for (std::size_t row = 0; row < digits.labels.size(); ++row) {
        Eigen::Index most_likely = 0;
        logits.row(static_cast<Eigen::Index>(row)).maxCoeff(&most_likely);
        right += most_likely == digits.labels[row] ? 1 : 0;
    }
    return {.loss = softmax_cross_entropy(logits, digits.labels).value,
            .accuracy = static_cast<double>(right) / static_cast<double>(digits.labels.size())};
}

void print(const Result &training, const Result &held_out) {
    std::printf("   %8.4f %8.4f %8.1f %%", training.loss, held_out.loss, 100 * held_out.accuracy);
}

// Returns the accuracy on held-out digits that the network with layer normalisation reaches.
double train() {
    const Digits digits = read_digits(DIGITS_CSV);
    std::mt19937 random(seed);
    std::vector<Eigen::Index> indices(digits.labels.size());
    std::iota(indices.begin(), indices.end(), 0);
    shuffle(indices, random);
    const Digits held_out = pick(digits, std::span(indices).first(held_out_digits));
    const std::span<Eigen::Index> order = std::span(indices).subspan(held_out_digits);
    const Digits training = pick(digits, order);

    std::printf("%zu digits to learn from, %zu held out; simdnorm %s on %s\n\n", training.labels.size(),
                held_out.labels.size(), simdnorm::version().c_str(), simdnorm::instruction_set().c_str());
    std::printf("            with layer normalisation                  without\n"
                "           loss, held out, held out          loss, held out, held out\n"
                "epoch  training      loss  accuracy      training      loss  accuracy\n");
    Network with(sizes, true, seed);
    Network without(sizes, false, seed);
    Result reached;
    for (int epoch = 1; epoch <= epochs; ++epoch) {
        shuffle(order, random);
        for (std::size_t first = 0; first < order.size(); first += batch_size) {
            const Digits batch = pick(digits, order.subspan(first, std::min(batch_size, order.size() - first)));
            train_on(batch, with);
            train_on(batch, without);
        }
        reached = evaluate(with, held_out);
        std::printf("%5d", epoch);
        print(evaluate(with, training), reached);
        print(evaluate(without, training), evaluate(without, held_out));
        std::printf("\n");
    }
    return reached.accuracy;
}

} // namespace

int main() {
    try {
        const double accuracy = train();
        if (accuracy < least_accuracy) {
            std::fprintf(stderr, "train_digits: %.1f %% of the held-out digits are right; it should be %.0f %%\n",
                         100 * accuracy, 100 * least_accuracy);
            return 1;
        }
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "train_digits: %s\n", error.what());
        return 1;
    }
}
