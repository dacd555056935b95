// ONNX Runtime's LayerNormalization, with all three of its outputs: y, and the mean and the rstd of each row.
//
// Builds for inference, such as the packaged ones, have no gradients.
//
// The model is one node, made in memory; arrays are bound to its inputs and outputs, and nothing is copied.
#include "peers.hpp"

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <streambuf>
#include <string>

namespace bench {

namespace {

using Sizes = std::vector<std::int64_t>;

constexpr ONNXTensorElementDataType float32 = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;

// An input or output of the model: what it is called, and the array that it is bound to.
struct Array {
    std::string name;
    Sizes sizes;
    float *data;
};

Ort::ValueInfo declare(const Array &array) {
    const Ort::TensorTypeAndShapeInfo sizes(float32, array.sizes);
    const Ort::TypeInfo type = Ort::TypeInfo::CreateTensorInfo(sizes.GetConst());
    return Ort::ValueInfo(array.name, type.GetConst());
}

Ort::Value wrap(const Array &array) {
    std::size_t elements = 1;
    for (const std::int64_t size : array.sizes) {
        elements *= static_cast<std::size_t>(size);
    }
    static const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    return Ort::Value::CreateTensor(memory, array.data, elements, array.sizes.data(), array.sizes.size());
}

std::vector<std::string> names(const std::vector<Array> &arrays) {
    std::vector<std::string> result;
    result.reserve(arrays.size());
    for (const Array &array : arrays) {
        result.push_back(array.name);
    }
    return result;
}

std::vector<Ort::ValueInfo> declare_all(const std::vector<Array> &arrays) {
    std::vector<Ort::ValueInfo> result;
    result.reserve(arrays.size());
    for (const Array &array : arrays) {
        result.push_back(declare(array));
    }
    return result;
}

Ort::Model one_node_model(const std::vector<Array> &inputs, const std::vector<Array> &outputs, double epsilon) {
    const auto attribute = static_cast<float>(epsilon);
    std::vector<Ort::OpAttr> attributes;
    attributes.emplace_back("epsilon", &attribute, 1, ORT_OP_ATTR_FLOAT);
    Ort::Node node("LayerNormalization", "", "layer_norm", names(inputs), names(outputs), attributes);
    auto input_infos = declare_all(inputs);
    auto output_infos = declare_all(outputs);
    Ort::Graph graph;
    graph.SetInputs(input_infos);
    graph.SetOutputs(output_infos);
    graph.AddNode(node);
    Ort::Model model({{"", 17}}); // the first set of operators that has this one
    model.AddGraph(graph);
    return model;
}

// ONNX Runtime as Debian builds it registers every operator twice when it makes the first model, and complains of each
// on std::cerr. What really fails is thrown.
class Silence {
  public:
    Silence() = default;
    Silence(const Silence &) = delete;
    Silence &operator=(const Silence &) = delete;
    ~Silence() { std::cerr.rdbuf(shown_); }

  private:
    std::streambuf *shown_ = std::cerr.rdbuf(nullptr);
};

// A session has threads of its own, which spin for a while after each run: they end with it.
struct BoundSession {
    Ort::Session session;
    Ort::IoBinding binding;

    BoundSession(const Ort::Env &environment, const Ort::Model &model, const Ort::SessionOptions &options)
        : session(environment, model, options), binding(session) {}
};

Call prepare(const ForwardProblem &problem) {
    const auto rows = static_cast<std::int64_t>(problem.shape.rows);
    const auto columns = static_cast<std::int64_t>(problem.shape.columns);
    // Tensors are not const; nothing is written to inputs.
    const std::vector<Array> inputs = {{"X", {rows, columns}, const_cast<float *>(problem.x)},
                                       {"Scale", {columns}, const_cast<float *>(problem.gamma)},
                                       {"B", {columns}, const_cast<float *>(problem.beta)}};
    const std::vector<Array> outputs = {
        {"Y", {rows, columns}, problem.y}, {"Mean", {rows, 1}, problem.mean}, {"InvStdDev", {rows, 1}, problem.rstd}};

    const Silence silence;
    static const Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "simdnorm_benchmark");
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(problem.threads);
    options.SetInterOpNumThreads(1);
    const auto bound =
        std::make_shared<BoundSession>(environment, one_node_model(inputs, outputs, problem.epsilon), options);
    for (const Array &input : inputs) {
        bound->binding.BindInput(input.name.c_str(), wrap(input));
    }
    for (const Array &output : outputs) {
        bound->binding.BindOutput(output.name.c_str(), wrap(output));
    }
    return {[bound] { bound->session.Run(Ort::RunOptions{nullptr}, bound->binding); }};
}

} // namespace

std::vector<Contender> onnxruntime() {
    return {{"onnxruntime", "auto", Kind::peer, false, prepare, {}, Ort::GetVersionString()}};
}

} // namespace bench
