// The row lengths and matrix shapes under test.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <ostream>
#include <set>
#include <vector>

namespace simdnorm_test {

using Sizes = std::initializer_list<std::size_t>;

// Every D up to 300, both sides of every power of two and of every block boundary, and those of models.
inline const std::vector<std::size_t> &all_columns() {
    static const std::vector<std::size_t> sorted = [] {
        std::set<std::size_t> columns;
        for (std::size_t d = 1; d <= 300; ++d) {
            columns.insert(d);
        }
        for (std::size_t power = 512; power <= 65536; power *= 2) {
            columns.insert({power - 1, power, power + 1});
        }
        for (const std::size_t block : Sizes{512, 1024, 2048, 4096}) {
            columns.insert({3 * block - 1, 3 * block, 3 * block + 1});
        }
        columns.insert(
            {384, 640, 768, 896, 1000, 1280, 1536, 1600, 2560, 3072, 5120, 6144, 12288, 50257, 100003, 131072, 300001});
        return std::vector<std::size_t>(columns.begin(), columns.end());
    }();
    return sorted;
}

// A few lengths for tests with many variants: on both sides of the registers, lanes and blocks of any kernel.
inline const std::vector<std::size_t> &some_columns() {
    static const std::vector<std::size_t> columns = {1,   2,   3,   5,   8,    15,   16,   17,   31,   32,   33,
                                                     63,  64,  65,  96,  100,  127,  128,  129,  200,  255,  257,
                                                     300, 511, 513, 768, 1000, 1025, 2049, 4095, 4096, 4097, 8195};
    return columns;
}

struct Shape {
    std::size_t rows;
    std::size_t columns;
};

inline std::ostream &operator<<(std::ostream &out, const Shape &shape) {
    return out << shape.rows << " x " << shape.columns;
}

// Many short rows, a few long ones, and what lies between: whatever a plan decides by shape.
inline const std::vector<Shape> &some_shapes() {
    static const std::vector<Shape> shapes = {
        {1, 1},     {1, 7},   {1, 33},    {1, 768},  {1, 4097},  {1, 70001}, {2, 5},     {2, 128},
        {2, 50257}, {3, 1},   {3, 31},    {3, 1000}, {3, 8192},  {4, 64},    {5, 300},   {5, 12289},
        {7, 4096},  {8, 32},  {9, 2049},  {13, 17},  {16, 1536}, {31, 96},   {33, 513},  {64, 768},
        {65, 255},  {100, 1}, {127, 129}, {257, 3},  {300, 300}, {512, 64},  {1000, 33}, {1025, 16},
    };
    return shapes;
}

} // namespace simdnorm_test
