#include <cmath>
#include <limits>

#include "calibrate/fit/grid_fit.hpp"
#include "calibrate/fit/grid_stencil.hpp"

namespace sextant {
namespace {

/// One axis of a grid while points are taken from it: the values of the full grid along it, as lines.
class AxisLines {
 public:
  AxisLines(const Grid& grid, const std::vector<double>& support, std::size_t d) : axis_(grid.axes()[d]) {
    std::size_t stride = 1;
    for (std::size_t e = d + 1; e < grid.axes().size(); ++e) stride *= grid.axes()[e].size();
    const std::size_t length = axis_.size(), nodes = grid.values().size();
    lines_ = nodes / length;
    logs_.resize(nodes);
    support_.resize(nodes);
    for (std::size_t node = 0; node < nodes; ++node) {
      const std::size_t position = node / stride % length;
      const std::size_t line = node / (stride * length) * stride + node % stride;
      logs_[position * lines_ + line] = std::log(grid.values()[node]);
      support_[position * lines_ + line] = support[node];
    }
    kept_.assign(length, true);
    costs_.assign(length, 0);
    for (std::size_t i = 0; i < length; ++i) costs_[i] = cost_without(i);
  }

  std::size_t kept() const { return static_cast<std::size_t>(std::count(kept_.begin(), kept_.end(), true)); }
  /// The inner point whose loss costs least, and that cost: the summed error at all points it leaves to be
  /// interpolated, weighted by the samples there. Infinite if none is left.
  std::pair<std::size_t, double> cheapest() const {
    std::pair<std::size_t, double> best{0, std::numeric_limits<double>::infinity()};
    for (std::size_t i = 0; i < axis_.size(); ++i)
      if (kept_[i] && costs_[i] < best.second) best = {i, costs_[i]};
    return best;
  }
  void remove(std::size_t point) {
    kept_[point] = false;
    for (const std::size_t i : {before(point), after(point)}) costs_[i] = cost_without(i);
  }
  std::vector<double> axis() const {
    std::vector<double> result;
    for (std::size_t i = 0; i < axis_.size(); ++i)
      if (kept_[i]) result.push_back(axis_[i]);
    return result;
  }

 private:
  std::size_t before(std::size_t i) const {
    while (!kept_[--i]) {
    }
    return i;
  }
  std::size_t after(std::size_t i) const {
    while (!kept_[++i]) {
    }
    return i;
  }
  double interpolation_error(std::size_t low, std::size_t high) const {
    double sum = 0;
    for (std::size_t i = low + 1; i < high; ++i) {
      const double share = std::log(axis_[i] / axis_[low]) / std::log(axis_[high] / axis_[low]);
      for (std::size_t line = 0; line < lines_; ++line) {
        const double weight = support_[i * lines_ + line];
        if (weight == 0) continue;
        const double between = logs_[low * lines_ + line] * (1 - share) + logs_[high * lines_ + line] * share;
        sum += weight * std::abs(between - logs_[i * lines_ + line]);
      }
    }
    return sum;
  }
  double cost_without(std::size_t i) const {
    if (i == 0 || i + 1 == axis_.size()) return std::numeric_limits<double>::infinity();
    const std::size_t low = before(i), high = after(i);
    return interpolation_error(low, high) - interpolation_error(low, i) - interpolation_error(i, high);
  }

  const std::vector<double>& axis_;
  std::size_t lines_ = 0;
  std::vector<double> logs_, support_;  // position-major
  std::vector<bool> kept_;
  std::vector<double> costs_;
};

/// By node: the summed weights of the samples that lean on it.
std::vector<double> support_of(const Axes& axes, const std::vector<GridSample>& samples) {
  std::vector<double> support(detail::node_count(axes), 0);
  for (const GridSample& sample : samples) {
    const detail::Stencil stencil = detail::stencil_of(axes, sample.point.coordinates());
    for (std::size_t c = 0; c < stencil.corners; ++c)
      support[static_cast<std::size_t>(stencil.node[c])] += sample.weight * stencil.share[c];
  }
  return support;
}

}  // namespace

GridShape thinned(const GridShape& shape, const Grid& full, const std::vector<GridSample>& samples,
                  std::size_t most_values) {
  const std::vector<double> support = support_of(shape.axes, samples);
  std::vector<AxisLines> lines;
  for (std::size_t d = 0; d < shape.axes.size(); ++d) lines.emplace_back(full, support, d);
  for (;;) {
    double values = 1;
    for (const AxisLines& axis : lines) values *= static_cast<double>(axis.kept());
    if (values <= static_cast<double>(most_values)) break;
    std::size_t worst = lines.size(), point = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t d = 0; d < lines.size(); ++d) {
      const auto [candidate, cost] = lines[d].cheapest();
      const double saved = values / static_cast<double>(lines[d].kept());
      if (cost / saved < least) {
        least = cost / saved;
        worst = d;
        point = candidate;
      }
    }
    if (worst == lines.size()) break;
    lines[worst].remove(point);
  }
  GridShape result{{}, shape.stiffness, shape.bending};
  for (const AxisLines& axis : lines) result.axes.push_back(axis.axis());
  return result;
}

}  // namespace sextant
