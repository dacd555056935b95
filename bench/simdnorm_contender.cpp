#include "contender.hpp"

#include <simdnorm/simdnorm.h>

#include <stdexcept>

namespace bench {

namespace {

void use_instruction_set(const std::string &name) {
    if (simdnorm_use_instruction_set(name.c_str()) != SIMDNORM_OK) {
        throw std::runtime_error(simdnorm_last_error());
    }
    if (simdnorm_instruction_set() != name) {
        throw std::runtime_error("asked for the instruction set " + name + ", got " + simdnorm_instruction_set());
    }
}

simdnorm_layer_norm_args arguments(const Problem &problem) {
    simdnorm_layer_norm_args args = {};
    args.rows = problem.shape.rows;
    args.columns = problem.shape.columns;
    args.x = problem.x;
    args.gamma = problem.gamma;
    args.beta = problem.beta;
    args.epsilon = problem.epsilon;
    args.y = problem.y;
    args.mean = problem.mean;
    args.rstd = problem.rstd;
    args.threads = problem.threads;
    return args;
}

Call prepare(const std::string &set, const Problem &problem) {
    use_instruction_set(set);
    return {[args = arguments(problem)] {
        if (simdnorm_layer_norm(&args) != SIMDNORM_OK) {
            throw std::runtime_error(simdnorm_last_error());
        }
    }};
}

} // namespace

std::vector<Contender> simdnorm_contenders() {
    std::vector<Contender> contenders;
    for (const char *set : {"scalar", "neon", "avx2", "avx512"}) {
        if (simdnorm_has_instruction_set(set) != 0) {
            contenders.push_back({"simdnorm", set, Kind::simdnorm, std::string(set) == "scalar",
                                  [set](const Problem &problem) { return prepare(set, problem); }});
        }
    }
    return contenders;
}

} // namespace bench
