#include "median_reporter.hpp"

#include "progress.hpp"

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

bool MedianReporter::ReportContext(const Context &context) {
    const benchmark::CPUInfo &cpu = context.cpu_info;
    if (!cpu.load_avg.empty() && 2 * cpu.load_avg.front() > cpu.num_cpus) {
        GetErrorStream() << "The machine is busy: its load average is " << cpu.load_avg.front()
                         << ". Rates will be off, and the run takes longer; OMP_WAIT_POLICY=passive keeps"
                            " threads from waiting for each other for too long.\n";
    }
    if (cpu.scaling == benchmark::CPUInfo::ENABLED) {
        GetErrorStream() << "The CPU's frequency scaling is on: rates will vary more than they need to.\n";
    }
    return true;
}

void MedianReporter::ReportRuns(const std::vector<Run> &runs) {
    for (const Run &run : runs) {
        const auto rate = run.counters.find("bytes_per_second"); // missing where a run ended in an error
        const bool wanted = run.run_type == Run::RT_Iteration || run.aggregate_name == "median";
        if (wanted && rate != run.counters.end()) {
            rates_[run.run_name.function_name].push_back(rate->second.value);
        }
    }
}

void MedianReporter::Finalize() {
    end_progress();
    print(GetOutputStream());
}

// The median of the repetitions and their median is the median of the repetitions.
std::optional<double> MedianReporter::rate(const Measurement &measurement) const {
    const auto rates = rates_.find(measurement.name());
    return rates == rates_.end() ? std::nullopt : std::optional(median(rates->second));
}

} // namespace bench
