// Reads numbers from a CSV file, and says where the file is wrong.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

// A matrix of numbers, row after row, and the label of each row where the file has labels.
struct Table {
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::vector<float> values;
    std::vector<std::string> labels;
};

struct CsvFormat {
    bool header = false;       // the first line names the columns
    bool label_column = false; // the last column is a label, any text
};

// what() names the file and, where there is one, the line and the column that are wrong, both counted from 1.
class CsvError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Throws CsvError. Numbers are finite, separated by commas, with spaces around them or not; lines end in LF or CRLF;
// empty lines may stand at the end alone.
Table read_csv(const std::string &path, const CsvFormat &format);
