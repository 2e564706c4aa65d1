#include "reports/launch/yaml.hpp"

#include <cctype>
#include <nlohmann/json.hpp>

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

/// JSON of a scalar or an empty container; characters beyond ASCII as \uNNNN.
std::string scalar(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string key_text(const std::string& key) {
  bool plain = !key.empty() && std::isalpha(static_cast<unsigned char>(key.front())) != 0;
  for (const char c : key)
    plain = plain && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' ||
                      c == '/');
  const bool word = key == "true" || key == "false" || key == "null" || key == "yes" || key == "no" ||
                    key == "on" || key == "off" || key == "y" || key == "n";
  return plain && !word ? key : scalar(Json(key));
}

void write(const Json& value, std::size_t depth, bool after_dash, std::string& text) {
  const std::string indent(2 * depth, ' ');
  bool first = after_dash;
  const auto begin_line = [&] {
    if (!first) text += indent;
    first = false;
  };
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, child] : value.items()) {
      begin_line();
      text += key_text(key) + ":";
      if (child.is_structured() && !child.empty()) {
        text += "\n";
        write(child, depth + 1, false, text);
      } else {
        text += " " + scalar(child) + "\n";
      }
    }
  } else if (value.is_array() && !value.empty()) {
    for (const Json& child : value) {
      begin_line();
      text += "- ";
      write(child, depth + 1, true, text);
    }
  } else {
    begin_line();
    text += scalar(value) + "\n";
  }
}

}  // namespace

std::string yaml(const Json& document) {
  std::string text;
  write(document, 0, false, text);
  return text;
}

}  // namespace sextant
