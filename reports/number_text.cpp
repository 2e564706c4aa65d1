#include "reports/number_text.hpp"

#include <fmt/core.h>

#include <array>
#include <cmath>

namespace sextant {
namespace {

constexpr double bytes_per_gigabyte = 1e9;

std::string with_separators(std::string digits) {
  const std::size_t first = !digits.empty() && digits.front() == '-' ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;)
    digits.insert(digits.begin() + static_cast<std::ptrdiff_t>(at -= 3), ',');
  return digits;
}

}  // namespace

std::string number_text(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size >= 1e15) return fmt::format("{:.3g}", value);
  if (size >= 999.5) return with_separators(fmt::format("{:.0f}", value));
  if (size < 1e-4) return fmt::format("{:.1e}", value);
  // The exponent after rounding: 9.996 prints as 10.0, not 10.00.
  const double rounded = std::stod(fmt::format("{:.2e}", size));
  const int digits_after_point = 2 - static_cast<int>(std::floor(std::log10(rounded)));
  return fmt::format("{:.{}f}", value, digits_after_point);
}

std::string count_text(std::int64_t value) {
  return with_separators(std::to_string(value));
}

std::string gigabytes_text(double bytes) {
  if (!std::isfinite(bytes)) return "-";
  const double gigabytes = bytes / bytes_per_gigabyte;
  // Small amounts keep a second digit, so that a table does not claim 0.0.
  return fmt::format("{:.{}f}", gigabytes, std::abs(gigabytes) < 1 && gigabytes != 0 ? 2 : 1);
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 5> units = {"B", "kB", "MB", "GB", "TB"};
  if (!std::isfinite(bytes)) return "-";
  std::size_t unit = 0;
  while (std::abs(bytes) >= 999.5 && unit + 1 < units.size()) {
    bytes /= 1000;
    ++unit;
  }
  return number_text(bytes) + " " + units[unit];
}

std::string percent_text(double share) {
  if (!std::isfinite(share)) return "-";
  const double percent = 100 * share;
  if (percent == 0) return "0";
  return std::abs(percent) < 9.95 ? fmt::format("{:.1f}", percent) : fmt::format("{:.0f}", percent);
}

}  // namespace sextant
