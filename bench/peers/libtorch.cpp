// libtorch's native_layer_norm, which keeps the mean and the rstd of each row.
//
// It makes its outputs anew in every call: the variant that takes them (native_layer_norm_out) makes them as well, and
// then copies. So that this costs it no more than it must, the outputs of the call before are let go first, and the
// memory of large ones is kept for the next, not given back to the system, whose new pages would then take most of the
// time.
#include "peers.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/native_layer_norm.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace bench {

namespace {

using Outputs = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

std::string instruction_set() {
    std::string name = at::get_cpu_capability();
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    return name;
}

// Tensors are not const; nothing here writes to these.
at::Tensor wrap(const float *data, at::IntArrayRef sizes) {
    return at::from_blob(const_cast<float *>(data), sizes, at::kFloat);
}

// For as long as the program runs. Other allocators that people use with libtorch do so by themselves.
void keep_freed_memory() {
#ifdef __GLIBC__
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
#endif
}

Call prepare(const Problem &problem) {
    keep_freed_memory();
    at::set_num_threads(problem.threads);
    const c10::InferenceMode inference; // without it a call does some work for a backward pass to come
    const auto rows = static_cast<std::int64_t>(problem.shape.rows);
    const auto columns = static_cast<std::int64_t>(problem.shape.columns);
    const auto outputs = std::make_shared<Outputs>();
    const auto run = [=, x = wrap(problem.x, {rows, columns}), gamma = wrap(problem.gamma, {columns}),
                      beta = wrap(problem.beta, {columns})] {
        const c10::InferenceMode inference_too;
        *outputs = {};
        *outputs = at::native_layer_norm(x, columns, gamma, beta, problem.epsilon);
    };
    const auto deliver = [=] {
        const auto &[y, mean, rstd] = *outputs;
        std::copy_n(y.const_data_ptr<float>(), y.numel(), problem.y);
        std::copy_n(mean.const_data_ptr<float>(), mean.numel(), problem.mean);
        std::copy_n(rstd.const_data_ptr<float>(), rstd.numel(), problem.rstd);
    };
    return {run, deliver};
}

} // namespace

std::vector<Contender> libtorch() {
    return {{"libtorch", instruction_set(), Kind::peer, false, prepare, TORCH_VERSION}};
}

} // namespace bench
