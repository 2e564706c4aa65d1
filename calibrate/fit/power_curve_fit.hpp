#pragma once
#include <vector>

namespace sextant::detail {

/// A clock in MHz seen while so many watts were drawn under a limit.
struct ClockPoint {
  double limit = 0;
  double watts = 0;
  double clock = 0;
};

/// watts = static + watts per MHz x clock x (1 + slope x (clock - reference))^2.
struct CurveFit {
  double static_watts = 0;
  double watts_per_mhz = 0;
  double slope_per_ghz = 0;
  double clock(double watts, double reference_mhz) const;
};

/// clock x (1 + slope x (clock - reference))^2: what watts per MHz multiplies.
double dynamic_shape(double clock_mhz, double slope_per_ghz, double reference_mhz);

/// Least squares of the clocks' relative errors; static watts and capacitance follow from each slope.
CurveFit fit_curve(const std::vector<ClockPoint>&, double reference_mhz);

/// The clock of a point predicted by a fit to the points of all other limits.
double left_out_clock(const std::vector<ClockPoint>&, const ClockPoint&, double reference_mhz);
/// Measured over predicted clocks, each predicted so.
std::vector<double> left_out_ratios(const std::vector<ClockPoint>&, double reference_mhz);

}  // namespace sextant::detail
