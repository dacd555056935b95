// oneDNN's layer normalisation, forward for training, and backward. It keeps the mean and the variance of each row,
// where a problem has the rstd.
#include "peers.hpp"

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace bench {

namespace {

std::string instruction_set() {
    switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::isa_default:
        return "auto";
    case dnnl::cpu_isa::sse41:
        return "sse41";
    case dnnl::cpu_isa::avx:
        return "avx";
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni:
    case dnnl::cpu_isa::avx2_vnni_2:
        return "avx2";
    default:
        return "avx512"; // with extensions that a normalisation in float32 has no use for
    }
}

// oneDNN promises not to write to what it takes as a source.
dnnl::memory wrap(const dnnl::memory::desc &layout, const dnnl::engine &engine, const float *data) {
    return {layout, engine, const_cast<float *>(data)};
}

using Arguments = std::unordered_map<int, dnnl::memory>;
using Forward = dnnl::layer_normalization_forward;
using Backward = dnnl::layer_normalization_backward;

const auto scale_and_shift = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;

// What both passes are made of.
struct Layouts {
    dnnl::memory::desc matrix, per_row, per_column;

    explicit Layouts(const Shape &shape) {
        using dnnl::memory;
        const auto rows = static_cast<memory::dim>(shape.rows);
        const auto columns = static_cast<memory::dim>(shape.columns);
        matrix = {{rows, columns}, memory::data_type::f32, memory::format_tag::ab};
        per_row = {{rows}, memory::data_type::f32, memory::format_tag::a};
        per_column = {{columns}, memory::data_type::f32, memory::format_tag::a};
    }
};

Forward::primitive_desc describe_forward(const dnnl::engine &engine, const Layouts &layouts, double epsilon) {
    return {engine,          dnnl::prop_kind::forward_training, layouts.matrix, layouts.matrix,
            layouts.per_row, static_cast<float>(epsilon),       scale_and_shift};
}

std::function<void()> runner(const dnnl::engine &engine, const dnnl::primitive &primitive, const Arguments &arguments) {
    return [primitive, stream = dnnl::stream(engine), arguments]() mutable {
        primitive.execute(stream, arguments);
        stream.wait();
    };
}

void variance_to_rstd(const ForwardProblem &problem) {
    for (std::size_t row = 0; row < problem.shape.rows; ++row) {
        problem.rstd[row] = static_cast<float>(1 / std::sqrt(problem.rstd[row] + problem.epsilon));
    }
}

// The variance goes to where the problem wants rstd.
Call prepare_forward(const ForwardProblem &problem) {
    omp_set_num_threads(problem.threads); // a primitive keeps to the number that it was made under
    const Layouts layouts(problem.shape);
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const Arguments arguments = {{DNNL_ARG_SRC, wrap(layouts.matrix, engine, problem.x)},
                                 {DNNL_ARG_SCALE, wrap(layouts.per_column, engine, problem.gamma)},
                                 {DNNL_ARG_SHIFT, wrap(layouts.per_column, engine, problem.beta)},
                                 {DNNL_ARG_DST, wrap(layouts.matrix, engine, problem.y)},
                                 {DNNL_ARG_MEAN, wrap(layouts.per_row, engine, problem.mean)},
                                 {DNNL_ARG_VARIANCE, wrap(layouts.per_row, engine, problem.rstd)}};
    return {runner(engine, Forward(describe_forward(engine, layouts, problem.epsilon)), arguments),
            [problem] { variance_to_rstd(problem); }};
}

// Where the variance is so small that rounding of rstd shows in it, it does not count beside epsilon.
std::vector<float> variances(const BackwardProblem &problem) {
    std::vector<float> result(problem.shape.rows);
    for (std::size_t row = 0; row < problem.shape.rows; ++row) {
        const double rstd = problem.rstd[row];
        result[row] = static_cast<float>(std::max(0.0, 1 / (rstd * rstd) - problem.epsilon));
    }
    return result;
}

Call prepare_backward(const BackwardProblem &problem) {
    omp_set_num_threads(problem.threads);
    const Layouts layouts(problem.shape);
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const auto variance = std::make_shared<const std::vector<float>>(variances(problem));
    const Backward::primitive_desc description(engine, dnnl::prop_kind::backward, layouts.matrix, layouts.matrix,
                                               layouts.matrix, layouts.per_row, static_cast<float>(problem.epsilon),
                                               scale_and_shift, describe_forward(engine, layouts, problem.epsilon));
    const Arguments arguments = {{DNNL_ARG_DIFF_DST, wrap(layouts.matrix, engine, problem.dy)},
                                 {DNNL_ARG_SRC, wrap(layouts.matrix, engine, problem.x)},
                                 {DNNL_ARG_SCALE, wrap(layouts.per_column, engine, problem.gamma)},
                                 {DNNL_ARG_MEAN, wrap(layouts.per_row, engine, problem.mean)},
                                 {DNNL_ARG_VARIANCE, wrap(layouts.per_row, engine, variance->data())},
                                 {DNNL_ARG_DIFF_SRC, wrap(layouts.matrix, engine, problem.dx)},
                                 {DNNL_ARG_DIFF_SCALE, wrap(layouts.per_column, engine, problem.dgamma)},
                                 {DNNL_ARG_DIFF_SHIFT, wrap(layouts.per_column, engine, problem.dbeta)}};
    return {[variance, run = runner(engine, Backward(description), arguments)] { run(); }};
}

std::string version() {
    const dnnl_version_t *v = dnnl_version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

} // namespace

std::vector<Contender> onednn() {
    return {{"onednn", instruction_set(), Kind::peer, false, prepare_forward, prepare_backward, version()}};
}

} // namespace bench
