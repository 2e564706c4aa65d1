#include "reports/csv_text.hpp"

#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "reports/terminal.hpp"

namespace sextant {

std::string csv_field(const std::string& raw) {
  const std::string text = printable(raw, std::numeric_limits<std::size_t>::max());
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result(1, '"');
  for (const char c : text) result.append(c == '"' ? 2 : 1, c);
  result += '"';
  return result;
}

std::string csv_list(const std::vector<std::string>& texts) {
  std::string result;
  for (const std::string& text : texts) result.append(result.empty() ? "" : "; ").append(text);
  return result;
}

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

}  // namespace sextant
