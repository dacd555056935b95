// What the header promises of a call's status, written down a second time: from its words, in numbers that cannot wrap
// around, and without a look at the library's own checks.
#pragma once

#include "case.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace simdnorm_test {

// Everything that is wrong with the call, as the words that a message may begin with: "args", or a field of the
// arguments. The status must be SIMDNORM_INVALID_ARGUMENT if there is anything, and the message must name one of them.
// `addresses` has that of each argument, 0 for NULL.
std::vector<std::string> faults_of(const Case &problem, const std::vector<std::uintptr_t> &addresses);

// Whether the call may fail where no memory can be had.
bool may_need_memory(const Case &problem);

} // namespace simdnorm_test
