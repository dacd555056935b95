// Uses the library as any program in C++ would, and checks what it gives. Its argument is the version it must be.
#include <simdnorm/simdnorm.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <vector>

namespace {

constexpr std::size_t rows = 3;
constexpr std::size_t columns = 5;
const std::vector<float> x = {1, 2, 3, 4, 5, -7, 0.5f, 12, 3, 3, 1e6f, 1e6f + 1, 1e6f, 1e6f - 2, 1e6f};

bool is_normalized(std::span<const float> input, std::span<const float> output) {
    double mean = 0;
    double variance = 0;
    for (const float element : input) {
        mean += element / static_cast<double>(columns);
    }
    for (const float element : input) {
        variance += (element - mean) * (element - mean) / static_cast<double>(columns);
    }
    for (std::size_t column = 0; column < columns; ++column) {
        const double expected = (input[column] - mean) / std::sqrt(variance);
        std::printf("%9.5f", static_cast<double>(output[column]));
        if (!(std::fabs(output[column] - expected) < 1e-5)) {
            return false;
        }
    }
    std::printf("\n");
    return true;
}

bool reports_no_columns() {
    std::vector<float> y(rows);
    try {
        simdnorm::layer_norm({.x = {x.data(), rows, 0}, .y = {y.data(), rows, 0}});
    } catch (const simdnorm::error &error) {
        return error.status() == SIMDNORM_INVALID_ARGUMENT &&
               std::string(error.what()).find("columns") != std::string::npos;
    }
    return false;
}

bool normalizes() {
    std::vector<float> y(x.size());
    simdnorm::layer_norm({.x = {x.data(), rows, columns}, .epsilon = 1e-6, .y = {y.data(), rows, columns}});
    for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t first = row * columns;
        if (!is_normalized(std::span(x).subspan(first, columns), std::span<const float>(y).subspan(first, columns))) {
            return false;
        }
    }
    return true;
}

} // namespace

int main(int argument_count, char **arguments) {
    try {
        std::printf("simdnorm %s, %s\n", simdnorm::version().c_str(), simdnorm::instruction_set().c_str());
        const bool expected_version = argument_count == 2 && simdnorm::version() == arguments[1];
        return expected_version && normalizes() && reports_no_columns() ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
