#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sextant {

/// One row of a CSV table, its cells in the order in which the columns were asked for.
class CsvRow {
 public:
  CsvRow(const std::string& file, std::size_t line, const std::vector<std::string>& columns,
         const std::vector<std::string_view>& cells)
      : file_(file), line_(line), columns_(columns), cells_(cells) {}

  std::string_view text(std::size_t column) const { return cells_[column]; }
  /// A whole number of at least `least`. Throws InputError naming file, row and column.
  std::int64_t count(std::size_t column, std::int64_t least) const;
  /// A hash of all cells but one.
  std::uint64_t hash_without(std::size_t column) const;
  std::size_t line() const { return line_; }
  /// The name of a column, without the mark of an optional one.
  std::string_view name(std::size_t column) const;
  /// Throws InputError "FILE:LINE: column 'latency': MESSAGE".
  [[noreturn]] void fail(std::size_t column, const std::string& message) const;

 private:
  const std::string& file_;
  std::size_t line_;
  const std::vector<std::string>& columns_;
  const std::vector<std::string_view>& cells_;
};

/// Reads a CSV file (gzip allowed) row by row. Lines that begin with '#' before the header are comments,
/// passed to `comment` without the '#'. Columns are matched by name; others are ignored.
/// A name that ends with '?' is optional: where the file lacks the column its cells are empty. Throws
/// InputError for a missing or repeated column, a row with more or fewer cells than the header, and a file
/// without a header.
void for_each_csv_row(const std::string& path, const std::vector<std::string>& columns,
                      const std::function<void(std::string_view)>& comment,
                      const std::function<void(const CsvRow&)>& visit);

}  // namespace sextant
