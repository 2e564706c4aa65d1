#pragma once
#include <span>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant {

/// A table over one to four positive coordinates, read by multilinear interpolation in their logarithms and clamped at
/// its edges. The axes are few; lookups cost some tens of nanoseconds.
class Grid {
 public:
  Grid() = default;
  /// `values` in row-major order, last axis fastest. Axes strictly increasing and positive, values positive and finite.
  /// Throws std::invalid_argument otherwise.
  Grid(std::vector<std::vector<double>> axes, std::vector<double> values);

  /// Geometric interpolation: exp of the multilinear interpolation of log(value).
  double at(std::span<const double> coordinates) const;
  /// True where every coordinate lies within its axis (a factor `slack` beyond counts as within).
  bool covers(std::span<const double> coordinates, double slack = 1.0) const;

  bool empty() const { return values_.empty(); }
  const std::vector<std::vector<double>>& axes() const { return axes_; }
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<std::vector<double>> axes_;
  std::vector<std::vector<double>> log_axes_;
  std::vector<double> values_;
  std::vector<double> log_values_;
};

}  // namespace sextant
