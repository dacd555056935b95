// The fault of this object: an inline function, emitted on its own.
namespace simdnorm {
extern const int planted_kernels;
const int planted_kernels = 1;
} // namespace simdnorm

[[gnu::used]] inline int planted_weak_definition() {
    return 1;
}
