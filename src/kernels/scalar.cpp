#include "scalar_vector.hpp"

#include "layer_norm_kernels.hpp"

namespace simdnorm {

const KernelTable scalar_kernels = kernel_table<ScalarVector>;

} // namespace simdnorm
