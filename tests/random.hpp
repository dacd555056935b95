// Random numbers that are the same on every platform: integers from SplitMix64 (Steele, Lea and Flood, 2014), and
// reals from those by exact arithmetic alone. The distributions of <random> differ between standard libraries.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace simdnorm_test {

class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t bits() {
        state_ += 0x9e3779b97f4a7c15;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    // An integer in [0, bound); for the bounds of tests the bias of the remainder does not matter.
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(bits() % bound); }

    // [0, 1), a multiple of 2^-53.
    double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

    double uniform(double low, double high) { return low + (high - low) * uniform(); }

    // Close to N(0, 1): the sum of 128 coins, smoothed between its steps. Needs no logarithm, whose last bit is the
    // platform's affair.
    double normal() {
        const int heads = std::popcount(bits()) + std::popcount(bits());
        const double smoothed = heads - 64 + uniform() - 0.5;
        return smoothed * (1 / std::sqrt(32 + 1.0 / 12));
    }

  private:
    std::uint64_t state_;
};

// Every random stream of the suite starts from this number and from what the stream is for.
inline std::uint64_t base_seed() {
    static const std::uint64_t seed = [] {
        const char *text = std::getenv("SIMDNORM_TEST_SEED");
        if (text == nullptr || *text == '\0') {
            return std::uint64_t{20160721};
        }
        char *end = nullptr;
        const std::uint64_t value = std::strtoull(text, &end, 0);
        if (*end != '\0') {
            throw std::runtime_error(std::string("SIMDNORM_TEST_SEED is not a number: ") + text);
        }
        return value;
    }();
    return seed;
}

inline std::uint64_t seed_for(std::string_view purpose, std::uint64_t first = 0, std::uint64_t second = 0) {
    std::uint64_t seed = Random(base_seed()).bits();
    for (const char letter : purpose) {
        seed = Random(seed ^ static_cast<unsigned char>(letter)).bits();
    }
    seed = Random(seed ^ first).bits();
    return Random(seed ^ second).bits();
}

} // namespace simdnorm_test
