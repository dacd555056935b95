// Other libraries that normalise, to be measured beside this one: what the build found of them.
#pragma once

#include "../contender.hpp"

#include <vector>

namespace bench {

// All of the below that this build has; none without SIMDNORM_BENCH_PEERS.
std::vector<Contender> peers();

std::vector<Contender> onednn();
std::vector<Contender> libtorch();
std::vector<Contender> onnxruntime();
std::vector<Contender> ggml();

} // namespace bench
