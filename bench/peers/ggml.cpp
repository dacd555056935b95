// ggml's graph of three nodes, norm, mul and add, by its CPU backend. It hands out neither mean nor rstd, and has no
// backward pass: ggml_build_backward_expand ends the program at a norm.
//
// The results of all three nodes lie in y: so does ggml's own allocator place them, which lets a result take the place
// of an operand that is needed no more.
#include "peers.hpp"

#include <ggml-cpp.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>

namespace bench {

namespace {

ggml_backend_dev_t cpu() {
    static ggml_backend_device *const device = [] {
        ggml_log_set([](ggml_log_level, const char *, void *) {}, nullptr); // it tells of each plug-in that it loads
        ggml_backend_load_all(); // a package may have the CPU's as a plug-in, one for each instruction set
        return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    }();
    if (device == nullptr) {
        throw std::runtime_error("ggml has no CPU backend");
    }
    return device;
}

template <typename Function>
Function find_function(const char *name) {
    void *const address = ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu()), name);
    if (address == nullptr) {
        throw std::runtime_error(std::string("ggml's CPU backend has no ") + name);
    }
    return reinterpret_cast<Function>(address);
}

std::string instruction_set() {
    const auto features = find_function<ggml_backend_get_features_t>("ggml_backend_get_features");
    std::string best = "auto";
    for (const auto *feature = features(ggml_backend_dev_backend_reg(cpu())); feature->name != nullptr; ++feature) {
        const std::string name = feature->name;
        if (name == "AVX512") {
            return "avx512";
        }
        if (name == "AVX2") {
            best = "avx2";
        } else if (name == "NEON") {
            best = "neon";
        }
    }
    return best;
}

// A backend, a graph, and the memory of the problem for its tensors.
class Graph {
  public:
    explicit Graph(const ForwardProblem &problem)
        : backend_(ggml_backend_dev_init(cpu(), nullptr)),
          context_(ggml_init({8 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true})) {
        find_function<ggml_backend_set_n_threads_t>("ggml_backend_set_n_threads")(backend_.get(), problem.threads);
        const auto rows = static_cast<std::int64_t>(problem.shape.rows);
        const auto columns = static_cast<std::int64_t>(problem.shape.columns);
        ggml_context *const context = context_.get();
        ggml_tensor *const x = ggml_new_tensor_2d(context, GGML_TYPE_F32, columns, rows);
        ggml_tensor *const gamma = ggml_new_tensor_1d(context, GGML_TYPE_F32, columns);
        ggml_tensor *const beta = ggml_new_tensor_1d(context, GGML_TYPE_F32, columns);
        ggml_tensor *const normalized = ggml_norm(context, x, static_cast<float>(problem.epsilon));
        ggml_tensor *const scaled = ggml_mul(context, normalized, gamma);
        ggml_tensor *const shifted = ggml_add(context, scaled, beta);
        place({x}, problem.x);
        place({gamma}, problem.gamma);
        place({beta}, problem.beta);
        place({normalized, scaled, shifted}, problem.y);
        graph_ = ggml_new_graph(context);
        ggml_build_forward_expand(graph_, shifted);
    }

    void compute() const {
        if (ggml_backend_graph_compute(backend_.get(), graph_) != GGML_STATUS_SUCCESS) {
            throw std::runtime_error("ggml failed");
        }
    }

  private:
    // Tensors of one size, all in this place. ggml's are not const; nothing is written to operands.
    void place(std::initializer_list<ggml_tensor *> tensors, const float *data) {
        void *const memory = const_cast<float *>(data);
        const std::size_t bytes = ggml_nbytes(*tensors.begin());
        buffers_.emplace_back(ggml_backend_dev_buffer_from_host_ptr(cpu(), memory, bytes, bytes));
        for (ggml_tensor *tensor : tensors) {
            if (ggml_backend_tensor_alloc(buffers_.back().get(), tensor, memory) != GGML_STATUS_SUCCESS) {
                throw std::runtime_error("ggml does not take the memory of a tensor");
            }
        }
    }

    ggml_backend_ptr backend_;
    ggml_context_ptr context_;
    std::vector<ggml_backend_buffer_ptr> buffers_;
    ggml_cgraph *graph_ = nullptr; // in the context
};

Call prepare(const ForwardProblem &problem) {
    return {[graph = std::make_shared<const Graph>(problem)] { graph->compute(); }};
}

} // namespace

std::vector<Contender> ggml() {
    return {{"ggml", instruction_set(), Kind::peer_of_y, false, prepare, {}, ggml_version()}};
}

} // namespace bench
