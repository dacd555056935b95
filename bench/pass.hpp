// The two passes that are measured.
#pragma once

#include <cstddef>

namespace bench {

enum class Pass { forward, backward };

inline constexpr Pass all_passes[] = {Pass::forward, Pass::backward};

constexpr const char *name_of(Pass pass) {
    return pass == Pass::forward ? "forward" : "backward";
}

// As rates count them: forward x read once and y written once; backward dy and x read once and dx written once.
constexpr std::size_t bytes_per_element(Pass pass) {
    return (pass == Pass::forward ? 2 : 3) * sizeof(float);
}

} // namespace bench
