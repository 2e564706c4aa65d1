#include <algorithm>

#include "reports/markdown.hpp"
#include "reports/terminal.hpp"

namespace sextant {
namespace {

std::string padded(const std::string& text, std::size_t width, char align) {
  const std::size_t own = display_width(text);
  const std::string blanks(width > own ? width - own : 0, ' ');
  return align == 'r' ? blanks + text : text + blanks;
}

}  // namespace

std::string markdown_text(std::string_view text, std::size_t most) {
  std::string result;
  for (const char c : printable(text, most)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '@':  // else a mention of somebody
        result += "&#64;";
        break;
      case '\\':
      case '`':
      case '*':
      case '_':
      case '[':
      case ']':
      case '|':
      case '#':
      case '~':
      case '$':
        result += '\\';
        result += c;
        break;
      default:
        result += c;
    }
  }
  return result;
}

MarkdownTable::MarkdownTable(std::vector<std::string> header, std::string align)
    : header_(std::move(header)), align_(std::move(align)) {}

void MarkdownTable::add(std::vector<std::string> row) {
  row.resize(header_.size());
  rows_.push_back(std::move(row));
}

std::string MarkdownTable::text() const {
  std::vector<std::size_t> widths;
  for (const std::string& name : header_) widths.push_back(std::max<std::size_t>(3, display_width(name)));
  for (const auto& row : rows_)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (std::size_t c = 0; c < cells.size(); ++c)
      text += " " + padded(cells[c], widths[c], align_[c]) + " |";
    return text + "\n";
  };
  std::string text = line(header_) + "|";
  for (std::size_t c = 0; c < header_.size(); ++c)
    text +=
        (align_[c] == 'r' ? " " + std::string(widths[c] - 1, '-') + ":" : " " + std::string(widths[c], '-')) +
        " |";
  text += "\n";
  for (const auto& row : rows_) text += line(row);
  return text;
}

}  // namespace sextant
