#include "vector.hpp"

#include "layer_norm_kernels.hpp"

namespace simdnorm {

const KernelTable avx512_kernels = kernel_table<Vector<Avx512>>;

} // namespace simdnorm
