// What is wrong with a call, in words.
#pragma once

#include <simdnorm/simdnorm.h>

#include <cstddef>

namespace simdnorm {

// SIMDNORM_OK, or the failure, which simdnorm_last_error then tells.
simdnorm_status check_arguments(const simdnorm_layer_norm_args *args);
simdnorm_status check_arguments(const simdnorm_layer_norm_backward_args *args);

// What a stride of 0 stands for.
constexpr std::size_t stride_or(std::size_t stride, std::size_t columns) {
    return stride != 0 ? stride : columns;
}

} // namespace simdnorm
