// The fault of this object: the table is not there.
namespace simdnorm {
namespace {
[[gnu::used]] const int planted_kernels = 1;
} // namespace
} // namespace simdnorm
