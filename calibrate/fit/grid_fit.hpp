#pragma once
#include <vector>

#include "models/cost/operator_work.hpp"
#include "models/profile/grid.hpp"

namespace sextant {

using Axes = std::vector<std::vector<double>>;

/// A value seen at a point of a grid's coordinates.
struct GridSample {
  GridPoint point;
  double value = 1;   ///< positive
  double weight = 1;  ///< 0: left out
};

/// The axes of a grid and how it continues where no sample lies.
struct GridShape {
  Axes axes;
  /// By axis: how closely neighbours along it hold together where no sample says otherwise. Where kernels
  /// change least the grid should be stiffest, so that a hole is filled from there.
  std::vector<double> stiffness;
  double bending = 0;  ///< resistance to bends, times the stiffness, as a share of a sample's weight
};

/// The grid whose interpolation comes nearest to the samples: least sum of |log(fitted / seen)|, by
/// reweighted least squares; nodes without samples continue their neighbours. With `start`, an earlier fit on
/// the same axes, one round from there. Deterministic. Throws std::invalid_argument as Grid does.
Grid fit_grid(const GridShape&, const std::vector<GridSample>&, const Grid* start = nullptr);

/// The distinct coordinates `d` of the samples, ascending; of those nearer than `least_ratio` to the one
/// before only the first.
std::vector<double> axis_of(const std::vector<GridSample>&, std::size_t d, double least_ratio = 1.0);

/// The shape with the axis points taken away, one after the other, whose values the remaining ones
/// interpolate best at the samples, until the grid holds at most `most_values`. The ends of an axis stay.
GridShape thinned(const GridShape&, const Grid& full, const std::vector<GridSample>&,
                  std::size_t most_values);

}  // namespace sextant
