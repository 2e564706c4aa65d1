#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

namespace sextant::detail {

/// The nodes of a grid that a point lies between, with their shares.
struct Stencil {
  static constexpr std::size_t most_corners = 16;
  std::array<int, most_corners> node{};
  std::array<double, most_corners> share{1};
  std::size_t corners = 1;
};

inline Stencil stencil_of(const std::vector<std::vector<double>>& axes, std::span<const double> coordinates) {
  Stencil stencil;
  for (std::size_t d = 0; d < axes.size(); ++d) {
    const std::vector<double>& axis = axes[d];
    const double x = std::clamp(coordinates[d], axis.front(), axis.back());
    const auto above = std::upper_bound(axis.begin(), axis.end(), x);
    const auto index = static_cast<std::size_t>(above - axis.begin()) - 1;
    const double fraction =
        index + 1 < axis.size() ? std::log(x / axis[index]) / std::log(axis[index + 1] / axis[index]) : 0;
    for (std::size_t c = 0; c < stencil.corners; ++c)
      stencil.node[c] = stencil.node[c] * static_cast<int>(axis.size()) + static_cast<int>(index);
    if (fraction == 0) continue;
    for (std::size_t c = 0; c < stencil.corners; ++c) {
      stencil.node[stencil.corners + c] = stencil.node[c] + 1;
      stencil.share[stencil.corners + c] = stencil.share[c] * fraction;
      stencil.share[c] *= 1 - fraction;
    }
    stencil.corners *= 2;
  }
  return stencil;
}

inline std::size_t node_count(const std::vector<std::vector<double>>& axes) {
  std::size_t count = 1;
  for (const auto& axis : axes) count *= axis.size();
  return count;
}

}  // namespace sextant::detail
