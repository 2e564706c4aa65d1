#include "calibrate/measure/common/size_text.hpp"

#include <fmt/core.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::string_view suffixes = "KMG";
constexpr int bits_per_suffix = 10;

[[noreturn]] void refuse(std::string_view text, std::string_view option) {
  throw InputError(fmt::format("{}: found '{}', expected a size such as 512, 64K, 8M or 1G", option, text));
}

}  // namespace

std::int64_t parse_size(std::string_view text, std::string_view option) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) refuse(text, option);
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (rest.empty()) return value;
  const std::size_t unit =
      suffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(rest[0]))));
  if (rest.size() != 1 || unit == std::string_view::npos) refuse(text, option);
  const int shift = bits_per_suffix * static_cast<int>(unit + 1);
  if (value > (std::numeric_limits<std::int64_t>::max() >> shift)) refuse(text, option);
  return value << shift;
}

std::string size_text(std::int64_t value) {
  for (int unit = static_cast<int>(suffixes.size()); unit > 0 && value > 0; --unit) {
    const int shift = bits_per_suffix * unit;
    if ((value >> shift) << shift == value)
      return fmt::format("{}{}", value >> shift, suffixes[static_cast<std::size_t>(unit - 1)]);
  }
  return fmt::format("{}", value);
}

std::vector<std::int64_t> parse_size_list(std::string_view text, std::string_view option,
                                          std::int64_t least) {
  std::vector<std::int64_t> values;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    values.push_back(parse_size(word, option));
    if (values.back() < least)
      throw InputError(fmt::format("{}: found {}, expected {} or more", option, word, least));
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

std::string bytes_text(double bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return fmt::format("{:.3g} {}", bytes, units[unit]);
}

std::string duration_text(double seconds) {
  constexpr int minute = 60;
  const auto whole = std::lround(seconds);
  if (whole < minute) return fmt::format("{} s", whole);
  return fmt::format("{} min {} s", whole / minute, whole % minute);
}

}  // namespace sextant::measure
