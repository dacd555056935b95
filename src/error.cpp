#include "error.hpp"

#include "floating_point_environment.hpp"

#include <cstdarg>
#include <cstdio>

namespace simdnorm {
namespace {

// A fixed array: telling of a failure must not fail itself.
thread_local char last_error[512] = "";

} // namespace

simdnorm_status fail(simdnorm_status status, const char *format, ...) {
    const DefaultFloatingPointEnvironment environment; // printing a number may raise flags
    va_list values;
    va_start(values, format);
    std::vsnprintf(last_error, sizeof last_error, format, values);
    va_end(values);
    return status;
}

} // namespace simdnorm

const char *simdnorm_last_error(void) noexcept {
    return simdnorm::last_error;
}

const char *simdnorm_status_message(int status) noexcept {
    switch (status) {
    case SIMDNORM_OK:
        return "The call succeeded.";
    case SIMDNORM_INVALID_ARGUMENT:
        return "An argument is invalid; simdnorm_last_error tells which and why.";
    case SIMDNORM_UNSUPPORTED:
        return "This CPU or this build of simdnorm has no such instruction set.";
    case SIMDNORM_OUT_OF_MEMORY:
        return "There was not enough memory for the call's scratch space.";
    default:
        return "This number is not a status of simdnorm.";
    }
}

const char *simdnorm_version(void) noexcept {
    return SIMDNORM_VERSION;
}
