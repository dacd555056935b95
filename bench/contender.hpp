// What is compared: everything that can be timed over a shape.
#pragma once

#include "shapes.hpp"

#include <functional>
#include <string>
#include <vector>

namespace bench {

// The forward pass over one shape: everything that a contender is given.
struct ForwardProblem {
    Shape shape;
    int threads;
    const float *x;
    const float *gamma;
    const float *beta;
    double epsilon;
    float *y;
    float *mean;
    float *rstd;
};

// The backward pass likewise.
struct BackwardProblem {
    Shape shape;
    int threads;
    const float *dy;
    const float *x;
    const float *gamma;
    const float *mean; // what simdnorm's forward pass makes of x, as is rstd
    const float *rstd;
    double epsilon; // that rstd was made with
    float *dx;
    float *dgamma;
    float *dbeta;
};

enum class Kind {
    simdnorm,       // has the bits of the scalar set in every output
    peer,           // another library: is near to exact in every output
    peer_of_y,      // likewise, but of a forward pass hands out y alone
    plain_limit,    // forward y = x, backward dx = dy + x: moves the bytes of the pass, by ordinary loads and stores
    streaming_limit // likewise, past the caches
};

constexpr bool is_limit(Kind kind) {
    return kind == Kind::plain_limit || kind == Kind::streaming_limit;
}

// Each part throws std::exception when it cannot be done. Threads and memory that a peer needs live as long as its
// Call.
struct Call {
    std::function<void()> run; // what is timed
    // Brings outputs that `run` leaves elsewhere, or in another form, to where the problem wants them and the check
    // looks. Empty where they are there.
    std::function<void()> deliver = {};
};

// Everything that precedes the call and is not to be timed. Called anew before each timing, as contenders in between
// may have chosen another instruction set or number of threads.
template <class Problem>
using Prepare = std::function<Call(const Problem &)>;

struct Contender {
    std::string name; // "simdnorm", a limit's or a peer's; or a choice of simdnorm's plans, as "grouping"
    std::string set;  // the instruction set that does the work; or a value of that choice, as "fours"
    Kind kind;
    bool slow; // left out where one call takes long, unless --complete
    // A pass that the contender does not have is empty.
    Prepare<ForwardProblem> forward;
    Prepare<BackwardProblem> backward;
    std::string version = {};                              // a peer's
    std::function<bool(const Shape &)> can_take = nullptr; // all shapes where empty

    bool has(Pass pass, const Shape &shape) const {
        return (pass == Pass::forward ? forward != nullptr : backward != nullptr) && (!can_take || can_take(shape));
    }
};

// One for each instruction set that this machine has.
std::vector<Contender> simdnorm_contenders();

// A plain and a streaming one of each pass: a copy of x to y, and the sum of dy and x in dx.
std::vector<Contender> limits();

// Each wrong in one way: what the check must find.
std::vector<Contender> wrong_contenders();

} // namespace bench
