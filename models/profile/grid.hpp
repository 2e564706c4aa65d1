#pragma once
#include <span>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant {

/// A table over one to four positive coordinates, read by multilinear interpolation in their logarithms and
/// clamped at its edges. The axes are few; lookups cost some tens of nanoseconds.
class Grid {
 public:
  Grid() = default;
  /// `values` in row-major order, last axis fastest. Axes strictly increasing and positive, values positive
  /// and finite. Throws std::invalid_argument otherwise.
  Grid(std::vector<std::vector<double>> axes, std::vector<double> values);

  /// Geometric interpolation: exp of the multilinear interpolation of log(value). An empty grid is 1
  /// everywhere. Throws std::invalid_argument unless there is one coordinate for each axis.
  double at(std::span<const double> coordinates) const;
  /// True where every coordinate lies within its axis (a factor `slack` beyond counts as within); an empty
  /// grid covers everything, and so does an axis of one point along itself.
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

/// {"axes": [[1, 16], [4096, 8192]], "values": [flat, last axis fastest]}. Throws InputError if it is no
/// valid grid of `dimensions` axes.
Grid read_grid(const JsonValue&, std::size_t dimensions);

}  // namespace sextant
