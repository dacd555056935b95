// A small network that classifies, with layer normalisation between its two linear layers or without:
//
//     h = x w1 + b1        z = layer_norm(h)        a = max(z, 0)        logits = a w2 + b2
//
// Every matrix has a row for each input of the batch. A gradient is that of the loss, and is named after what it
// belongs to: dz is the gradient of z.
#pragma once

#include <Eigen/Core>

#include <cstdint>
#include <vector>

// Row after row, as simdnorm takes them.
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowVector = Eigen::RowVectorXf;

struct Parameters {
    Matrix w1;
    RowVector b1;
    RowVector gamma;
    RowVector beta;
    Matrix w2;
    RowVector b2;
};

struct Sizes {
    Eigen::Index inputs = 0;
    Eigen::Index hidden = 0;
    Eigen::Index classes = 0;
};

class Network {
  public:
    // The seed alone decides the weights: networks with and without layer normalisation start from the same.
    Network(const Sizes &sizes, bool layer_norm, std::uint32_t seed);

    // Returns the logits; keeps what backward needs of the way there.
    Matrix forward(const Matrix &x);

    // Computes `gradients` for the x of the last forward.
    void backward(const Matrix &dlogits);

    // One step of gradient descent.
    void step(float learning_rate);

    Parameters parameters;
    Parameters gradients; // those of gamma and beta stay 0 where there is no layer normalisation

  private:
    bool layer_norm_;
    Matrix x_;
    Matrix h_;
    Matrix z_;
    Matrix a_;
    RowVector mean_; // of each row of h, as rstd
    RowVector rstd_;
};

struct Loss {
    double value = 0; // the mean over the rows of -log softmax(logits)[label]
    Matrix dlogits;
};

Loss softmax_cross_entropy(const Matrix &logits, const std::vector<Eigen::Index> &labels);
