#include "contender.hpp"

#include <bit>
#include <cstdint>

namespace bench {

namespace {

void flip_lowest_bit(float &value) {
    value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) ^ 1U);
}

template <class Problem>
using Spoil = void (*)(const Problem &);

template <class Problem>
Prepare<Problem> spoiled(const Prepare<Problem> &right, Spoil<Problem> spoil) {
    return [right, spoil](const Problem &problem) -> Call {
        return {[call = right(problem), spoil, problem] {
            call.run();
            spoil(problem);
        }};
    };
}

// What is wrong with it shows only when its outputs are delivered.
template <class Problem>
Prepare<Problem> spoiled_in_delivery(const Prepare<Problem> &right, Spoil<Problem> spoil) {
    return [right, spoil](const Problem &problem) -> Call {
        return {right(problem).run, [spoil, problem] { spoil(problem); }};
    };
}

template <class Problem>
Call prepare_nothing(const Problem & /*problem*/) {
    return {[] {}};
}

Contender with_no_pass(const std::string &name, Kind kind, const Contender &right) {
    return {name, right.set, kind, false, {}, {}};
}

Contender forward(const std::string &name, Kind kind, const Contender &right, Spoil<ForwardProblem> spoil) {
    Contender wrong = with_no_pass(name, kind, right);
    wrong.forward = spoiled(right.forward, spoil);
    return wrong;
}

Contender backward(const std::string &name, Kind kind, const Contender &right, Spoil<BackwardProblem> spoil) {
    Contender wrong = with_no_pass(name, kind, right);
    wrong.backward = spoiled(right.backward, spoil);
    return wrong;
}

// A peer may differ from us in its last bits, which these spoil by much more.
std::vector<Contender> wrong_peers(const Contender &right) {
    Contender delivers_wrong_rstd = with_no_pass("wrong_peer_rstd", Kind::peer, right);
    delivers_wrong_rstd.forward =
        spoiled_in_delivery<ForwardProblem>(right.forward, [](const ForwardProblem &p) { p.rstd[0] *= 1.001F; });
    Contender delivers_wrong_dgamma = with_no_pass("wrong_peer_dgamma", Kind::peer, right);
    delivers_wrong_dgamma.backward =
        spoiled_in_delivery<BackwardProblem>(right.backward, [](const BackwardProblem &p) { p.dgamma[0] += 0.01F; });
    return {
        forward("wrong_peer_y", Kind::peer, right,
                [](const ForwardProblem &p) { p.y[p.shape.elements() - 1] += 0.001F; }),
        forward("wrong_peer_mean", Kind::peer, right,
                [](const ForwardProblem &p) { p.mean[p.shape.rows - 1] += 0.001F; }),
        forward("wrong_peer_of_y", Kind::peer_of_y, right, [](const ForwardProblem &p) { p.y[0] += 0.001F; }),
        backward("wrong_peer_dx", Kind::peer, right,
                 [](const BackwardProblem &p) { p.dx[p.shape.elements() - 1] += 0.001F; }),
        backward("wrong_peer_dbeta", Kind::peer, right,
                 [](const BackwardProblem &p) { p.dbeta[p.shape.columns - 1] += 0.01F; }),
        delivers_wrong_rstd,
        delivers_wrong_dgamma,
    };
}

} // namespace

std::vector<Contender> wrong_contenders() {
    const auto spoil_y = [](const ForwardProblem &p) { flip_lowest_bit(p.y[p.shape.elements() - 1]); };
    const auto spoil_mean = [](const ForwardProblem &p) { flip_lowest_bit(p.mean[p.shape.rows - 1]); };
    const auto spoil_rstd = [](const ForwardProblem &p) { flip_lowest_bit(p.rstd[p.shape.rows - 1]); };
    const auto spoil_dx = [](const BackwardProblem &p) { flip_lowest_bit(p.dx[p.shape.elements() - 1]); };
    const auto spoil_dgamma = [](const BackwardProblem &p) { flip_lowest_bit(p.dgamma[p.shape.columns - 1]); };
    const auto spoil_dbeta = [](const BackwardProblem &p) { flip_lowest_bit(p.dbeta[p.shape.columns - 1]); };
    const Contender right = simdnorm_contenders().back();
    const Contender copy = limits().front();
    const Contender triad = limits().back();
    std::vector<Contender> all = {
        forward("wrong_y", Kind::simdnorm, right, spoil_y),
        forward("wrong_mean", Kind::simdnorm, right, spoil_mean),
        forward("wrong_rstd", Kind::simdnorm, right, spoil_rstd),
        forward("wrong_copy", copy.kind, copy, spoil_y),
        backward("wrong_dx", Kind::simdnorm, right, spoil_dx),
        backward("wrong_dgamma", Kind::simdnorm, right, spoil_dgamma),
        backward("wrong_dbeta", Kind::simdnorm, right, spoil_dbeta),
        backward("wrong_triad", triad.kind, triad, spoil_dx),
        {"wrong_idle", "none", Kind::simdnorm, false, prepare_nothing<ForwardProblem>,
         prepare_nothing<BackwardProblem>},
    };
    const std::vector<Contender> peers = wrong_peers(right);
    all.insert(all.end(), peers.begin(), peers.end());
    return all;
}

} // namespace bench
