#pragma once
#include <vector>

#include "models/profile/grid.hpp"

namespace sextant {

/// A value seen at a point of a grid's coordinates.
struct GridSample {
  std::vector<double> coordinates;
  double value = 1;   ///< positive
  double weight = 1;  ///< 0: left out
};

/// The grid on these axes whose interpolation comes nearest to the samples: least sum of |log(fitted /
/// seen)|, by reweighted least squares; nodes far from any sample continue their neighbours. Deterministic.
/// Throws std::invalid_argument as Grid does.
Grid fit_grid(const std::vector<std::vector<double>>& axes, const std::vector<GridSample>& samples);

/// Those of the preferred points that lie within [low, high] of the samples' coordinate `d`, and these two
/// ends.
std::vector<double> clipped_axis(const std::vector<double>& preferred, const std::vector<GridSample>& samples,
                                 std::size_t d);

}  // namespace sextant
