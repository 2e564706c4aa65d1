#include "reports/table.hpp"

#include <algorithm>
#include <numeric>

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

std::vector<std::size_t> Table::widths(int width) const {
  std::vector<std::size_t> result;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t widest = 0;
    for (const std::string& line : lines_of(columns_[c].header))
      widest = std::max(widest, display_width(line));
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[c].text));
    result.push_back(widest);
  }
  const std::size_t allowed = static_cast<std::size_t>(std::max(width, 0));
  std::size_t total =
      std::accumulate(result.begin(), result.end(), indent.size() + gap.size() * (result.size() - 1));
  while (total > allowed) {
    std::size_t widest = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c)
      if (columns_[c].shrinks && result[c] > least_width &&
          (widest == columns_.size() || result[c] > result[widest]))
        widest = c;
    if (widest == columns_.size()) break;
    --result[widest];
    --total;
  }
  return result;
}

std::string Table::text(TextStyle style) const {
  const std::vector<std::size_t> width = widths(style.width);
  std::string upper(indent), lower(indent), rule(indent);
  bool two_lines = false;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const std::string between(c + 1 < columns_.size() ? gap : "");
    const std::vector<std::string> lines = lines_of(columns_[c].header);
    two_lines = two_lines || !lines[0].empty();
    upper += cell_text(lines[0], Tone::plain, columns_[c].align, width[c], style) + between;
    lower += cell_text(lines[1], Tone::plain, columns_[c].align, width[c], style) + between;
    rule += std::string(width[c], '-') + between;
  }
  std::string result = (two_lines ? finished(upper) : "") + finished(lower) + finished(rule);
  for (const auto& row : rows_) {
    std::string line(indent);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      line += cell_text(row[c].text, row[c].tone, columns_[c].align, width[c], style);
      if (c + 1 < columns_.size()) line += gap;
    }
    result += finished(line);
  }
  return result;
}

}  // namespace sextant
