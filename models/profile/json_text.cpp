#include "models/profile/json_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t line_length = 100;
constexpr std::size_t most_numbers_on_a_line = 100;

bool is_flat(const Json& node) {
  return std::none_of(node.begin(), node.end(), [](const Json& item) { return item.is_structured(); });
}

bool is_numbers(const Json& node) {
  return node.is_array() &&
         std::all_of(node.begin(), node.end(), [](const Json& item) { return item.is_number(); });
}

std::string one_line(const Json& node) {
  std::string text;
  if (node.is_array()) {
    for (const Json& item : node) text += (text.empty() ? "" : ", ") + one_line(item);
    return "[" + text + "]";
  }
  if (node.is_object()) {
    for (const auto& [key, item] : node.items())
      text += (text.empty() ? "" : ", ") + Json(key).dump() + ": " + one_line(item);
    return "{" + text + "}";
  }
  // Whole numbers without ".0", so that 4096 reads as a count.
  if (node.is_number_float()) return fmt::format("{}", node.get<double>());
  return node.dump();
}

/// Many numbers: lines of full length without spaces, so that a table stays a small file.
void append_table(std::string& text, const Json& numbers) {
  text += "[\n";
  std::size_t line = 0, left = numbers.size();
  for (const Json& number : numbers) {
    const std::string word = one_line(number) + (--left > 0 ? "," : "");
    if (line > 0 && line + word.size() > line_length) {
      text += "\n";
      line = 0;
    }
    text += word;
    line += word.size();
  }
  text += "]";
}

void append(std::string& text, const Json& node, std::size_t indent) {
  if (is_numbers(node) && node.size() > most_numbers_on_a_line) {
    append_table(text, node);
    return;
  }
  if (!node.is_structured() || node.empty() || is_numbers(node)) {
    text += one_line(node);
    return;
  }
  if (is_flat(node)) {
    const std::string line = one_line(node);
    if (indent + line.size() <= line_length) {
      text += line;
      return;
    }
  }
  const std::string margin(indent + 2, ' ');
  text += node.is_object() ? "{\n" : "[\n";
  std::size_t left = node.size();
  for (const auto& [key, item] : node.items()) {
    text += margin;
    if (node.is_object()) text += Json(key).dump() + ": ";
    append(text, item, indent + 2);
    text += --left > 0 ? ",\n" : "\n";
  }
  text += std::string(indent, ' ') + (node.is_object() ? "}" : "]");
}

}  // namespace

std::string readable_json(const Json& node) {
  std::string text;
  append(text, node, 0);
  return text + "\n";
}

double rounded(double value, int significant_digits) {
  return std::strtod(fmt::format("{:.{}e}", value, significant_digits - 1).c_str(), nullptr);
}

}  // namespace sextant
