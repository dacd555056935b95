// The memory of a case: pages with forbidden ones on both sides, filled as the case says, with canaries everywhere
// else.
#pragma once

#include "case.hpp"
#include "guarded_buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace simdnorm_test {

// All floats that the case may touch, forbidden pages left out, by argument that has pages of its own.
using Image = std::vector<std::vector<float>>;

class Memory {
  public:
    explicit Memory(const Case &problem);

    // NULL where the case has it, and misaligned where it has that.
    float *pointer(std::size_t argument) const;
    std::vector<std::uintptr_t> addresses() const;

    Image image() const;
    void restore(const Image &image);

    // The index of element (row, column) of an argument in its part of the image.
    std::size_t index(std::size_t argument, std::size_t row, std::size_t column) const;
    std::size_t part(std::size_t argument) const { return problem_.arguments[argument].host; }

    // An argument's elements without gaps.
    std::vector<float> gather(const Image &image, std::size_t argument) const;

  private:
    struct Region {
        std::unique_ptr<GuardedPages> pages;
        std::size_t floats = 0; // of all its pages
        std::size_t origin = 0; // where the host begins
    };

    void make_region(std::size_t host);

    const Case &problem_;
    std::vector<Region> regions_; // empty for those who lie in another's
};

// What the arguments hold before the call; canaries where nothing is said. For cases whose arguments fit.
Image filled(const Case &problem, const Memory &memory);

} // namespace simdnorm_test
