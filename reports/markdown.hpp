#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sextant {

/// A result as Markdown to paste into an issue: the answer first, tables that stay readable as text. What
/// comes from a file is escaped: it makes no heading, link, mention, HTML or new table cell.
std::string result_markdown(const nlohmann::ordered_json& result);

/// Text as Markdown shows it unchanged, on one line, cut at `most` characters.
std::string markdown_text(std::string_view, std::size_t most = 120);

/// A table whose columns are padded to one width; cells are escaped already. `align` has l or r per column.
class MarkdownTable {
 public:
  MarkdownTable(std::vector<std::string> header, std::string align);
  void add(std::vector<std::string> row);
  bool empty() const { return rows_.empty(); }
  std::string text() const;

 private:
  std::vector<std::string> header_;
  std::string align_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sextant
