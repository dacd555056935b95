#include "threads.hpp"

#ifdef _OPENMP
#include <pthread.h>

#include <atomic>
#endif

namespace simdnorm {

#ifdef _OPENMP

namespace {

// libgomp's threads do not survive a fork, and a team in the child would wait for them for ever. Registered as the
// library is loaded: the parent may have used OpenMP before it calls us.
std::atomic<bool> forked{false};
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { forked.store(true); });

} // namespace

int threads_allowed(int wanted) {
    if (forked.load(std::memory_order_relaxed) || omp_in_parallel() != 0) {
        return 1;
    }
    return wanted > 0 ? wanted : omp_get_max_threads();
}

#else

int threads_allowed(int) {
    return 1;
}

#endif

} // namespace simdnorm
