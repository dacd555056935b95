#include <simdnorm/simdnorm.hpp>

#include <cstdio>
#include <vector>

int main() {
    const std::vector<float> x = {1, 2, 3, 4, 1000, 2000, 3000, 4000};
    std::vector<float> y(x.size());
    simdnorm::layer_norm({.x = {x.data(), 2, 4}, .y = {y.data(), 2, 4}}); // throws simdnorm::error
    for (std::size_t row = 0; row < 2; ++row) {
        const float *normalized = &y[row * 4];
        std::printf("%6.3f %6.3f %6.3f %6.3f\n", normalized[0], normalized[1], normalized[2], normalized[3]);
    }
}
