// Calls of both passes in every regime, and a digest of each output: one for all machines, sets and layouts, since no
// bit depends on those.
#pragma once

#include "backward_call.hpp"
#include "call.hpp"
#include "families.hpp"
#include "random.hpp"
#include "shapes.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace simdnorm_test {

// FNV-1a of 64 bits (Fowler, Noll and Vo), over bytes.
class Digest {
  public:
    void add(std::uint8_t byte) { state_ = (state_ ^ byte) * 0x100000001b3; }

    // The least significant byte first.
    void add(std::uint32_t bits) {
        for (int byte = 0; byte < 4; ++byte) {
            add(static_cast<std::uint8_t>(bits >> 8 * byte));
        }
    }

    std::uint64_t value() const { return state_; }

  private:
    std::uint64_t state_ = 0xcbf29ce484222325;
};

inline std::uint64_t digest_of(std::string_view text) {
    Digest digest;
    for (const char letter : text) {
        digest.add(static_cast<std::uint8_t>(letter));
    }
    return digest.value();
}

// Whether each NaN counts with its bits, or all count as one: the header leaves open which NaN comes of a gamma or beta
// that is not finite, and which one spoils a gradient.
enum class Nans { told_apart, all_one };

inline std::uint64_t digest_of(std::initializer_list<const std::vector<float> *> arrays, Nans nans) {
    Digest digest;
    for (const std::vector<float> *array : arrays) {
        for (const float value : *array) {
            digest.add(nans == Nans::all_one && std::isnan(value) ? quiet_nan_bits : bits_of(value));
        }
    }
    return digest.value();
}

inline std::string labelled(const char *label, std::uint64_t digest) {
    char text[64];
    std::snprintf(text, sizeof text, " %s %016llx", label, static_cast<unsigned long long>(digest));
    return text;
}

inline std::string labelled(const char *label, const std::vector<float> &values, Nans nans) {
    return labelled(label, digest_of({&values}, nans));
}

// "in": of what is handed in, so that another library is told from other arguments.
inline std::string forward_digests(const Problem &problem, const Layout &layout, Nans nans) {
    const Result result = layer_norm(problem, layout);
    return labelled("in", digest_of({&problem.x, &problem.gamma, &problem.beta}, Nans::told_apart)) +
           labelled("y", result.y, nans) + labelled("mean", result.mean, nans) + labelled("rstd", result.rstd, nans);
}

inline std::string backward_digests(const Backward &problem, const Layout &layout) {
    const Gradients result = layer_norm_backward(problem, layout);
    const Problem &forward = problem.forward;
    return labelled("in", digest_of({&problem.dy, &forward.x, &forward.gamma, &problem.kept.mean, &problem.kept.rstd},
                                    Nans::told_apart)) +
           labelled("dx", result.dx, Nans::all_one) + labelled("dgamma", result.dgamma, Nans::all_one) +
           labelled("dbeta", result.dbeta, Nans::all_one);
}

// Both sides of every width at which a plan, a kernel or a sum changes its way, as many rows as fill groups of every
// size and leave some over.
inline std::vector<Shape> digest_shapes() {
    std::vector<Shape> shapes;
    for (const std::size_t columns :
         Sizes{1,    2,    3,    4,    5,    7,    8,    9,    15,   16,   17,   31,   32,   33,   47,   48,   63,
               64,   65,   95,   96,   97,   100,  127,  128,  129,  160,  191,  192,  193,  255,  257,  300,  383,
               384,  385,  511,  512,  513,  600,  601,  768,  769,  1000, 1023, 1024, 1025, 1151, 1152, 1153, 1280,
               1281, 1535, 1536, 1920, 1921, 2047, 2048, 2049, 3072, 4095, 4096, 4097, 8191, 8192, 8193, 12289}) {
        shapes.push_back({columns <= 192 ? 41U : columns <= 1152 ? 11U : columns <= 4096 ? 5U : 3U, columns});
    }
    return shapes;
}

// Many rows, whose gradients are added up in trees; few and long ones, which threads share.
inline constexpr Shape large_digest_shapes[] = {{70000, 1}, {15000, 9},  {3500, 64},  {700, 300},
                                                {257, 768}, {130, 1025}, {150, 2100}, {67, 5000},
                                                {5, 32768}, {2, 50257},  {1, 100003}};

// Calls use(name, digests) for each case: digests(layout) makes the call.
template <class Use>
class DigestCases {
  public:
    explicit DigestCases(const Use &use) : use_(use) {}

