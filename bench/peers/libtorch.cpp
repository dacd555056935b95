// libtorch's native_layer_norm, which keeps the mean and the rstd of each row, and native_layer_norm_backward.
//
// They make their outputs anew in every call: the variants that take them (native_layer_norm_out and so on) make them
// as well, and then copy. So that this costs no more than it must, the outputs of the call before are let go first, and
// the memory of large ones is kept for the next, not given back to the system, whose new pages would then take most of
// the time.
#include "peers.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
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

void copy_to(float *place, const at::Tensor &tensor) {
    std::copy_n(tensor.const_data_ptr<float>(), tensor.numel(), place);
}

// Calls `make` for new outputs each time, and delivers them to these places.
template <class Make>
Call call_of(Make make, std::array<float *, 3> places) {
    const auto outputs = std::make_shared<Outputs>();
    const auto run = [=] {
        const c10::InferenceMode inference; // without it a call does some work for a backward pass to come
        *outputs = {};
        *outputs = make();
    };
    const auto deliver = [=] {
        copy_to(places[0], std::get<0>(*outputs));
        copy_to(places[1], std::get<1>(*outputs));
        copy_to(places[2], std::get<2>(*outputs));
    };
    return {run, deliver};
}

Call prepare_forward(const ForwardProblem &problem) {
    keep_freed_memory();
    at::set_num_threads(problem.threads);
    const c10::InferenceMode inference; // tensors made here are to be used in it
    const auto rows = static_cast<std::int64_t>(problem.shape.rows);
    const auto columns = static_cast<std::int64_t>(problem.shape.columns);
    const auto make = [=, x = wrap(problem.x, {rows, columns}), gamma = wrap(problem.gamma, {columns}),
                       beta = wrap(problem.beta, {columns}),
                       epsilon = problem.epsilon] { return at::native_layer_norm(x, columns, gamma, beta, epsilon); };
    return call_of(make, {problem.y, problem.mean, problem.rstd});
}

// Of beta a backward pass wants no more than that there is one: its values may be gamma's.
Call prepare_backward(const BackwardProblem &problem) {
    keep_freed_memory();
    at::set_num_threads(problem.threads);
    const c10::InferenceMode inference;
    const auto rows = static_cast<std::int64_t>(problem.shape.rows);
    const auto columns = static_cast<std::int64_t>(problem.shape.columns);
    const auto make = [=, dy = wrap(problem.dy, {rows, columns}), x = wrap(problem.x, {rows, columns}),
                       mean = wrap(problem.mean, {rows, 1}), rstd = wrap(problem.rstd, {rows, 1}),
                       gamma = wrap(problem.gamma, {columns})] {
        return at::native_layer_norm_backward(dy, x, columns, mean, rstd, gamma, gamma, {true, true, true});
    };
    return call_of(make, {problem.dx, problem.dgamma, problem.dbeta});
}

} // namespace

std::vector<Contender> libtorch() {
    return {{"libtorch", instruction_set(), Kind::peer, false, prepare_forward, prepare_backward, TORCH_VERSION}};
}

} // namespace bench
