#include "contender.hpp"

#include <bit>
#include <cstdint>

namespace bench {

namespace {

void flip_lowest_bit(float &value) {
    value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) ^ 1U);
}

using Spoil = void (*)(const Problem &);

Contender spoiled(const std::string &name, const Contender &right, Spoil spoil) {
    Contender wrong = right;
    wrong.name = name;
    wrong.prepare = [right, spoil](const Problem &problem) -> Call {
        return {[call = right.prepare(problem), spoil, problem] {
            call.run();
            spoil(problem);
        }};
    };
    return wrong;
}

// A peer may differ from us in its last bits, which these spoil by much more.
Contender peer(const std::string &name, Kind kind, Spoil spoil) {
    Contender wrong = spoiled(name, simdnorm_contenders().back(), spoil);
    wrong.kind = kind;
    return wrong;
}

// What is wrong with it shows only when its outputs are delivered.
Contender bad_delivery(const std::string &name) {
    Contender wrong = peer(name, Kind::peer, [](const Problem &) {});
    wrong.prepare = [right = wrong.prepare](const Problem &problem) -> Call {
        return {right(problem).run, [problem] { problem.rstd[0] *= 1.001F; }};
    };
    return wrong;
}

Contender idle() {
    return {"wrong_idle", "none", Kind::simdnorm, false, [](const Problem &) -> Call { return {[] {}}; }};
}

} // namespace

std::vector<Contender> wrong_contenders() {
    const auto spoil_y = [](const Problem &p) { flip_lowest_bit(p.y[p.shape.elements() - 1]); };
    const auto spoil_mean = [](const Problem &p) { flip_lowest_bit(p.mean[p.shape.rows - 1]); };
    const auto spoil_rstd = [](const Problem &p) { flip_lowest_bit(p.rstd[p.shape.rows - 1]); };
    const Contender normalisation = simdnorm_contenders().back();
    return {
        spoiled("wrong_y", normalisation, spoil_y),
        spoiled("wrong_mean", normalisation, spoil_mean),
        spoiled("wrong_rstd", normalisation, spoil_rstd),
        spoiled("wrong_copy", copy_limits().front(), spoil_y),
        idle(),
        peer("wrong_peer_y", Kind::peer, [](const Problem &p) { p.y[p.shape.elements() - 1] += 0.001F; }),
        peer("wrong_peer_mean", Kind::peer, [](const Problem &p) { p.mean[p.shape.rows - 1] += 0.001F; }),
        peer("wrong_peer_of_y", Kind::peer_of_y, [](const Problem &p) { p.y[0] += 0.001F; }),
        bad_delivery("wrong_peer_rstd"),
    };
}

} // namespace bench
