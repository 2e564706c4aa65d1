#include "reports/markdown_parts.hpp"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/markdown.hpp"
#include "reports/number_text.hpp"
#include "reports/result_fields.hpp"
#include "reports/terminal.hpp"

namespace sextant::detail {

using Json = nlohmann::ordered_json;

std::string cell(const Json& json, std::string_view key) {
  const Json& value = member(json, key);
  if (value.is_string()) return markdown_text(value.get<std::string>(), 60);
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.is_number() ? number_text(value.get<double>()) : "";
}

std::string percent_cell(const Json& json, std::string_view key) {
  const double share = number_member(json, key);
  return std::isfinite(share) ? percent_text(share) + " %" : "";
}

std::string bullets(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), most_lines); ++i)
    text += "- " + markdown_text(lines[i], 600) + "\n";
  if (lines.size() > most_lines) text += fmt::format("- and {} more\n", lines.size() - most_lines);
  return text;
}

std::string code(const std::string& text) {
  constexpr std::size_t longest = 2000;
  return text.empty() ? "" : "\n```sh\n" + printable(text, longest) + "\n```\n";
}

}  // namespace sextant::detail
