#include "reports/terminal.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace sextant {
namespace {

constexpr std::string_view ellipsis = "\u2026";

/// One character of UTF-8 text: its code point and its bytes.
struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
};

/// The character at the front; nullopt if the bytes there are not UTF-8.
std::optional<Character> first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return Character{lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return std::nullopt;
  std::uint32_t code = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < least[bytes] || code > 0x10ffff || surrogate) return std::nullopt;
  return Character{code, bytes};
}

bool steers_terminal(std::uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
  const bool line_separator = code == 0x2028 || code == 0x2029;
  const bool direction = code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
                         (code >= 0x2066 && code <= 0x2069);
  return control || line_separator || direction;
}

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80;
}

/// Bytes of the first `count` characters.
std::size_t bytes_of(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (; at < text.size(); ++at)
    if (starts_character(text[at]) && count-- == 0) break;
  return at;
}

}  // namespace

std::string paint(std::string_view text, Tone tone, TextStyle style) {
  if (!style.colour || tone == Tone::plain || text.empty()) return std::string(text);
  const char* code = tone == Tone::strong ? "1" : tone == Tone::good ? "32" : tone == Tone::bad ? "31" : "33";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string printable(std::string_view text, std::size_t most) {
  std::string result;
  std::size_t characters = 0;
  while (!text.empty()) {
    const std::optional<Character> character = first_character(text);
    const std::size_t bytes = character ? character->bytes : 1;
    std::string piece(text.substr(0, bytes));
    if (!character || steers_terminal(character->code)) {
      piece.clear();
      for (const char byte : text.substr(0, bytes))
        piece += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    const std::size_t width = display_width(piece);
    text.remove_prefix(bytes);
    const std::size_t room = text.empty() ? most : most - 1;
    if (characters + width > room) return result.append(ellipsis);
    result += piece;
    characters += width;
  }
  return result;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string cut(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  return std::string(text.substr(0, bytes_of(text, width - 1))).append(ellipsis);
}

std::string wrapped(std::string_view raw, std::string_view first, int width) {
  constexpr std::size_t longest = 2000;
  constexpr std::size_t least_room = 10;
  const std::string safe = printable(raw, longest);
  std::string_view text = safe;
  const std::size_t indent = display_width(first);
  const auto columns = static_cast<std::size_t>(std::max(0, width));
  const std::size_t room = columns > indent + least_room ? columns - indent : least_room;
  std::string result(first);
  std::size_t column = 0;
  const auto new_line = [&] {
    result += '\n';
    result.append(indent, ' ');
    column = 0;
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (column > 0 && column + 1 + display_width(word) > room) new_line();
    if (column > 0) {
      result += ' ';
      ++column;
    }
    while (display_width(word) > room) {
      const std::size_t bytes = bytes_of(word, room);
      result += word.substr(0, bytes);
      word.remove_prefix(bytes);
      new_line();
    }
    result += word;
    column += display_width(word);
  }
  return result + "\n";
}

}  // namespace sextant
