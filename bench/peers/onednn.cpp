// oneDNN's layer normalisation, forward for training: it keeps the mean and the variance of each row.
#include "peers.hpp"

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <cmath>
#include <string>
#include <unordered_map>

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

void variance_to_rstd(const Problem &problem) {
    for (std::size_t row = 0; row < problem.shape.rows; ++row) {
        problem.rstd[row] = static_cast<float>(1 / std::sqrt(problem.rstd[row] + problem.epsilon));
    }
}

// The variance goes to where the problem wants rstd.
Call prepare(const Problem &problem) {
    using dnnl::memory;
    omp_set_num_threads(problem.threads); // a primitive keeps to the number that it was made under
    const auto rows = static_cast<memory::dim>(problem.shape.rows);
    const auto columns = static_cast<memory::dim>(problem.shape.columns);
    const memory::desc matrix({rows, columns}, memory::data_type::f32, memory::format_tag::ab);
    const memory::desc per_row({rows}, memory::data_type::f32, memory::format_tag::a);
    const memory::desc per_column({columns}, memory::data_type::f32, memory::format_tag::a);

    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    using Forward = dnnl::layer_normalization_forward;
    const Forward::primitive_desc description(
        engine, dnnl::prop_kind::forward_training, matrix, matrix, per_row, static_cast<float>(problem.epsilon),
        dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift);
    const std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, wrap(matrix, engine, problem.x)},
                                                       {DNNL_ARG_SCALE, wrap(per_column, engine, problem.gamma)},
                                                       {DNNL_ARG_SHIFT, wrap(per_column, engine, problem.beta)},
                                                       {DNNL_ARG_DST, wrap(matrix, engine, problem.y)},
                                                       {DNNL_ARG_MEAN, wrap(per_row, engine, problem.mean)},
                                                       {DNNL_ARG_VARIANCE, wrap(per_row, engine, problem.rstd)}};
    const auto run = [primitive = Forward(description), stream = dnnl::stream(engine), arguments]() mutable {
        primitive.execute(stream, arguments);
        stream.wait();
    };
    return {run, [problem] { variance_to_rstd(problem); }};
}

std::string version() {
    const dnnl_version_t *v = dnnl_version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

} // namespace

std::vector<Contender> onednn() {
    return {{"onednn", instruction_set(), Kind::peer, false, prepare, version()}};
}

} // namespace bench
