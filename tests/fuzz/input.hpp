// The fuzzer's bytes as choices. Where they have run out they are zero, so that every input is a whole case, and the
// empty one a plain call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace simdnorm_test {

class Input {
  public:
    explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    std::uint8_t byte() {
        if (bytes_.empty()) {
            return 0;
        }
        const std::uint8_t first = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return first;
    }

    std::uint32_t two_bytes() { return byte() + 256U * byte(); }
    std::uint32_t word() { return two_bytes() + 65536U * two_bytes(); }
    std::uint64_t two_words() { return word() + (std::uint64_t{word()} << 32); }

    // Of at most 256.
    std::size_t below(std::size_t bound) { return byte() % bound; }

    // True for one byte in `many`.
    bool once_in(std::size_t many) { return below(many) == many - 1; }

    template <class Value>
    Value pick(std::initializer_list<Value> choices) {
        return choices.begin()[below(choices.size())];
    }

  private:
    std::span<const std::uint8_t> bytes_;
};

} // namespace simdnorm_test
