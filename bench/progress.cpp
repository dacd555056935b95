#include "progress.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace bench {

namespace {

using Clock = std::chrono::steady_clock;

bool on_terminal() {
    static const bool result = isatty(STDERR_FILENO) == 1;
    return result;
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

} // namespace

void show_progress(const std::string &name) {
    constexpr double seconds_between_lines = 15;
    static const Clock::time_point start = Clock::now();
    static Clock::time_point last_line = start;
    if (on_terminal()) {
        std::fprintf(stderr, "\r\033[K%4.0f s  %s", seconds_since(start), name.c_str());
        std::fflush(stderr);
    } else if (seconds_since(last_line) >= seconds_between_lines) {
        std::fprintf(stderr, "%4.0f s  %s\n", seconds_since(start), name.c_str());
        last_line = Clock::now();
    }
}

void end_progress() {
    if (on_terminal()) {
        std::fprintf(stderr, "\r\033[K");
        std::fflush(stderr);
    }
}

} // namespace bench
