#pragma once
#include <cstdint>
#include <string>

namespace sextant {

/// Three significant digits below 1,000, whole numbers with thousands separators above: 0.0123, 3.12, 31.2,
/// 312, 12,345. What is not finite (a metric without samples) is "-".
std::string number_text(double value);
/// 12,345
std::string count_text(std::int64_t value);
/// GB = 10^9 B with one digit: 94.3; "-3.2" where something is missing.
std::string gigabytes_text(double bytes);
/// A message's size with its unit, decimal: 512 B, 16.4 kB, 33.6 MB.
std::string bytes_text(double bytes);
/// A share of 1 in percent without the sign: 42, 3.1.
std::string percent_text(double share);

}  // namespace sextant
