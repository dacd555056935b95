// What is compared: everything that can be timed over a shape.
#pragma once

#include "shapes.hpp"

#include <functional>
#include <string>
#include <vector>

namespace bench {

// The forward pass over one shape: everything that a contender is given.
struct Problem {
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

enum class Kind {
    simdnorm,      // has the bits of the scalar set in y, mean and rstd
    peer,          // another library: is near to exact in y, mean and rstd
    peer_of_y,     // likewise, but hands out y alone
    plain_copy,    // copies x to y
    streaming_copy // likewise
};

// Each part throws std::exception when it cannot be done. Threads and memory that a peer needs live as long as its
// Call.
struct Call {
    std::function<void()> run; // what is timed
    // Brings outputs that `run` leaves elsewhere, or in another form, into y, mean and rstd of the problem, where the
    // check looks. Empty where they are there.
    std::function<void()> deliver = {};
};

struct Contender {
    std::string name; // "simdnorm", "copy", "stream", or a peer's
    std::string set;  // the instruction set that does the work
    Kind kind;
    bool slow; // left out where one call takes long, unless --complete
    // Everything that precedes the call and is not to be timed. Called anew before each timing, as contenders in
    // between may have chosen another instruction set or number of threads.
    std::function<Call(const Problem &)> prepare;
    std::string version = {}; // a peer's
};

// One for each instruction set that this machine has.
std::vector<Contender> simdnorm_contenders();

// The limits: a plain and a streaming copy of x to y.
std::vector<Contender> copy_limits();

// Each wrong in one way: what the check must find.
std::vector<Contender> wrong_contenders();

} // namespace bench
