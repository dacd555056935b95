// The fuzzer's target. An input is one call (case.hpp), which is made on every instruction set that this machine has:
// an input that was kept on one machine tests what another has as well. After it
//   - the status is the one that the header's words ask for (expectation.hpp), and a message names what is at fault;
//   - outputs have the bits of the plainest calls of the scalar set (reference.hpp), which are checked against the
//     header in turn;
//   - nothing else in memory has changed: neither inputs, nor gaps between rows, nor what lies around arguments, nor,
//     after a failure, any output. Forbidden pages tell of reads and writes beyond those.
#include "bits.hpp"
#include "case.hpp"
#include "expectation.hpp"
#include "instruction_sets.hpp"
#include "memory.hpp"
#include "reference.hpp"
#include "stand_ins.hpp"

#include <simdnorm/simdnorm.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

namespace simdnorm_test {
namespace {

[[noreturn]] void fail(const Case &problem, const std::string &what) {
    std::fprintf(stderr, "%s\n%s\n", what.c_str(), describe(problem).c_str());
    std::abort();
}

simdnorm_status call_forward(const Case &problem, const Memory &memory) {
    const std::vector<Argument> &all = problem.arguments;
    simdnorm_layer_norm_args args = {};
    args.rows = problem.rows;
    args.columns = problem.columns;
    args.x = memory.pointer(forward::x);
    args.x_stride = all[forward::x].stride;
    args.gamma = memory.pointer(forward::gamma);
    args.beta = memory.pointer(forward::beta);
    args.epsilon = problem.epsilon;
    args.y = memory.pointer(forward::y);
    args.y_stride = all[forward::y].stride;
    args.mean = memory.pointer(forward::mean);
    args.rstd = memory.pointer(forward::rstd);
    args.threads = problem.threads;
    args.store = problem.store;
    return simdnorm_layer_norm(problem.args_is_null ? nullptr : &args);
}

simdnorm_status call_backward(const Case &problem, const Memory &memory) {
    const std::vector<Argument> &all = problem.arguments;
    simdnorm_layer_norm_backward_args args = {};
    args.rows = problem.rows;
    args.columns = problem.columns;
    args.dy = memory.pointer(backward::dy);
    args.dy_stride = all[backward::dy].stride;
    args.x = memory.pointer(backward::x);
    args.x_stride = all[backward::x].stride;
    args.gamma = memory.pointer(backward::gamma);
    args.mean = memory.pointer(backward::mean);
    args.rstd = memory.pointer(backward::rstd);
    args.dx = memory.pointer(backward::dx);
    args.dx_stride = all[backward::dx].stride;
    args.dgamma = memory.pointer(backward::dgamma);
    args.dbeta = memory.pointer(backward::dbeta);
    args.threads = problem.threads;
    args.store = problem.store;
    return simdnorm_layer_norm_backward(problem.args_is_null ? nullptr : &args);
}

simdnorm_status call_library(const Case &problem, const Memory &memory) {
    const FailingMemory failing(problem.memory_fails);
    return problem.is_backward ? call_backward(problem, memory) : call_forward(problem, memory);
}

// "simdnorm_layer_norm: columns is 0; ..." names columns.
bool message_names(const Case &problem, const std::vector<std::string> &faults) {
    const std::string call = problem.is_backward ? "simdnorm_layer_norm_backward: " : "simdnorm_layer_norm: ";
    const std::string message = simdnorm_last_error();
    return std::any_of(faults.begin(), faults.end(),
                       [&](const std::string &fault) { return message.rfind(call + fault + " ", 0) == 0; });
}

// Where memory is as it must be after the call.
class Judge {
  public:
    Judge(const Case &problem, const Memory &memory, const Image &before)
        : problem_(problem), memory_(memory), expected_(before) {
        for (const std::vector<float> &part : before) {
            any_nan_.emplace_back(part.size(), false);
        }
    }

