#include "vector.hpp"

#include "layer_norm_kernels.hpp"

namespace simdnorm {

const KernelTable neon_kernels = kernel_table<Vector<Neon>>;

} // namespace simdnorm
