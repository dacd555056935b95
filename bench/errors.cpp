// How far each contender's y is from exact when a constant is added to the rows: the JSON that the report draws as
// error against offset.
#include "contender.hpp"
#include "context.hpp"
#include "peers/peers.hpp"
#include "two_passes.hpp"
#include "workspace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using bench::Contender;

constexpr std::size_t rows = 64;
constexpr std::size_t columns_of_matrices[] = {768, 4096};
constexpr int offsets[] = {0, 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
constexpr double epsilon = 1e-5;

// A matrix, and room for what is made of it. gamma is 1 and beta 0, so that y is the normalised value itself.
class Matrix {
  public:
    // The same normal deviates for each offset: nothing but the offset changes.
    Matrix(std::size_t columns, int offset)
        : columns_(columns), x_(bench::allocate(rows * columns)), gamma_(bench::allocate(columns)),
          beta_(bench::allocate(columns)), y_(bench::allocate(rows * columns)), mean_(bench::allocate(rows)),
          rstd_(bench::allocate(rows)) {
        std::mt19937 random(20233);
        std::normal_distribution<double> deviate(0.0, 1.0);
        std::generate_n(x_.get(), rows * columns, [&] { return static_cast<float>(offset + deviate(random)); });
        std::fill_n(gamma_.get(), columns, 1.0F);
    }

    // One call, on one thread: threads share rows out, and the error is that of a row.
    void normalize_by(const Contender &contender) const {
        // What is never written must not pass for the result of the contender before.
        std::fill_n(y_.get(), rows * columns_, std::numeric_limits<float>::quiet_NaN());
        const bench::ForwardProblem problem = {.shape = {rows, columns_, ""},
                                               .threads = 1,
                                               .x = x_.get(),
                                               .gamma = gamma_.get(),
                                               .beta = beta_.get(),
                                               .epsilon = epsilon,
                                               .y = y_.get(),
                                               .mean = mean_.get(),
                                               .rstd = rstd_.get()};
        const bench::Call call = contender.forward(problem);
        call.run();
        if (call.deliver) {
            call.deliver();
        }
    }

    // None where a y is not a finite number.
    std::optional<double> greatest_error() const {
        long double greatest = 0;
        for (std::size_t row = 0; row < rows; ++row) {
            greatest = std::max(greatest, greatest_error_of_row(row));
        }
        return std::isfinite(greatest) ? std::optional(static_cast<double>(greatest)) : std::nullopt;
    }

  private:
    // Against two passes over the floats that the contender was given. Infinite where a y is not a finite number.
    long double greatest_error_of_row(std::size_t row) const {
        const float *x = x_.get() + row * columns_;
        const float *y = y_.get() + row * columns_;
        const auto [mean, variance] = bench::two_pass_statistics<long double>(x, columns_);
        const long double rstd = 1 / std::sqrt(variance + epsilon);
        long double greatest = 0;
        for (std::size_t j = 0; j < columns_; ++j) {
            const long double error = std::abs(y[j] - (x[j] - mean) * rstd);
            greatest = std::isfinite(error) ? std::max(greatest, error) : std::numeric_limits<long double>::infinity();
        }
        return greatest;
    }

    std::size_t columns_;
    bench::Array x_, gamma_, beta_, y_, mean_, rstd_;
};

struct ErrorAtOffset {
    std::string contender;
    int offset;
    std::size_t columns;
    std::optional<double> error;
};

// The automatic set stands for all of simdnorm's, which have the same bits.
std::vector<Contender> contenders() {
    std::vector<Contender> all = bench::simdnorm_contenders();
    std::erase_if(all, [set = bench::automatic_set()](const Contender &contender) { return contender.set != set; });
    for (const Contender &peer : bench::peers()) {
        all.push_back(peer);
    }
    return all;
}

std::vector<ErrorAtOffset> find_errors(const std::vector<Contender> &contenders) {
    std::vector<ErrorAtOffset> errors;
    for (const std::size_t columns : columns_of_matrices) {
        for (const int offset : offsets) {
            const Matrix matrix(columns, offset);
            for (const Contender &contender : contenders) {
                matrix.normalize_by(contender);
                errors.push_back({contender.name, offset, columns, matrix.greatest_error()});
            }
        }
    }
    return errors;
}

// The names of CPUs and compilers may have any character.
std::string quoted(const std::string &text) {
    std::string json = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            json += '\\';
        }
        json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return json + '"';
}

std::string number_or_null(std::optional<double> value) {
    char text[32] = "null"; // JSON has no other word for what is not a finite number
    if (value) {
        std::snprintf(text, sizeof text, "%.9g", *value);
    }
    return text;
}

std::string object_of(const std::vector<bench::Fact> &facts) {
    std::string json;
    for (const bench::Fact &fact : facts) {
        json += (json.empty() ? "\n    " : ",\n    ") + quoted(fact.name) + ": " + quoted(fact.value);
    }
    return "{" + json + "\n  }";
}

std::string list_of(const std::vector<ErrorAtOffset> &errors) {
    std::string json;
    for (const ErrorAtOffset &found : errors) {
        json += (json.empty() ? "\n    " : ",\n    ") + std::string("{\"contender\": ") + quoted(found.contender) +
                ", \"offset\": " + std::to_string(found.offset) + ", \"columns\": " + std::to_string(found.columns) +
                ", \"max_abs_error\": " + number_or_null(found.error) + "}";
    }
    return "[" + json + "\n  ]";
}

std::string make_json() {
    const std::vector<Contender> all = contenders();
    return "{\n  \"context\": " + object_of(bench::context(all)) + ",\n  \"errors\": " + list_of(find_errors(all)) +
           "\n}\n";
}

void write(const std::string &text, std::ostream &out, const std::string &name) {
    if (!(out << text << std::flush)) {
        throw std::runtime_error("cannot write to " + name);
    }
}

int run(const std::vector<std::string> &arguments) {
    if (arguments.size() != 1 && !(arguments.size() == 3 && arguments[1] == "--out")) {
        std::cerr << "usage: simdnorm_errors [--out FILE]\n";
        return EXIT_FAILURE;
    }
    const std::string json = make_json(); // before the file is opened: a failure leaves the one of an earlier run
    if (arguments.size() == 1) {
        write(json, std::cout, "standard output");
    } else {
        std::ofstream file(arguments[2]);
        write(json, file, arguments[2]);
    }
    return EXIT_SUCCESS;
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(std::vector<std::string>(argv, argv + argc));
    } catch (const std::exception &error) {
        std::cerr << "simdnorm_errors: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
