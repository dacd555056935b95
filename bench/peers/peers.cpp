#include "peers.hpp"

#include <initializer_list>

namespace bench {

std::vector<Contender> peers() {
    std::vector<Contender> all;
    const std::initializer_list<std::vector<Contender> (*)()> found = {
#ifdef SIMDNORM_BENCH_ONEDNN
        onednn,
#endif
#ifdef SIMDNORM_BENCH_LIBTORCH
        libtorch,
#endif
#ifdef SIMDNORM_BENCH_ONNXRUNTIME
        onnxruntime,
#endif
#ifdef SIMDNORM_BENCH_GGML
        ggml,
#endif
    };
    for (const auto contenders : found) {
        for (const Contender &contender : contenders()) {
            all.push_back(contender);
        }
    }
    return all;
}

} // namespace bench
