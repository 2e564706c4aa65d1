#include "reports/table.hpp"

#include <algorithm>

namespace sextant {
namespace {

constexpr std::size_t longest_cell = 200;
constexpr std::size_t least_width = 8;
constexpr std::string_view indent = "  ";
constexpr std::string_view gap = "  ";

std::vector<std::string> lines_of(const std::string& header) {
  const std::size_t end = header.find('\n');
  if (end == std::string::npos) return {"", header};
  return {header.substr(0, end), header.substr(end + 1)};
}

/// Padded text in its tone; trailing spaces of a line are removed by the caller.
std::string cell_text(const std::string& text, Tone tone, Table::Align align, std::size_t width,
                      TextStyle style) {
  const std::string shown = cut(text, width);
  const std::string padding(width - display_width(shown), ' ');
  const std::string painted = paint(shown, tone, style);
  return align == Table::Align::right ? padding + painted : painted + padding;
}

std::string finished(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  row.resize(columns_.size(), Cell(""));
  for (Cell& cell : row) cell.text = printable(cell.text, longest_cell);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::shown_columns() const {
  std::vector<std::size_t> shown;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const bool filled =
        std::any_of(rows_.begin(), rows_.end(), [&](const auto& row) { return !row[c].text.empty(); });
    if (filled || !columns_[c].header.empty()) shown.push_back(c);
  }
  return shown;
}

std::vector<std::size_t> Table::widths(const std::vector<std::size_t>& shown, int width) const {
  std::vector<std::size_t> result(columns_.size(), 0);
  std::size_t total = indent.size() + gap.size() * (shown.empty() ? 0 : shown.size() - 1);
  for (const std::size_t c : shown) {
    for (const std::string& line : lines_of(columns_[c].header))
      result[c] = std::max(result[c], display_width(line));
    for (const auto& row : rows_) result[c] = std::max(result[c], display_width(row[c].text));
    total += result[c];
  }
  const std::size_t allowed = static_cast<std::size_t>(std::max(width, 0));
  for (; total > allowed; --total) {
    std::size_t* widest = nullptr;
    for (const std::size_t c : shown)
      if (columns_[c].shrinks && result[c] > least_width && (widest == nullptr || result[c] > *widest))
        widest = &result[c];
    if (widest == nullptr) break;
    --*widest;
  }
  return result;
}

std::string Table::text(TextStyle style) const {
  const std::vector<std::size_t> shown = shown_columns();
  const std::vector<std::size_t> width = widths(shown, style.width);
  // One line of the table from what each shown column holds.
  const auto line_of = [&](auto&& cell) {
    std::string line(indent);
    for (const std::size_t c : shown) {
      if (c != shown.front()) line += gap;
      line += cell(c);
    }
    return finished(line);
  };
  const auto header_line = [&](std::size_t which) {
    return line_of([&](std::size_t c) {
      return cell_text(lines_of(columns_[c].header)[which], Tone::plain, columns_[c].align, width[c], style);
    });
  };
  std::string result = header_line(0);
  if (result == "\n") result.clear();
  result += header_line(1);
  result += line_of([&](std::size_t c) { return std::string(width[c], '-'); });
  for (const auto& row : rows_)
    result += line_of([&](std::size_t c) {
      return cell_text(row[c].text, row[c].tone, columns_[c].align, width[c], style);
    });
  return result;
}

}  // namespace sextant