    void run() const {
        for (const Shape &shape : digest_shapes()) {
            both_passes("ordinary rows", normal_problem(seed(shape), shape.rows, shape.columns));
            both_passes("mixed rows", mixed_problem(seed(shape), shape.rows, shape.columns));
        }
        for (const Shape &shape : large_digest_shapes) {
            both_passes("ordinary rows", normal_problem(seed(shape), shape.rows, shape.columns));
        }
        for (const Shape &shape : {Shape{15000, 9}, Shape{700, 300}, Shape{390, 1025}}) {
            with_sums_that_cancel(shape);
        }
        for (const Shape &shape : {Shape{9, 100}, Shape{2, 4500}}) {
            for (const Family &family : all_families()) {
                both_passes(family.name, rows_of_family(family, shape));
            }
        }
        for (const Shape &shape : {Shape{17, 100}, Shape{9, 300}, Shape{5, 1000}, Shape{3, 5000}}) {
            without_gamma_and_beta(shape);
            with_every_epsilon(shape);
            with_what_is_not_finite(shape);
        }
    }

  private:
    static std::uint64_t seed(const Shape &shape) { return Random(1000003 * shape.rows + shape.columns).bits(); }

    static std::string name_of(const char *pass, const Problem &problem, const std::string &variant) {
        return std::string(pass) + " " + std::to_string(problem.rows) + " x " + std::to_string(problem.columns) + ", " +
               variant;
    }

    void forward(const std::string &variant, const Problem &problem, Nans nans) const {
        use_(name_of("forward", problem, variant),
             [&](const Layout &layout) { return forward_digests(problem, layout, nans); });
    }

    void backward(const std::string &variant, const Backward &problem) const {
        use_(name_of("backward", problem.forward, variant),
             [&](const Layout &layout) { return backward_digests(problem, layout); });
    }

    void both_passes(const std::string &variant, const Problem &problem, Nans nans = Nans::told_apart) const {
        forward(variant, problem, nans);
        backward(variant, Backward(problem, digest_of(variant)));
    }

    static Problem rows_of_family(const Family &family, const Shape &shape) {
        Problem problem = normal_problem(digest_of(family.name), shape.rows, shape.columns);
        problem.x.clear();
        for (std::size_t row = 0; row < shape.rows; ++row) {
            const std::vector<float> values = family.row(digest_of(family.name) + row, shape.columns);
            problem.x.insert(problem.x.end(), values.begin(), values.end());
        }
        return problem;
    }

    // Columns of dy add up to what the order of the additions in double leaves over, and to no more: each half of the
    // rows takes back what the other gives. Otherwise double's roundings hardly ever show in a float. In a batch the
    // sums are exact in single precision.
    void with_sums_that_cancel(const Shape &shape) const {
        Backward problem(normal_problem(seed(shape), shape.rows, shape.columns), 1);
        Random random(seed(shape));
        int exponent = 0;
        for (std::size_t row = 0; row < shape.rows / 2; ++row) {
            exponent = row % 16 == 0 ? static_cast<int>(random.below(60)) : exponent;
            for (std::size_t j = 0; j < shape.columns; ++j) {
                const float value = std::ldexp(static_cast<float>(random.below(16)), exponent);
                problem.dy[row * shape.columns + j] = value;
                problem.dy[(shape.rows - 1 - row) * shape.columns + j] = -value;
            }
        }
        backward("sums that cancel", problem);
    }

    void without_gamma_and_beta(const Shape &shape) const {
        const Problem both = mixed_problem(seed(shape), shape.rows, shape.columns);
        Problem problem = both;
        problem.gamma.clear();
        both_passes("gamma NULL", problem);
        problem.beta.clear();
        both_passes("gamma and beta NULL", problem);
        problem.gamma = both.gamma;
        forward("beta NULL", problem, Nans::told_apart);
    }

    void with_every_epsilon(const Shape &shape) const {
        Problem problem = mixed_problem(seed(shape), shape.rows, shape.columns);
        for (const auto &[name, epsilon] : {std::pair("0", 0.0), {"1e-30", 1e-30}, {"1e30", 1e30}}) {
            problem.epsilon = epsilon;
            both_passes(std::string("epsilon ") + name, problem);
        }
    }

    void with_what_is_not_finite(const Shape &shape) const {
        const Problem ordinary = normal_problem(seed(shape), shape.rows, shape.columns);
        const float nan = float_of(0xffc12345); // of another sign and payload than ours
        const std::size_t last = shape.rows - 1;
        Problem problem = ordinary;
        problem.x[shape.columns / 2] = infinity;
        problem.x[last * shape.columns] = -infinity;
        both_passes("infinities in x", problem);
        problem.x[shape.columns - 1] = -infinity;
        problem.x[last * shape.columns + 1] = nan;
        both_passes("infinities and a NaN in x", problem);

        problem = ordinary;
        problem.gamma[0] = infinity;
        problem.gamma[shape.columns - 1] = nan;
        problem.beta[shape.columns / 2] = -infinity;
        both_passes("gamma and beta not finite", problem, Nans::all_one);

        Backward of_dy(ordinary, 1);
        of_dy.dy[shape.columns / 2] = infinity;
        of_dy.dy[last * shape.columns] = nan;
        backward("dy not finite", of_dy);
    }

    const Use &use_;
};

} // namespace simdnorm_test
