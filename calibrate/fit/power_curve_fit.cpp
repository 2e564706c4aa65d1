#include "calibrate/fit/power_curve_fit.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>

namespace sextant::detail {
namespace {

constexpr double mhz_per_ghz = 1000;
constexpr double steepest_slope = 1.5;  // per GHz: from 600 to 1500 MHz the voltage would fall below zero
constexpr int search_bits = 26;

/// Static watts and capacitance that come nearest to the points at a given slope.
CurveFit at_slope(const std::vector<ClockPoint>& points, double slope, double reference) {
  Eigen::MatrixXd terms(static_cast<Eigen::Index>(points.size()), 2);
  Eigen::VectorXd drawn(terms.rows());
  for (Eigen::Index i = 0; i < terms.rows(); ++i) {
    const ClockPoint& p = points[static_cast<std::size_t>(i)];
    terms(i, 0) = 1;
    terms(i, 1) = dynamic_shape(p.clock, slope, reference);
    drawn(i) = p.watts;
  }
  const Eigen::Vector2d found = terms.colPivHouseholderQr().solve(drawn);
  return {found(0), found(1), slope};
}

double squared_errors(const CurveFit& curve, const std::vector<ClockPoint>& points, double reference) {
  double sum = 0;
  for (const ClockPoint& p : points) sum += std::pow(curve.clock(p.watts, reference) / p.clock - 1, 2);
  return sum;
}

}  // namespace

double dynamic_shape(double clock, double slope, double reference) {
  const double voltage = 1 + slope * (clock - reference) / mhz_per_ghz;
  return clock * voltage * voltage;
}

double CurveFit::clock(double watts, double reference) const {
  double low = 0, high = 1e4;
  if (slope_per_ghz > 0) low = std::max(0.0, reference - mhz_per_ghz / slope_per_ghz);  // no voltage below
  constexpr double resolution = 1e-6;
  while (high - low > resolution) {
    const double middle = (low + high) / 2;
    const double drawn = static_watts + watts_per_mhz * dynamic_shape(middle, slope_per_ghz, reference);
    (drawn < watts ? low : high) = middle;
  }
  return low;
}

CurveFit fit_curve(const std::vector<ClockPoint>& points, double reference) {
  const auto error = [&](double slope) {
    return squared_errors(at_slope(points, slope, reference), points, reference);
  };
  // Brent's method finds one valley; start it in the lowest of a coarse search.
  constexpr int steps = 30;
  const double step = steepest_slope / steps;
  double best = 0;
  for (int i = 1; i <= steps; ++i)
    if (error(i * step) < error(best)) best = i * step;
  const double slope =
      boost::math::tools::brent_find_minima(error, std::max(0.0, best - step), best + step, search_bits)
          .first;
  return at_slope(points, slope, reference);
}

double left_out_clock(const std::vector<ClockPoint>& points, const ClockPoint& point, double reference) {
  std::vector<ClockPoint> others;
  std::copy_if(points.begin(), points.end(), std::back_inserter(others),
               [&](const ClockPoint& p) { return p.limit != point.limit; });
  return fit_curve(others, reference).clock(point.watts, reference);
}

std::vector<double> left_out_ratios(const std::vector<ClockPoint>& points, double reference) {
  std::vector<double> ratios;
  for (const ClockPoint& p : points) ratios.push_back(p.clock / left_out_clock(points, p, reference));
  return ratios;
}

}  // namespace sextant::detail
