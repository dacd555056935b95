#include "table_reporter.hpp"

#include "progress.hpp"
#include "result_table.hpp"

#include <algorithm>
#include <ostream>

namespace bench {

namespace {

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

} // namespace

bool TableReporter::ReportContext(const Context &context) {
    const benchmark::CPUInfo &cpu = context.cpu_info;
    if (!cpu.load_avg.empty() && 2 * cpu.load_avg.front() > cpu.num_cpus) {
        GetErrorStream() << "The machine is busy: its load average is " << cpu.load_avg.front()
                         << ". Rates will be off, and the run takes longer.\n";
    }
    if (cpu.scaling == benchmark::CPUInfo::ENABLED) {
        GetErrorStream() << "The CPU's frequency scaling is on: rates will vary more than they need to.\n";
    }
    return true;
}

void TableReporter::ReportRuns(const std::vector<Run> &runs) {
    for (const Run &run : runs) {
        const auto rate = run.counters.find("bytes_per_second"); // missing where a run ended in an error
        const bool wanted = run.run_type == Run::RT_Iteration || run.aggregate_name == "median";
        if (wanted && rate != run.counters.end()) {
            rates_[run.run_name.function_name].push_back(rate->second.value);
        }
    }
}

// The median of the repetitions and their median is the median of the repetitions.
void TableReporter::Finalize() {
    end_progress();
    std::map<Pass, ResultTable> tables;
    for (const auto &measurement : measurements_.all()) {
        const auto rates = rates_.find(measurement->name());
        if (rates != rates_.end()) {
            tables.try_emplace(measurement->pass, automatic_set_)
                .first->second.enter(*measurement, median(rates->second));
        }
    }
    GetOutputStream() << preamble_;
    for (const auto &[pass, table] : tables) {
        GetOutputStream() << '\n' << name_of(pass) << ", GB/s\n\n";
        table.print(GetOutputStream());
    }
}

} // namespace bench
