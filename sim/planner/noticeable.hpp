#pragma once
#include <algorithm>
#include <cmath>

namespace sextant {

/// Below this share of itself a figure counts as unmoved: nothing anyone would notice.
inline constexpr double noticeable = 0.005;

/// Whether two figures differ by more than that.
inline bool noticeably_differ(double a, double b) {
  return std::abs(a - b) > noticeable * std::max(std::abs(a), std::abs(b));
}

}  // namespace sextant
