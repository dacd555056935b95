#include "shapes.hpp"

#include "machine.hpp"

#include <algorithm>
#include <map>

namespace bench {

namespace {

constexpr std::size_t kibibyte = 1024;
constexpr std::size_t mebibyte = 1024 * kibibyte;

// Columns times as many rows as fill a part of each cache: from real models, and some that no vector divides.
struct Columns {
    std::size_t count;
    bool always; // else measured only where all shapes are
};

constexpr Columns columns_of_matrices[] = {
    {33, false},   {48, false},   {64, true},    {96, false},   {100, true},   {128, false},
    {256, true},   {320, false},  {384, false},  {512, false},  {768, true},   {1000, false},
    {1024, true},  {1280, false}, {1600, false}, {2048, false}, {3072, false}, {4096, true},
    {5120, false}, {8192, false}, {16384, true}, {50257, true},
};

// Closer to each other, for the columns at which plans go over from one way to another.
constexpr std::size_t columns_of_plans[] = {8,    12,   16,   20,   24,    28,    32,    33,    40,   48,   50,   64,
                                            72,   80,   96,   100,  112,   128,   144,   160,   192,  208,  224,  256,
                                            300,  320,  352,  384,  448,   512,   600,   640,   704,  768,  896,  1000,
                                            1024, 1152, 1280, 1536, 1600,  1792,  1920,  2048,  2304, 2560, 3072, 3584,
                                            4096, 5120, 6144, 8192, 12288, 16384, 24576, 32768, 50257};

struct Size {
    std::size_t rows, columns;
};

constexpr Size small_calls[] = {{1, 512}, {1, 768}, {1, 1600}, {3, 768}, {8, 96}};
constexpr std::size_t columns_of_long_rows[] = {100000, 262144, 1000000, 3000000};

// Where the sums over rows, dgamma and dbeta, cost most: too wide for the caches, or of many short rows.
constexpr Size two_long_rows = {2, 3000000};
constexpr Size long_columns[] = {{65536, 64}, {3000000, 2}};

struct Regime {
    const char *name;
    std::size_t bytes; // of x and y, or dy, x and dx, together
};

// A share of each cache leaves room for gamma, beta and the rest of the machine.
std::vector<Regime> regimes(const CacheSizes &caches) {
    const std::size_t l1 = caches.l1.bytes;
    const std::size_t l2 = caches.l2.bytes;
    const std::size_t l3 = caches.l3.bytes;
    std::vector<Regime> result = {{"L1", l1 / 2}, {"L2", l2 / 2}};
    if (l3 / 4 > l2) {
        result.push_back({"L3", l3 / 4});
    }
    result.push_back({"memory", std::clamp(4 * std::max(l2, l3), 128 * mebibyte, 512 * mebibyte)});
    return result;
}

bool has_same_size(const std::vector<Shape> &shapes, const Shape &shape) {
    return std::any_of(shapes.begin(), shapes.end(),
                       [&](const Shape &other) { return other.rows == shape.rows && other.columns == shape.columns; });
}

void add_matrices(std::vector<Shape> &shapes, Pass pass, const CacheSizes &caches, std::size_t columns) {
    for (const Regime &regime : regimes(caches)) {
        Shape shape = {regime.bytes / (bytes_per_element(pass) * columns), columns, regime.name};
        if (shape.rows > 0 && !has_same_size(shapes, shape)) {
            shapes.push_back(shape);
        }
    }
}

std::vector<Shape> shapes_of_pass(Pass pass, const CacheSizes &caches, bool all) {
    std::vector<Shape> shapes;
    for (const Size &size : small_calls) {
        shapes.push_back({size.rows, size.columns, "call"});
    }
    for (const Columns &columns : columns_of_matrices) {
        if (columns.always || all) {
            add_matrices(shapes, pass, caches, columns.count);
        }
    }
    for (const std::size_t columns : columns_of_long_rows) {
        shapes.push_back({1, columns, "row"});
    }
    if (pass == Pass::backward) {
        shapes.push_back({two_long_rows.rows, two_long_rows.columns, "row"});
        for (const Size &size : long_columns) {
            shapes.push_back({size.rows, size.columns, "column"});
        }
    }
    return shapes;
}

} // namespace

ShapesOfPasses shapes_for(const CacheSizes &caches, bool all) {
    ShapesOfPasses shapes;
    for (const Pass pass : all_passes) {
        shapes[pass] = shapes_of_pass(pass, caches, all);
    }
    return shapes;
}

ShapesOfPasses shapes_of_plans(const CacheSizes &caches) {
    ShapesOfPasses shapes;
    for (const Pass pass : all_passes) {
        for (const std::size_t columns : columns_of_plans) {
            add_matrices(shapes[pass], pass, caches, columns);
        }
    }
    return shapes;
}

ShapesOfPasses smoke_shapes() {
    // The last has more elements than are checked one by one.
    const std::vector<Shape> forward = {
        {1, 768, "call"}, {8, 96, "call"}, {7, 33, "L1"}, {1, 20000, "row"}, {40000, 33, "memory"}};
    std::vector<Shape> backward = forward;
    backward.insert(backward.end(), {{2, 20000, "row"}, {20000, 2, "column"}});
    return {{Pass::forward, forward}, {Pass::backward, backward}};
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
