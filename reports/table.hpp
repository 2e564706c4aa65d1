#pragma once
#include <string>
#include <vector>

#include "reports/terminal.hpp"

namespace sextant {

/// A plain aligned table that survives copy and paste. Cells are made printable here, so nothing in them can
/// break it.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string header;  ///< may have two lines
    Align align = Align::right;
    bool shrinks = false;  ///< gives up width (down to 8 columns) where the table is too wide
  };
  struct Cell {
    std::string text;
    Tone tone = Tone::plain;
    Cell(std::string t, Tone of = Tone::plain) : text(std::move(t)), tone(of) {}
    Cell(const char* t) : text(t) {}
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One row; missing cells at its end are empty.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  /// Header, rule, rows; a column without header and content is left out; each line indented by two and at
  /// most style.width wide where shrinking allows.
  std::string text(TextStyle) const;

 private:
  std::vector<std::size_t> shown_columns() const;
  std::vector<std::size_t> widths(const std::vector<std::size_t>& shown, int width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace sextant
