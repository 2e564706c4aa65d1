#include "reports/launch/quoting.hpp"

#include <fmt/core.h>

#include <cctype>

#include "reports/terminal.hpp"

namespace sextant {
namespace {

constexpr int columns = 100;

bool harmless(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_./:=@%+,-").find(c) != std::string_view::npos;
}

bool control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte >= 0x7f;
}

}  // namespace

std::string shell_word(std::string_view text) {
  bool bare = !text.empty(), plain = true;
  for (const char c : text) {
    bare = bare && harmless(c);
    plain = plain && !control(c) && c != '$' && c != '`';  // shellcheck asks about these in plain quotes
  }
  if (bare) return std::string(text);
  std::string word = plain ? "'" : "$'";
  for (const char c : text) {
    if (!plain && control(c))
      word += fmt::format("\\{:03o}", static_cast<unsigned char>(c));  // three digits: nothing after joins it
    else if (plain && c == '\'')
      word += "'\\''";
    else if (!plain && (c == '\'' || c == '\\'))
      word += std::string("\\") + c;
    else
      word += c;
  }
  return word + "'";
}

std::string shell_command(const std::vector<std::string>& words, std::string_view indent) {
  std::string text;
  std::size_t column = 0;
  for (const std::string& word : words) {
    if (column > 0 && column + 1 + word.size() > columns - 2) {
      text += " \\\n" + std::string(indent);
      column = indent.size();
    } else if (column > 0) {
      text += " ";
      ++column;
    }
    text += word;
    column += word.size();
  }
  return text;
}

std::string shell_comment(std::string_view text) {
  // wrapped() starts further lines with as many blanks as the first has characters before its text.
  std::string lines = wrapped(text, "# ", columns);
  for (std::size_t at = 0; (at = lines.find('\n', at)) != std::string::npos && at + 1 < lines.size();)
    lines[++at] = '#';
  return lines;
}

std::string kubernetes_name(std::string_view text) {
  constexpr std::size_t longest = 40;
  std::string name;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) != 0)
      name += static_cast<char>(std::tolower(byte));
    else if (!name.empty() && name.back() != '-')
      name += '-';
    if (name.size() == longest) break;
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front())) != 0) name.insert(0, "s-");
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name;
}

std::string kubernetes_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '$' ? std::string("$$") : std::string(1, c);
  return escaped;
}

}  // namespace sextant
