// What layer normalisation does to the rows of a table: their means and standard deviations before and after.
#include "csv.hpp"

#include <simdnorm/simdnorm.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t rows_shown = 4;

constexpr const char *usage = "usage: digits [--label-column last|none] [--header] [FILE]\n"
                              "\n"
                              "Normalises each row of a CSV file and prints the means and standard deviations of the\n"
                              "first rows before and after, with gamma = 1 and beta = 0, then gamma = 3 and beta = 5.\n"
                              "\n"
                              "  FILE                 numbers separated by commas, one row a line;\n"
                              "                       without it, " DIGITS_CSV "\n"
                              "  --label-column last  the last column is a label, any text, and no part of the row;\n"
                              "                       so it is without FILE\n"
                              "  --label-column none  every column is a number of the row; so it is with FILE\n"
                              "  --header             the first line names the columns: pass over it\n"
                              "  --help               print this\n"
                              "\n"
                              "Exit status: 0; 1 if the file cannot be used; 2 if these arguments are wrong.\n";

struct Options {
    std::optional<std::string> path;
    std::optional<bool> label_column;
    bool header = false;
    bool help = false;
};

class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

bool parse_label_column(std::string_view where) {
    if (where != "last" && where != "none") {
        throw UsageError("--label-column is last or none, not \"" + std::string(where) + "\"");
    }
    return where == "last";
}

Options parse_arguments(std::span<char *> arguments) {
    Options result;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--help") {
            result.help = true;
        } else if (argument == "--header") {
            result.header = true;
        } else if (argument == "--label-column") {
            result.label_column = parse_label_column(++i < arguments.size() ? arguments[i] : "");
        } else if (argument.starts_with('-')) {
            throw UsageError("unknown option " + std::string(argument));
        } else if (result.path) {
            throw UsageError("more than one file: " + *result.path + " and " + std::string(argument));
        } else {
            result.path = argument;
        }
    }
    return result;
}

// Of each row, in double: the example judges the library's arithmetic, so it does not lean on it.
struct RowStatistics {
    std::vector<double> means;
    std::vector<double> deviations;
};

RowStatistics statistics_of(const std::vector<float> &values, std::size_t columns) {
    RowStatistics result;
    for (auto row = values.begin(); row != values.end(); row += static_cast<std::ptrdiff_t>(columns)) {
        const std::span<const float> elements(row, columns);
        const auto count = static_cast<double>(columns);
        double mean = 0;
        for (const float element : elements) {
            mean += element / count;
        }
        double variance = 0;
        for (const float element : elements) {
            variance += (element - mean) * (element - mean) / count;
        }
        result.means.push_back(mean);
        result.deviations.push_back(std::sqrt(variance));
    }
    return result;
}

std::vector<float> normalized(const Table &input, float gamma, float beta) {
    std::vector<float> y(input.values.size());
    const std::vector<float> gammas(input.columns, gamma);
    const std::vector<float> betas(input.columns, beta);
    simdnorm::layer_norm({.x = {input.values.data(), input.rows, input.columns},
                          .gamma = gammas,
                          .beta = betas,
                          .y = {y.data(), input.rows, input.columns}});
    return y;
}

double largest_distance(const std::vector<double> &values, double from) {
    double distance = 0;
    for (const double value : values) {
        distance = std::max(distance, std::fabs(value - from));
    }
    return distance;
}

void print_first(const char *name, const std::vector<double> &values) {
    std::printf("  %s", name);
    for (std::size_t i = 0; i < std::min(rows_shown, values.size()); ++i) {
        std::printf(" %14.8g", values[i]);
    }
    std::printf("\n");
}

void print(const RowStatistics &statistics) {
    print_first("means:", statistics.means);
    print_first("stds: ", statistics.deviations);
}

void print_normalized(const Table &input, float gamma, float beta) {
    const RowStatistics after = statistics_of(normalized(input, gamma, beta), input.columns);
    std::printf("After layer normalisation with gamma = %g, beta = %g: means near %g, stds near %g\n", gamma, beta,
                beta, gamma);
    print(after);
    std::printf("  of all rows, the mean farthest from %g is off by %.1e, the std farthest from %g by %.1e\n", beta,
                largest_distance(after.means, beta), gamma, largest_distance(after.deviations, gamma));
}

void show(const Options &chosen) {
    const std::string path = chosen.path.value_or(DIGITS_CSV);
    const bool label_column = chosen.label_column.value_or(!chosen.path);
    const Table input = read_csv(path, {.header = chosen.header, .label_column = label_column});

    std::printf("%s: %zu rows of %zu columns%s\n", path.c_str(), input.rows, input.columns,
                label_column ? " and a label" : "");
    std::printf("Before layer normalisation, the first rows\n");
    print(statistics_of(input.values, input.columns));
    print_normalized(input, 1, 0);
    print_normalized(input, 3, 5);
}

} // namespace

int main(int argument_count, char **arguments) {
    try {
        const Options chosen = parse_arguments({arguments + 1, arguments + argument_count});
        if (chosen.help) {
            std::fputs(usage, stdout);
        } else {
            show(chosen);
        }
        if (std::fflush(stdout) != 0) {
            throw std::runtime_error("cannot write to standard output");
        }
        return 0;
    } catch (const UsageError &error) {
        std::fprintf(stderr, "digits: %s\n\n%s", error.what(), usage);
        return 2;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "digits: %s\n", error.what());
        return 1;
    }
}
