#include "shapes.hpp"

#include "machine.hpp"

#include <algorithm>
#include <map>

namespace bench {

namespace {

constexpr std::size_t kibibyte = 1024;
constexpr std::size_t mebibyte = 1024 * kibibyte;
constexpr std::size_t bytes_per_element = 2 * sizeof(float); // x and y

constexpr std::size_t all_columns[] = {32, 64, 100, 256, 512, 768, 1024, 1280, 1600, 4096, 5120, 8192, 16384, 65536};

struct Regime {
    const char *name;
    std::size_t bytes; // of x and y together
};

// A share of each cache leaves room for gamma, beta and the rest of the machine.
std::vector<Regime> regimes(const CacheSizes &caches) {
    std::vector<Regime> result = {{"L1", caches.l1 / 2}, {"L2", caches.l2 / 2}};
    if (caches.l3 / 4 > caches.l2) {
        result.push_back({"L3", caches.l3 / 4});
    }
    result.push_back({"memory", std::clamp(4 * std::max(caches.l2, caches.l3), 128 * mebibyte, 512 * mebibyte)});
    return result;
}

bool has_same_size(const std::vector<Shape> &shapes, const Shape &shape) {
    return std::any_of(shapes.begin(), shapes.end(),
                       [&](const Shape &other) { return other.rows == shape.rows && other.columns == shape.columns; });
}

} // namespace

std::vector<Shape> forward_shapes(const CacheSizes &caches) {
    std::vector<Shape> shapes = {{8, 96, "call"}, {1, 768, "call"}};
    for (std::size_t columns : all_columns) {
        for (const Regime &regime : regimes(caches)) {
            Shape shape = {regime.bytes / (bytes_per_element * columns), columns, regime.name};
            if (shape.rows > 0 && !has_same_size(shapes, shape)) {
                shapes.push_back(shape);
            }
        }
    }
    return shapes;
}

std::vector<Shape> smoke_shapes() {
    // The last has more elements than are checked one by one.
    return {{1, 768, "call"}, {8, 96, "call"}, {7, 33, "L1"}, {1, 20000, "L2"}, {40000, 33, "memory"}};
}

std::string models_with(std::size_t columns) {
    static const std::map<std::size_t, std::string> models = {
        {512, "Whisper base"}, {768, "BERT"},      {1024, "ViT-L"},     {1280, "Whisper large"},
        {1600, "GPT-2 XL"},    {4096, "Llama 7B"}, {5120, "Llama 13B"}, {8192, "Llama 70B"},
    };
    const auto found = models.find(columns);
    return found == models.end() ? "" : found->second;
}

} // namespace bench
