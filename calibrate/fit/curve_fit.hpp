#pragma once
#include <map>
#include <string>
#include <vector>

#include "calibrate/fit/fit_report.hpp"
#include "models/profile/assumptions.hpp"
#include "models/profile/link_profile.hpp"

namespace sextant {

/// Microseconds of repeated measurements by bytes.
using TimesBySize = std::map<double, std::vector<double>>;

/// Predicted and measured times, pairwise.
struct TimePairs {
  std::vector<double> predicted, measured;
};

/// How a curve was made of measurements.
struct CurveFit {
  TransferCurve full;              ///< one point for each size that was kept
  TransferCurve thinned;           ///< the fewest of them that meet the others
  std::size_t rows = 0;            ///< measurements
  std::size_t disagreeing = 0;     ///< sizes whose repetitions differ by more than the curve is believed to
  std::size_t outliers = 0;        ///< sizes left out as disturbed
  std::size_t falls = 0;           ///< sizes faster than the next smaller one: levelled
  TimePairs shipped_pairs;         ///< the thinned curve against every measurement, outliers included
  TimePairs left_out_pairs;        ///< inner sizes, each predicted from its neighbours
  ErrorSummary shipped, left_out;  ///< of those
};

/// The median of equal sizes; times that a larger size undercuts by the outlier ratio left out; times that
/// fall with size levelled (the nearest curve that never falls, in logarithms); then points left out that
/// log-linear interpolation meets. Steps stay: where the protocol changes no point can go. `times` not empty.
CurveFit fit_curve(const TimesBySize& times, const LinkRules&);

}  // namespace sextant
