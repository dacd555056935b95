// Floats at a chosen distance from a 64-byte line, with canaries on both sides.
#pragma once

#include "bits.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace simdnorm_test {

// A NaN that no arithmetic makes.
inline constexpr std::uint32_t canary_bits = 0x7fa5c3d2;

inline float canary() {
    return float_of(canary_bits);
}

inline bool all_canaries(const float *first, const float *last) {
    return std::all_of(first, last, [](float value) { return bits_of(value) == canary_bits; });
}

class Buffer {
  public:
    // `offset` is counted in floats.
    explicit Buffer(std::size_t size, std::size_t offset = 0)
        : size_(size), storage_(size + 2 * margin + 2 * line, canary()) {
        const std::size_t after_line = reinterpret_cast<std::uintptr_t>(storage_.data()) / sizeof(float) % line;
        begin_ = margin + (line - after_line) + offset % line;
    }

    float *data() { return storage_.data() + begin_; }
    const float *data() const { return storage_.data() + begin_; }
    std::size_t size() const { return size_; }

    bool margins_untouched() const {
        const float *first = storage_.data();
        return all_canaries(first, data()) && all_canaries(data() + size_, first + storage_.size());
    }

  private:
    static constexpr std::size_t line = 64 / sizeof(float);
    static constexpr std::size_t margin = 4 * line; // keeps the place in the line

    std::size_t size_;
    std::size_t begin_;
    std::vector<float> storage_;
};

} // namespace simdnorm_test
