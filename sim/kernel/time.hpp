#pragma once
#include <cmath>
#include <compare>
#include <cstdint>

namespace sextant {

/// Simulated time or duration in whole nanoseconds (about 292 years either way).
struct Time {
  std::int64_t ns = 0;
  static Time seconds(double s) { return {std::llround(s * 1e9)}; }
  static constexpr Time max() { return {INT64_MAX}; }
  constexpr double seconds() const { return static_cast<double>(ns) * 1e-9; }
  constexpr double ms() const { return static_cast<double>(ns) * 1e-6; }
  constexpr auto operator<=>(const Time&) const = default;
  constexpr Time operator+(Time other) const { return {ns + other.ns}; }
  constexpr Time operator-(Time other) const { return {ns - other.ns}; }
  constexpr Time& operator+=(Time other) {
    ns += other.ns;
    return *this;
  }
  constexpr Time& operator-=(Time other) {
    ns -= other.ns;
    return *this;
  }
};

}  // namespace sextant
