#include "vector.hpp"

#include "layer_norm_kernels.hpp"

namespace simdnorm {

const KernelTable avx2_kernels = kernel_table<Vector<Avx2>>;

} // namespace simdnorm
