// The fault of this object: a second definition that other objects can see.
namespace simdnorm {
extern const int planted_kernels;
const int planted_kernels = 1;
} // namespace simdnorm

int planted_global_definition();
int planted_global_definition() {
    return 1;
}
