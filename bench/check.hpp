// Whether an output is right. Nothing is timed before this has been seen.
#pragma once

#include "contender.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace bench {

struct Mismatch {
    std::string quantity; // as "y" or "dgamma"
    std::size_t row;      // 0 where it belongs to a column alone
    std::size_t column;   // 0 where it belongs to a row alone
    float expected;
    float found;
};

std::string describe(const Mismatch &mismatch);

// Overwrites what the check will look at, so that an output that was never written cannot pass for a right one.
void spoil_outputs(const ForwardProblem &problem);
void spoil_outputs(const BackwardProblem &problem);

struct SumsOverRows; // check_backward.cpp

// Compares the outputs with the reference: the scalar set, which in turn must agree with plain passes in double. y, dx,
// mean and rstd are compared row by row. Of a matrix of up to a million elements every row is looked at; of a larger
// one so many elements, in rows spread over it from the first to the last. dgamma and dbeta are sums over all rows, and
// made once for each shape: x and dy must stay the same. May leave the scalar set in use.
class Check {
  public:
    Check();
    Check(const Check &) = delete;
    Check &operator=(const Check &) = delete;
    ~Check();

    std::optional<Mismatch> find_mismatch(const ForwardProblem &problem, Kind kind);
    std::optional<Mismatch> find_mismatch(const BackwardProblem &problem, Kind kind);

  private:
    const SumsOverRows &sums_of(const BackwardProblem &problem);

    std::map<std::pair<std::size_t, std::size_t>, std::unique_ptr<SumsOverRows>> sums_; // by rows and columns
};

} // namespace bench
