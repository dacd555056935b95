// Threads: how many a call may use, and running a piece of work on a team of them.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

namespace simdnorm {

// At most `wanted` (0: what OpenMP would use here); 1 inside a parallel region, in the child of a fork, and without
// OpenMP.
int threads_allowed(int wanted);

// Calls work(thread, team) on each thread of a team of at most `threads`. One thread is the calling one alone, without
// a parallel region: even a region of one costs as much as normalising ten short rows.
template <class Work>
void run_on_team(int threads, const Work &work) {
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        work(omp_get_thread_num(), omp_get_num_threads());
        return;
    }
#endif
    work(0, 1);
}

// Called by each thread of a team that was asked for with more than one thread: returns when all have called it. One
// thread alone is in no region of its own, but maybe in one of the caller's, whose other threads would never come.
inline void wait_for_team() {
#ifdef _OPENMP
#pragma omp barrier
#endif
}

} // namespace simdnorm
