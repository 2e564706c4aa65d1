#include "calibrate/import/csv_table.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

void split(std::string_view line, std::vector<std::string_view>& cells) {
  cells.clear();
  for (std::size_t comma; (comma = line.find(',')) != std::string_view::npos; line.remove_prefix(comma + 1))
    cells.push_back(line.substr(0, comma));
  cells.push_back(line);
}

/// Of an optional column that a file does not have.
constexpr std::size_t absent = static_cast<std::size_t>(-1);

/// The position in the header of every column asked for.
std::vector<std::size_t> find_columns(const std::string& where, const std::vector<std::string_view>& header,
                                      const std::vector<std::string>& columns) {
  const std::vector<std::string> found(header.begin(), header.end());
  std::vector<std::size_t> positions;
  for (std::string column : columns) {
    const bool optional = column.ends_with('?');
    if (optional) column.pop_back();
    const auto at = std::find(found.begin(), found.end(), column);
    if (at == found.end() && optional) {
      positions.push_back(absent);
      continue;
    }
    if (at == found.end())
      throw InputError(fmt::format("{}: found the columns {}, expected '{}' among them{}", where,
                                   fmt::join(found, ", "), column, did_you_mean(column, found)));
    if (std::find(at + 1, found.end(), column) != found.end())
      throw InputError(fmt::format("{}: found the column '{}' twice, expected it once", where, column));
    positions.push_back(static_cast<std::size_t>(at - found.begin()));
  }
  return positions;
}

}  // namespace

void CsvRow::fail(std::size_t column, const std::string& message) const {
  throw InputError(fmt::format("{}:{}: column '{}': {}", file_, line_, name(column), message));
}

std::int64_t CsvRow::count(std::size_t column, std::int64_t least) const {
  const std::string_view cell = cells_[column];
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || value < least)
    fail(column, fmt::format("found '{}', expected a whole number of at least {}", cell, least));
  return value;
}

std::uint64_t CsvRow::hash_without(std::size_t column) const {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < cells_.size(); ++i)
    if (i != column) hash = hash * 0x9e3779b97f4a7c15ULL + std::hash<std::string_view>()(cells_[i]);
  return hash;
}

std::string_view CsvRow::name(std::size_t column) const {
  std::string_view name = columns_[column];
  if (name.ends_with('?')) name.remove_suffix(1);
  return name;
}

void for_each_csv_row(const std::string& path, const std::vector<std::string>& columns,
                      const std::function<void(std::string_view)>& comment,
                      const std::function<void(const CsvRow&)>& visit) {
  std::vector<std::string_view> cells, chosen(columns.size());
  std::vector<std::size_t> positions;
  std::size_t width = 0;
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    if (line.empty()) return;
    if (width == 0 && line.front() == '#') return comment(line.substr(1));
    split(line, cells);
    if (width == 0) {
      width = cells.size();
      positions = find_columns(fmt::format("{}:{}", path, number), cells, columns);
      return;
    }
    if (cells.size() != width)
      throw InputError(fmt::format("{}:{}: found {} cells, expected {} as in the header", path, number,
                                   cells.size(), width));
    for (std::size_t i = 0; i < positions.size(); ++i)
      chosen[i] = positions[i] == absent ? std::string_view() : cells[positions[i]];
    visit(CsvRow(path, number, columns, chosen));
  });
  if (width == 0)
    throw InputError(
        fmt::format("{}: found no header, expected the columns {}", path, fmt::join(columns, ", ")));
}

}  // namespace sextant
