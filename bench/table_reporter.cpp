#include "table_reporter.hpp"

#include "result_table.hpp"

#include <map>
#include <ostream>

namespace bench {

void TableReporter::print(std::ostream &out) {
    std::map<Pass, ResultTable> tables;
    for (const auto &measurement : measurements().all()) {
        if (const auto found = rate(*measurement)) {
            tables.try_emplace(measurement->pass, automatic_set_).first->second.enter(*measurement, *found);
        }
    }
    out << preamble_;
    for (const auto &[pass, table] : tables) {
        out << '\n' << name_of(pass) << ", GB/s\n\n";
        table.print(out);
    }
}

} // namespace bench
