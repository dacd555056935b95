// The calling thread's last failure, as simdnorm_last_error hands it out.
#pragma once

#include <simdnorm/simdnorm.h>

namespace simdnorm {

// Keeps the message, formatted as by printf, and returns the status.
[[gnu::format(printf, 2, 3)]] simdnorm_status fail(simdnorm_status status, const char *format, ...);

} // namespace simdnorm
