#include "data.hpp"

#include "csv.hpp"

#include <cstddef>

Digits read_digits(const std::string &path) {
    constexpr float darkest = 16;
    const Table table = read_csv(path, {.header = false, .label_column = true});
    Digits result;
    result.pixels = Eigen::Map<const Matrix>(table.values.data(), static_cast<Eigen::Index>(table.rows),
                                             static_cast<Eigen::Index>(table.columns)) /
                    darkest;
    for (const std::string &label : table.labels) {
        result.labels.push_back(std::stol(label));
    }
    return result;
}

Digits pick(const Digits &digits, std::span<const Eigen::Index> rows) {
    Digits result;
    result.pixels.resize(static_cast<Eigen::Index>(rows.size()), digits.pixels.cols());
    for (const Eigen::Index row : rows) {
        result.pixels.row(static_cast<Eigen::Index>(result.labels.size())) = digits.pixels.row(row);
        result.labels.push_back(digits.labels[static_cast<std::size_t>(row)]);
    }
    return result;
}