    void expect(const Expected &output) {
        const Argument &argument = problem_.arguments[output.argument];
        const std::size_t part = memory_.part(output.argument);
        for (std::size_t i = 0; i < output.values.size(); ++i) {
            const std::size_t at = memory_.index(output.argument, i / argument.columns, i % argument.columns);
            expected_[part][at] = output.values[i];
            any_nan_[part][at] = output.any_nan[i];
        }
    }

    void compare(const std::string &set) const {
        const Image actual = memory_.image();
        for (std::size_t part = 0; part < actual.size(); ++part) {
            if (!same_bits(actual[part].data(), expected_[part].data(), actual[part].size())) {
                compare(set, part, actual[part]);
            }
        }
    }

  private:
    void compare(const std::string &set, std::size_t part, const std::vector<float> &actual) const {
        for (std::size_t i = 0; i < actual.size(); ++i) {
            const float expected = expected_[part][i];
            const bool both_nan = any_nan_[part][i] && std::isnan(actual[i]) && std::isnan(expected);
            if (bits_of(actual[i]) != bits_of(expected) && !both_nan) {
                const auto from_start =
                    static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(memory_.index(part, 0, 0));
                fail(problem_, "on " + set + ": " + std::to_string(from_start) + " floats from the start of " +
                                   problem_.arguments[part].name + " stands " + hex(actual[i]) + " instead of " +
                                   hex(expected));
            }
        }
    }

    const Case &problem_;
    const Memory &memory_;
    Image expected_;
    std::vector<std::vector<bool>> any_nan_;
};

const std::vector<std::string> &sets_under_test() {
    static const std::vector<std::string> sets = usable_instruction_sets();
    return sets;
}

// No output may be touched.
void expect_failure(const Case &problem, Memory &memory, const std::vector<std::string> &faults) {
    const Image before = memory.image();
    const simdnorm_status status = call_library(problem, memory);
    if (status != SIMDNORM_INVALID_ARGUMENT) {
        fail(problem, "status " + std::to_string(status) + ", but at fault is " + faults.front());
    }
    if (!message_names(problem, faults)) {
        fail(problem, "at fault is " + faults.front() + ", but the message is: " + simdnorm_last_error());
    }
    Judge(problem, memory, before).compare("every set");
}

void expect_success(const Case &problem, Memory &memory) {
    Image before = filled(problem, memory);
    if (problem.is_backward && problem.keeps_statistics && problem.rows > 0) {
        keep_statistics(problem, memory, before);
    }
    const Reference right = reference(problem, memory, before);
    if (!right.contradiction.empty()) {
        fail(problem, "scalar: " + right.contradiction);
    }
    const Judge untouched(problem, memory, before);
    Judge done = untouched;
    for (const Expected &output : right.outputs) {
        done.expect(output);
    }
    for (const std::string &name : sets_under_test()) {
        const UseInstructionSet set(name);
        memory.restore(before);
        const simdnorm_status status = call_library(problem, memory);
        if (status == SIMDNORM_OK) {
            done.compare(name);
        } else if (status == SIMDNORM_OUT_OF_MEMORY && problem.memory_fails && may_need_memory(problem)) {
            untouched.compare(name);
        } else {
            fail(problem, "status " + std::to_string(status) + " on " + name + ": " + simdnorm_last_error());
        }
    }
}

} // namespace

void run_case(const Case &problem) {
    pretend_machine(problem.machine);
    Memory memory(problem);
    const std::vector<std::string> faults = faults_of(problem, memory.addresses());
    if (!faults.empty()) {
        expect_failure(problem, memory, faults);
        return;
    }
    // A sound call that no memory holds cannot be made.
    const bool fits = std::all_of(problem.arguments.begin(), problem.arguments.end(),
                                  [](const Argument &argument) { return argument.fits(); });
    if (fits) {
        expect_success(problem, memory);
    }
}

} // namespace simdnorm_test

// libFuzzer's name.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    simdnorm_test::run_case(simdnorm_test::decode(simdnorm_test::Input({data, size})));
    return 0;
}
