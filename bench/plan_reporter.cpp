#include "plan_reporter.hpp"

#include "markdown.hpp"
#include "plan_contenders.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <ostream>
#include <tuple>
#include <vector>

namespace bench {

namespace {

struct Row {
    const Measurement *any = nullptr;    // of its shape and threads
    std::map<std::string, double> rates; // bytes per second by the value's name
};

// Of one choice, rows by columns, rows of the matrix and threads.
struct Table {
    std::vector<std::string> values; // in the order in which they are measured
    std::map<std::tuple<std::size_t, std::size_t, int>, Row> rows;

    void enter(const Measurement &measurement, double rate) {
        const std::string &value = measurement.contender.set;
        if (std::find(values.begin(), values.end(), value) == values.end()) {
            values.push_back(value);
        }
        Row &row = rows[{measurement.shape.columns, measurement.shape.rows, measurement.threads}];
        row.any = &measurement;
        row.rates[value] = rate;
    }
};

double rate_of(const Row &row, const std::string &value) {
    const auto found = row.rates.find(value);
    return found == row.rates.end() ? 0 : found->second;
}

Cells cells(const std::string &instruction_set, const Table &table, const Row &row) {
    const Measurement &any = *row.any;
    const std::string planned = planned_value(instruction_set, any.pass, any.contender.name, any.shape, any.threads);
    const double planned_rate = rate_of(row, planned);
    Cells cells = {std::to_string(any.shape.columns),
                   std::to_string(any.shape.rows),
                   any.shape.regime,
                   std::to_string(any.threads),
                   planned,
                   gigabytes(planned_rate)};
    for (const std::string &value : table.values) {
        const double rate = rate_of(row, value);
        cells.push_back(rate > 0 && planned_rate > 0 ? number(rate / planned_rate, 2) : "-");
    }
    return cells;
}

} // namespace

void PlanReporter::print(std::ostream &out) {
    std::map<std::pair<Pass, std::string>, Table> tables;
    for (const auto &measurement : measurements().all()) {
        if (const auto found = rate(*measurement)) {
            tables[{measurement->pass, measurement->contender.name}].enter(*measurement, *found);
        }
    }
    out << preamble_;
    for (const auto &[key, table] : tables) {
        const auto &[pass, choice] = key;
        out << '\n' << name_of(pass) << ", " << choice << "\n\n";
        std::vector<Cells> lines = {{"D", "N", "where", "threads", "planned", "GB/s"}};
        lines.front().insert(lines.front().end(), table.values.begin(), table.values.end());
        for (const auto &entry : table.rows) {
            lines.push_back(cells(instruction_set_, table, entry.second));
        }
        print_table(out, lines);
    }
}

} // namespace bench
