#pragma once
#include <string>

namespace sextant::test {

/// The text with every run of white space as one space: what it says, whatever the columns.
inline std::string squeezed(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' && c != '\n')
      result += c;
    else if (!result.empty() && result.back() != ' ')
      result += ' ';
  }
  return result;
}

/// True where `text` says `part`, however it is broken into lines and columns.
inline bool says(const std::string& text, const std::string& part) {
  return squeezed(text).find(part) != std::string::npos;
}

}  // namespace sextant::test
