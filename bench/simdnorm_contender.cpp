#include "simdnorm_contender.hpp"

#include <simdnorm/simdnorm.h>

#include <stdexcept>

namespace bench {

void use_instruction_set(const std::string &name) {
    if (simdnorm_use_instruction_set(name.c_str()) != SIMDNORM_OK) {
        throw std::runtime_error(simdnorm_last_error());
    }
    if (simdnorm_instruction_set() != name) {
        throw std::runtime_error("asked for the instruction set " + name + ", got " + simdnorm_instruction_set());
    }
}

simdnorm_layer_norm_args arguments(const ForwardProblem &problem) {
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

simdnorm_layer_norm_backward_args arguments(const BackwardProblem &problem) {
    simdnorm_layer_norm_backward_args args = {};
    args.rows = problem.shape.rows;
    args.columns = problem.shape.columns;
    args.dy = problem.dy;
    args.x = problem.x;
    args.gamma = problem.gamma;
    args.mean = problem.mean;
    args.rstd = problem.rstd;
    args.dx = problem.dx;
    args.dgamma = problem.dgamma;
    args.dbeta = problem.dbeta;
    args.threads = problem.threads;
    return args;
}

namespace {

simdnorm_status call(const simdnorm_layer_norm_args &args) {
    return simdnorm_layer_norm(&args);
}

simdnorm_status call(const simdnorm_layer_norm_backward_args &args) {
    return simdnorm_layer_norm_backward(&args);
}

template <class Problem>
Prepare<Problem> prepare_with(const std::string &set) {
    return [set](const Problem &problem) -> Call {
        use_instruction_set(set);
        return {[args = arguments(problem)] {
            if (call(args) != SIMDNORM_OK) {
                throw std::runtime_error(simdnorm_last_error());
            }
        }};
    };
}

} // namespace

std::vector<Contender> simdnorm_contenders() {
    std::vector<Contender> contenders;
    for (const char *set : {"scalar", "neon", "avx2", "avx512"}) {
        if (simdnorm_has_instruction_set(set) != 0) {
            contenders.push_back({"simdnorm", set, Kind::simdnorm, std::string(set) == "scalar",
                                  prepare_with<ForwardProblem>(set), prepare_with<BackwardProblem>(set)});
        }
    }
    return contenders;
}

} // namespace bench
