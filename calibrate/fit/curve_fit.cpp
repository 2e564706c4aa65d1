#include "calibrate/fit/curve_fit.hpp"

#include <algorithm>
#include <cmath>

namespace sextant {
namespace {

/// Leaves out the times that a larger size undercuts by `ratio`; returns how many. 0: none.
std::size_t drop_outliers(TransferCurve& curve, double ratio) {
  if (ratio < 1) return 0;
  TransferCurve kept = curve;
  kept.bytes.clear();
  kept.us.clear();
  double least_later = curve.us.back();
  for (std::size_t i = curve.us.size(); i-- > 0;) {
    if (curve.us[i] > ratio * least_later) continue;
    least_later = std::min(least_later, curve.us[i]);
    kept.bytes.push_back(curve.bytes[i]);
    kept.us.push_back(curve.us[i]);
  }
  std::reverse(kept.bytes.begin(), kept.bytes.end());
  std::reverse(kept.us.begin(), kept.us.end());
  const std::size_t dropped = curve.us.size() - kept.us.size();
  curve = std::move(kept);
  return dropped;
}

/// Pools neighbours that fall into their geometric mean until none does; returns how many times fell.
std::size_t level_falls(std::vector<double>& us) {
  struct Block {
    double logarithm = 0;
    std::size_t points = 1;
  };
  std::vector<Block> blocks;
  std::size_t falls = 0;
  for (std::size_t i = 0; i < us.size(); ++i) {
    if (i > 0 && us[i] < us[i - 1]) ++falls;
    blocks.push_back({std::log(us[i]), 1});
    while (blocks.size() > 1 && blocks.back().logarithm < blocks[blocks.size() - 2].logarithm) {
      const Block last = blocks.back();
      blocks.pop_back();
      Block& before = blocks.back();
      const double sum = before.logarithm * static_cast<double>(before.points) +
                         last.logarithm * static_cast<double>(last.points);
      before.points += last.points;
      before.logarithm = sum / static_cast<double>(before.points);
    }
  }
  if (falls == 0) return 0;
  std::size_t next = 0;
  for (const Block& block : blocks)
    for (std::size_t i = 0; i < block.points; ++i) us[next++] = std::exp(block.logarithm);
  return falls;
}

TransferCurve of_points(const TransferCurve& curve, const std::vector<std::size_t>& points) {
  TransferCurve result = curve;
  result.bytes.clear();
  result.us.clear();
  for (const std::size_t i : points) {
    result.bytes.push_back(curve.bytes[i]);
    result.us.push_back(curve.us[i]);
  }
  return result;
}

/// The fewest points, each as far as the line to it meets those between within `tolerance`.
TransferCurve thin(const TransferCurve& curve, double tolerance) {
  std::vector<std::size_t> kept = {0};
  while (kept.back() + 1 < curve.bytes.size()) {
    std::size_t reach = kept.back() + 1;
    for (std::size_t to = reach + 1; to < curve.bytes.size(); ++to) {
      const TransferCurve line = of_points(curve, {kept.back(), to});
      bool meets = true;
      for (std::size_t i = kept.back() + 1; i < to; ++i)
        meets = meets && std::abs(line.time_us(curve.bytes[i]) / curve.us[i] - 1) <= tolerance;
      if (meets) reach = to;
    }
    kept.push_back(reach);
  }
  return of_points(curve, kept);
}

TimePairs pairs_left_out(const TransferCurve& curve) {
  TimePairs pairs;
  for (std::size_t i = 1; i + 1 < curve.bytes.size(); ++i) {
    pairs.predicted.push_back(of_points(curve, {i - 1, i + 1}).time_us(curve.bytes[i]));
    pairs.measured.push_back(curve.us[i]);
  }
  return pairs;
}

}  // namespace

CurveFit fit_curve(const TimesBySize& times, const LinkRules& rules) {
  CurveFit fit;
  const double believed = rules.curve.figure.value > 0 ? rules.curve.high / rules.curve.figure.value : 1;
  fit.full.grade = Grade::measured;
  fit.full.spread = spread_of(rules.curve);
  for (const auto& [bytes, us] : times) {
    fit.rows += us.size();
    const auto [least, most] = std::minmax_element(us.begin(), us.end());
    if (*most > believed * *least) ++fit.disagreeing;
    fit.full.bytes.push_back(bytes);
    fit.full.us.push_back(quantile(us, 0.5));
  }
  fit.outliers = drop_outliers(fit.full, rules.outlier_ratio.value);
  fit.left_out_pairs = pairs_left_out(fit.full);  // of the times as measured, before any is levelled
  fit.falls = level_falls(fit.full.us);
  fit.thinned = thin(fit.full, rules.thinning.value);
  for (const auto& [bytes, us] : times)
    for (const double one : us) {
      fit.shipped_pairs.predicted.push_back(fit.thinned.time_us(bytes));
      fit.shipped_pairs.measured.push_back(one);
    }
  fit.shipped = summarise_errors(fit.shipped_pairs.predicted, fit.shipped_pairs.measured);
  fit.left_out = summarise_errors(fit.left_out_pairs.predicted, fit.left_out_pairs.measured);
  for (TransferCurve* curve : {&fit.full, &fit.thinned}) {
    curve->spread.low = std::min(curve->spread.low, fit.shipped.low);
    curve->spread.high = std::max(curve->spread.high, fit.shipped.high);
    if (fit.full.bytes.size() > 2) {
      curve->median_error = fit.left_out.median;
      curve->p90_error = fit.left_out.p90;
    }
  }
  return fit;
}

}  // namespace sextant
