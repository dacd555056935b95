// Prints the instruction set in use, for the tests of SIMDNORM_INSTRUCTION_SET: the library looks at the environment
// once in the life of a process. An argument is the name of a set to use explicitly, first of all.
#include <simdnorm/simdnorm.h>

#include <cstdio>
#include <thread>
#include <vector>

namespace {

void normalize_something() {
    const float x[2] = {1, 3};
    float y[2];
    simdnorm_layer_norm_args args = {};
    args.rows = 1;
    args.columns = 2;
    args.x = x;
    args.y = y;
    simdnorm_layer_norm(&args);
}

} // namespace

int main(int argc, char **argv) {
    if (argc > 1 && simdnorm_use_instruction_set(argv[1]) != SIMDNORM_OK) {
        std::fprintf(stderr, "%s\n", simdnorm_last_error());
        return 1;
    }
    // A warning is due once, however many threads come first.
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([] {
            normalize_something();
            simdnorm_instruction_set();
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    simdnorm_has_instruction_set("scalar");
    std::printf("%s\n", simdnorm_instruction_set());
    return 0;
}
