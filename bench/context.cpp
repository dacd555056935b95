#include "context.hpp"

#include "machine.hpp"

#include <simdnorm/simdnorm.h>

#include <algorithm>
#include <stdexcept>

namespace bench {

std::string automatic_set() {
    simdnorm_use_instruction_set("auto");
    std::string set = simdnorm_instruction_set();
    const auto contenders = simdnorm_contenders();
    if (std::none_of(contenders.begin(), contenders.end(), [&](const auto &c) { return c.set == set; })) {
        throw std::runtime_error("the benchmark does not know the instruction set " + set);
    }
    return set;
}

std::string build_and_machine() {
    return compiler() + ".\n" + cpu_name() + ", " + std::to_string(cpu_count()) + " CPUs, " + describe(cache_sizes());
}

std::vector<Fact> context(const std::vector<Contender> &contenders) {
    const CacheSizes caches = cache_sizes();
    std::vector<Fact> facts = {{"cpu", cpu_name()},
                               {"cache_sizes", describe(caches)},
                               {"l1d_bytes", std::to_string(caches.l1.bytes)},
                               {"l2_bytes", std::to_string(caches.l2.bytes)},
                               {"l3_bytes", std::to_string(caches.l3.bytes)},
                               {"compiler", compiler()},
                               {"simdnorm_version", simdnorm_version()},
                               {"automatic_instruction_set", automatic_set()}};
    for (const Contender &contender : contenders) {
        if (!contender.version.empty()) {
            facts.push_back({contender.name + "_version", contender.version});
        }
    }
    return facts;
}

} // namespace bench
