#include "models/profile/grid.hpp"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <stdexcept>

namespace sextant {
namespace {

constexpr std::size_t most_axes = 4;

void check_axis(const std::vector<double>& axis, std::size_t index) {
  if (axis.empty())
    throw std::invalid_argument(fmt::format("axis {} is empty, expected one point or more", index));
  for (std::size_t i = 0; i < axis.size(); ++i) {
    if (!(axis[i] > 0) || !std::isfinite(axis[i]))
      throw std::invalid_argument(fmt::format("axis {} holds {}, expected positive numbers", index, axis[i]));
    if (i > 0 && axis[i] <= axis[i - 1])
      throw std::invalid_argument(
          fmt::format("axis {} goes from {} to {}, expected it to increase", index, axis[i - 1], axis[i]));
  }
}

std::vector<double> logarithms(const std::vector<double>& numbers) {
  std::vector<double> result;
  result.reserve(numbers.size());
  for (const double number : numbers) result.push_back(std::log(number));
  return result;
}

/// Where a coordinate falls on an axis: between `index` and its successor, `fraction` of the way in
/// logarithms.
struct Position {
  std::size_t index = 0;
  double fraction = 0;
};

Position locate(const std::vector<double>& axis, const std::vector<double>& log_axis, double coordinate) {
  if (!(coordinate > axis.front())) return {};
  if (coordinate >= axis.back()) return {axis.size() - 1, 0};
  std::size_t i = 0;
  while (coordinate >= axis[i + 1]) ++i;
  return {i, (std::log(coordinate) - log_axis[i]) / (log_axis[i + 1] - log_axis[i])};
}

}  // namespace

Grid::Grid(std::vector<std::vector<double>> axes, std::vector<double> values)
    : axes_(std::move(axes)), values_(std::move(values)) {
  if (axes_.empty() || axes_.size() > most_axes)
    throw std::invalid_argument(fmt::format("grid has {} axes, expected 1 to {}", axes_.size(), most_axes));
  std::size_t points = 1;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    check_axis(axes_[i], i);
    points *= axes_[i].size();
    log_axes_.push_back(logarithms(axes_[i]));
  }
  if (values_.size() != points)
    throw std::invalid_argument(fmt::format("grid has {} values, expected {}", values_.size(), points));
  for (const double value : values_)
    if (!(value > 0) || !std::isfinite(value))
      throw std::invalid_argument(fmt::format("grid holds the value {}, expected positive numbers", value));
  log_values_ = logarithms(values_);
}

double Grid::at(std::span<const double> coordinates) const {
  if (empty()) return 1;
  if (coordinates.size() != axes_.size())
    throw std::invalid_argument(
        fmt::format("grid asked at {} coordinates, expected {}", coordinates.size(), axes_.size()));
  // Corners of the cell that bear weight: an axis on which the coordinate sits on a point adds none.
  std::array<std::size_t, std::size_t{1} << most_axes> corner{};
  std::array<double, std::size_t{1} << most_axes> weight{1};
  std::size_t corners = 1;
  for (std::size_t d = 0; d < axes_.size(); ++d) {
    const Position position = locate(axes_[d], log_axes_[d], coordinates[d]);
    const std::size_t length = axes_[d].size();
    for (std::size_t c = 0; c < corners; ++c) corner[c] = corner[c] * length + position.index;
    if (position.fraction == 0) continue;
    for (std::size_t c = 0; c < corners; ++c) {
      corner[corners + c] = corner[c] + 1;
      weight[corners + c] = weight[c] * position.fraction;
      weight[c] *= 1 - position.fraction;
    }
    corners *= 2;
  }
  if (corners == 1) return values_[corner[0]];
  double sum = 0;
  for (std::size_t c = 0; c < corners; ++c) sum += weight[c] * log_values_[corner[c]];
  return std::exp(sum);
}

bool Grid::covers(std::span<const double> coordinates, double slack) const {
  if (empty()) return true;
  if (coordinates.size() != axes_.size()) return false;
  for (std::size_t d = 0; d < axes_.size(); ++d) {
    const std::vector<double>& axis = axes_[d];
    if (axis.size() == 1) continue;
    if (coordinates[d] * slack < axis.front() || coordinates[d] > axis.back() * slack) return false;
  }
  return true;
}

Grid read_grid(const JsonValue& value, std::size_t dimensions) {
  const JsonObject object = value.object();
  std::vector<std::vector<double>> axes;
  for (const JsonValue& axis : object.at("axes").array()) axes.push_back(axis.numbers());
  if (axes.size() != dimensions)
    object.at("axes").fail(fmt::format("found {} axes, expected {}", axes.size(), dimensions));
  std::vector<double> values = object.at("values").numbers();
  object.finish();
  try {
    return Grid(std::move(axes), std::move(values));
  } catch (const std::invalid_argument& error) {
    value.fail(error.what());
  }
}

}  // namespace sextant
