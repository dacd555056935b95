// Memory between two pages that may not be touched: an access one byte too far ends the process.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <vector>

namespace simdnorm_test {

inline std::size_t page_floats() {
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / sizeof(float);
}

// Pages of floats, each run of `run` readable pages followed and preceded by a forbidden one.
class GuardedPages {
  public:
    GuardedPages(std::size_t runs, std::size_t pages_in_run) : run_(pages_in_run * page_floats()) {
        bytes_ = (runs * (pages_in_run + 1) + 1) * page_floats() * sizeof(float);
        void *memory = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::runtime_error("mmap failed");
        }
        memory_ = static_cast<float *>(memory);
        for (std::size_t i = 0; i < runs; ++i) {
            if (mprotect(start(i), run_ * sizeof(float), PROT_READ | PROT_WRITE) != 0) {
                throw std::runtime_error("mprotect failed");
            }
        }
    }
    ~GuardedPages() { munmap(memory_, bytes_); }
    GuardedPages(const GuardedPages &) = delete;
    GuardedPages &operator=(const GuardedPages &) = delete;

    // From the start of a run to that of the next.
    std::size_t stride() const { return run_ + page_floats(); }

    // The first float of a run: before it nothing can be touched.
    float *start(std::size_t run = 0) { return memory_ + page_floats() + run * stride(); }

    // The place of `size` floats behind which nothing can be touched.
    float *flush_with_end(std::size_t size, std::size_t run = 0) { return start(run) + run_ - size; }

  private:
    std::size_t run_;
    std::size_t bytes_;
    float *memory_;
};

// Which end of an array lies at a forbidden page.
enum class Flush { with_start, with_end };

inline constexpr Flush both_ends[] = {Flush::with_start, Flush::with_end};

// Room for one array of at most so many floats.
class GuardedArray {
  public:
    explicit GuardedArray(std::size_t most_floats) : pages_(1, most_floats / page_floats() + 1) {}

    float *place(std::size_t size, Flush flush) {
        return flush == Flush::with_start ? pages_.start() : pages_.flush_with_end(size);
    }

    // NULL for an empty one.
    float *place(const std::vector<float> &values, Flush flush) {
        float *first = place(values.size(), flush);
        std::copy(values.begin(), values.end(), first);
        return values.empty() ? nullptr : first;
    }

  private:
    GuardedPages pages_;
};

} // namespace simdnorm_test
