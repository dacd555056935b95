#include "csv.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <string_view>
#include <system_error>

namespace {

// Where in the file the reader is.
struct Position {
    const std::string &path;
    std::size_t line = 0;
    std::size_t column = 0;
};

[[noreturn]] void fail(const Position &at, const std::string &what) {
    throw CsvError(at.path + ": line " + std::to_string(at.line) + ", column " + std::to_string(at.column) + ": " +
                   what);
}

std::string quoted(std::string_view text) {
    constexpr std::size_t longest = 40;
    return text.size() <= longest ? '"' + std::string(text) + '"'
                                  : '"' + std::string(text.substr(0, longest)) + "...\"";
}

std::string_view without_spaces_around(std::string_view text) {
    const std::string_view spaces = " \t\r";
    const std::size_t first = text.find_first_not_of(spaces);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> fields;
    for (std::size_t comma = line.find(','); comma != std::string_view::npos; comma = line.find(',')) {
        fields.push_back(without_spaces_around(line.substr(0, comma)));
        line.remove_prefix(comma + 1);
    }
    fields.push_back(without_spaces_around(line));
    return fields;
}

float parse(std::string_view field, const Position &at) {
    if (field.empty()) {
        fail(at, "there is no number");
    }
    float value = 0;
    const auto [end, problem] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (problem == std::errc::invalid_argument || end != field.data() + field.size()) {
        fail(at, quoted(field) + " is not a number");
    }
    if (problem == std::errc::result_out_of_range) {
        fail(at, quoted(field) + " is beyond the range of a float");
    }
    if (!std::isfinite(value)) {
        fail(at, quoted(field) + " is not a finite number");
    }
    return value;
}

void append_row(Table &result, std::string_view line, const CsvFormat &format, Position at) {
    std::vector<std::string_view> fields = split(line);
    const std::size_t expected = result.columns + (format.label_column ? 1 : 0);
    if (result.rows > 0 && fields.size() != expected) {
        at.column = fields.size() < expected ? fields.size() : expected + 1;
        fail(at, "the line has " + std::to_string(fields.size()) + " columns, the lines before it have " +
                     std::to_string(expected));
    }
    if (format.label_column) {
        if (fields.size() < 2) {
            at.column = 1;
            fail(at, "there is no number before the label");
        }
        result.labels.emplace_back(fields.back());
        fields.pop_back();
    }
    for (const std::string_view field : fields) {
        ++at.column;
        result.values.push_back(parse(field, at));
    }
    result.columns = fields.size();
    ++result.rows;
}

} // namespace

Table read_csv(const std::string &path, const CsvFormat &format) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw CsvError(path + ": " + std::generic_category().message(errno));
    }
    Table result;
    Position at{path};
    std::size_t empty_line = 0;
    for (std::string line; std::getline(file, line);) {
        ++at.line;
        if (format.header && at.line == 1) {
            continue;
        }
        if (without_spaces_around(line).empty()) {
            empty_line = empty_line == 0 ? at.line : empty_line;
            continue;
        }
        if (empty_line != 0) {
            fail({path, empty_line, 1}, "the line is empty");
        }
        append_row(result, line, format, at);
    }
    if (file.bad()) {
        throw CsvError(path + ": cannot be read");
    }
    if (result.rows == 0) {
        fail({path, at.line + 1, 1}, "the file has no rows");
    }
    return result;
}
