#include "calibrate/fit/operator_fit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include "calibrate/fit/grid_fit.hpp"
#include "calibrate/fit/grid_stencil.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr std::size_t fewest_rows = 8;
constexpr double reached_best = 0.98;    // quantile of rates: a few outliers above do not count
constexpr double smallest_times = 0.01;  // quantile of times that stands for an empty kernel
constexpr double latency_share =
    0.8;  // of it: the rest grows with the work, and no row's time may fall below
constexpr double least_work_share = 0.02;  // of a row's time above the latency
constexpr double beyond_l2 = 2;            // times the L2: reading in a circle then finds little of it again
constexpr double unknown_l2_share = 1.0 / 16;  // of the largest data counts as beyond an L2 of unknown size
constexpr double extreme_quarter = 0.25;
constexpr double small_size_weight = 0.05;  // of rows too small for serving

double latency_of(const std::vector<FitSample>& samples) {
  std::vector<double> times;
  for (const FitSample& sample : samples) times.push_back(sample.us);
  return latency_share * quantile(times, smallest_times);
}

double work_us(double us, double latency_us) {
  return std::max(us - latency_us, us * least_work_share);
}

double tflops_of(const std::vector<FitSample>& samples, double latency_us) {
  std::vector<double> flops, rates;
  for (const FitSample& sample : samples) flops.push_back(sample.work.flops);
  const double large = quantile(flops, 1 - extreme_quarter);
  for (const FitSample& sample : samples)
    if (sample.work.flops >= large) rates.push_back(sample.work.flops / work_us(sample.us, latency_us) / 1e6);
  return quantile(rates, reached_best);
}

double streaming_bytes(const std::vector<FitSample>& samples, double l2_bytes) {
  double largest = 0;
  for (const FitSample& sample : samples) largest = std::max(largest, sample.work.streamed_bytes);
  return l2_bytes > 0 ? std::min(beyond_l2 * l2_bytes, largest) : largest * unknown_l2_share;
}

/// What the rows with the fewest operations per byte reach, among those whose data cannot stay in the L2.
double memory_gbps_of(const std::vector<FitSample>& samples, double latency_us, double l2_bytes) {
  const double streaming = streaming_bytes(samples, l2_bytes);
  std::vector<double> intensities, rates;
  for (const FitSample& sample : samples)
    if (sample.work.streamed_bytes >= streaming) intensities.push_back(sample.work.flops / sample.work.bytes);
  const double low = quantile(intensities, extreme_quarter);
  for (const FitSample& sample : samples)
    if (sample.work.streamed_bytes >= streaming && sample.work.flops / sample.work.bytes <= low)
      rates.push_back(sample.work.bytes / work_us(sample.us, latency_us) / 1e3);
  return quantile(rates, reached_best);
}

double roofline_us(const Roofline& roofline, const FitSample& sample) {
  return roofline_seconds(roofline, sample.work) * 1e6;
}

std::size_t floor_at_memory(std::vector<FitSample>& samples, const Roofline& roofline) {
  std::size_t floored = 0;
  for (FitSample& sample : samples) {
    const double least = roofline.latency_us + sample.work.bytes / roofline.memory_gbps / 1e3;
    if (sample.us >= least) continue;
    sample.us = least;
    ++floored;
  }
  return floored;
}

/// Rows of one shape and a first coordinate of at most `alike_below`, bound by memory, are compared with the
/// median of those within a factor of two. Where at least a tenth of those beyond the L2 took a tenth to
/// three tenths longer, they are a second state, and every row a twentieth slower than its median is set to
/// it: another allocation of the same weights would have been faster. Below that it is noise, above another
/// kernel.
SlowState settle(std::vector<FitSample>& samples, const Roofline& roofline, double alike_below,
                 double l2_bytes) {
  constexpr double slower = 1.05, least_time = 1.1, most_time = 1.3, least_share = 0.1;
  constexpr double reach = 2;
  constexpr std::size_t fewest = 5;
  std::map<std::vector<double>, std::vector<std::size_t>> shapes;
  for (std::size_t i = 0; i < samples.size(); ++i)
    if (samples[i].work.point.values[0] <= alike_below) shapes[samples[i].shape].push_back(i);
  const double streaming = streaming_bytes(samples, l2_bytes);
  std::vector<double> all, slow;
  std::vector<std::pair<std::size_t, double>> settled;
  for (const auto& [unused, rows] : shapes) {
    for (const std::size_t i : rows) {
      const double at = samples[i].work.point.values[0];
      std::vector<double> near;
      for (const std::size_t j : rows) {
        const double other = samples[j].work.point.values[0];
        if (other <= reach * at && at <= reach * other) near.push_back(samples[j].us / samples[j].work.bytes);
      }
      const FitSample& row = samples[i];
      if (near.size() < fewest ||
          row.work.bytes / roofline.memory_gbps < row.work.flops / roofline.tflops / 1e3)
        continue;
      const double usual = quantile(near, 0.5) * row.work.bytes, ratio = row.us / usual;
      if (row.work.streamed_bytes >= streaming) (ratio > slower ? slow : all).push_back(ratio);
      if (ratio > slower) settled.emplace_back(i, usual);
    }
  }
  if (slow.empty()) return {};
  const double rows = static_cast<double>(slow.size() + all.size());
  const SlowState state{static_cast<double>(slow.size()) / rows, quantile(slow, 0.5)};
  if (state.share < least_share || state.time < least_time || state.time > most_time) return {};
  for (const auto& [i, us] : settled) samples[i].us = us;
  return state;
}

std::vector<GridSample> grid_samples(const std::vector<FitSample>& samples, const Roofline& roofline) {
  std::vector<GridSample> result;
  result.reserve(samples.size());
  for (const FitSample& sample : samples) {
    const double work = work_us(sample.us, roofline.latency_us);
    const double share = work / sample.us;  // an error of the efficiency counts as much in the time
    result.push_back({sample.work.point, roofline_us(roofline, sample) / work,
                      share * share * (sample.serving ? 1 : small_size_weight)});
  }
  return result;
}

/// Rows at least a twentieth faster than one that differs only by less of the first coordinate (rows, batch,
/// length, pairs): noise, or another kernel taking over.
std::size_t falling_rows(const std::vector<FitSample>& samples) {
  constexpr double faster = 0.95;
  std::vector<const FitSample*> order;
  for (const FitSample& sample : samples) order.push_back(&sample);
  const auto others = [](const FitSample& sample) {
    const std::span<const double> all = sample.work.point.coordinates();
    return all.subspan(1);
  };
  std::sort(order.begin(), order.end(), [&](const FitSample* a, const FitSample* b) {
    const auto left = others(*a), right = others(*b);
    if (!std::equal(left.begin(), left.end(), right.begin()))
      return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end());
    return a->work.point.values[0] < b->work.point.values[0];
  });
  std::size_t falling = 0;
  double slowest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto here = others(*order[i]);
    if (i == 0 || !std::equal(here.begin(), here.end(), others(*order[i - 1]).begin())) slowest = 0;
    falling += order[i]->us < faster * slowest ? 1 : 0;
    slowest = std::max(slowest, order[i]->us);
  }
  return falling;
}

std::size_t outlying_rows(const std::vector<double>& predicted, const std::vector<double>& measured) {
  constexpr double far = 0.25;
  std::size_t outliers = 0;
  for (std::size_t i = 0; i < predicted.size(); ++i)
    outliers += std::abs(predicted[i] / measured[i] - 1) > far ? 1 : 0;
  return outliers;
}

/// Predictions and measurements of serving sizes, pairwise.
struct Comparison {
  std::vector<double> predicted, measured;
  void add(const FitSample& sample, const Roofline& roofline, const Grid& efficiency) {
    if (!sample.serving) return;
    predicted.push_back(roofline.latency_us +
                        roofline_us(roofline, sample) / efficiency.at(sample.work.point.coordinates()));
    measured.push_back(sample.us);
  }
};

/// Deals the shapes out to `folds` groups so that the neighbours of a shape, along any coordinate and
/// diagonally, are in other groups: leaving a group out then tests each of its shapes as leaving out that
/// shape alone would, wherever shapes stand in a lattice.
std::vector<std::size_t> folds_of(const std::vector<FitSample>& samples, std::size_t folds) {
  std::vector<std::size_t> result(samples.size(), 0);
  for (std::size_t d = 0; d < samples.front().shape.size(); ++d) {
    std::vector<double> values;
    for (const FitSample& sample : samples) values.push_back(sample.shape[d]);
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto rank = std::lower_bound(values.begin(), values.end(), samples[i].shape[d]) - values.begin();
      result[i] = (result[i] + (d + 1) * static_cast<std::size_t>(rank)) % folds;
    }
  }
  return result;
}

/// Predictions of shapes that a fit did not see.
Comparison held_out(const std::vector<FitSample>& samples, const std::vector<GridSample>& points,
                    const GridShape& shape, const OperatorModel& model, std::size_t folds) {
  Comparison comparison;
  const std::vector<std::size_t> fold_of = folds_of(samples, folds);
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<GridSample> seen = points;
    for (std::size_t i = 0; i < samples.size(); ++i)
      if (fold_of[i] == fold) seen[i].weight = 0;
    const Grid efficiency = fit_grid(shape, seen, &model.efficiency);
    for (std::size_t i = 0; i < samples.size(); ++i)
      if (fold_of[i] == fold) comparison.add(samples[i], model.roofline, efficiency);
  }
  return comparison;
}

/// The values of a coordinate that many samples share (a lattice's) and, of the others, those that are not
/// within a ratio of one already taken.
std::vector<double> common_axis(const std::vector<GridSample>& points, std::size_t d, double least_ratio,
                                double merged) {
  constexpr double many = 0.005;  // of the samples
  const auto is_common = [&](const GridSample& sample) {
    const auto same = std::count_if(points.begin(), points.end(), [&](const GridSample& other) {
      return other.point.values[d] == sample.point.values[d];
    });
    return static_cast<double>(same) >= many * static_cast<double>(points.size());
  };
  std::vector<GridSample> common;
  std::copy_if(points.begin(), points.end(), std::back_inserter(common), is_common);
  std::vector<double> axis = axis_of(common, d, least_ratio);
  for (const double x : axis_of(points, d, merged)) {
    const auto next = std::lower_bound(axis.begin(), axis.end(), x);
    const bool near_next = next != axis.end() && x * merged > *next;
    const bool near_last = next != axis.begin() && *std::prev(next) * merged > x;
    if (!near_next && !near_last) axis.insert(next, x);
  }
  return axis;
}

/// Every value that the samples have is a point of its axis, unless that makes too many nodes (shapes spread
/// at random rather than in a lattice): then values that few samples share are merged with their neighbours,
/// further and further.
GridShape full_shape(const OperatorFitOptions& options, const std::vector<GridSample>& points) {
  constexpr std::size_t most_nodes = 50'000;
  constexpr double coarser = 1.05, coarsest = 4;
  GridShape shape;
  shape.bending = options.bending;
  for (const FitAxis& axis : options.axes) shape.stiffness.push_back(axis.stiffness);
  for (double merged = 1;; merged *= coarser) {
    shape.axes.clear();
    for (std::size_t d = 0; d < options.axes.size(); ++d) {
      const double least_ratio = options.axes[d].least_ratio;
      shape.axes.push_back(merged > least_ratio ? common_axis(points, d, least_ratio, merged)
                                                : axis_of(points, d, least_ratio));
    }
    if (detail::node_count(shape.axes) <= most_nodes || merged > coarsest) return shape;
  }
}

}  // namespace

OperatorModel fit_operator(std::vector<FitSample> samples, const OperatorFitOptions& options,
                           FitReportLine& line) {
  if (samples.size() < fewest_rows)
    throw InputError(fmt::format("{}: found {} rows, expected {} or more to fit", options.family,
                                 samples.size(), fewest_rows));
  OperatorModel model;
  model.grade = Grade::fitted;
  Roofline& roofline = model.roofline;
  roofline.latency_us = latency_of(samples);
  roofline.tflops = options.arithmetic ? tflops_of(samples, roofline.latency_us) : 0;
  roofline.memory_gbps = options.memory_gbps ? *options.memory_gbps
                                             : memory_gbps_of(samples, roofline.latency_us, options.l2_bytes);
  line.family = options.family;
  line.rows = samples.size();
  line.falling = falling_rows(samples);
  if (options.floor_at_memory) line.floored = floor_at_memory(samples, roofline);

  std::vector<FitSample> usual = samples;
  if (options.alike_below > 0)
    model.slow_state = settle(usual, roofline, options.alike_below, options.l2_bytes);
  const std::vector<GridSample> points = grid_samples(usual, roofline);
  GridShape shape = full_shape(options, points);
  model.efficiency = fit_grid(shape, points);
  if (model.efficiency.values().size() > options.most_values) {
    shape = thinned(shape, model.efficiency, points, options.most_values);
    model.efficiency = fit_grid(shape, points);
  }

  Comparison fitted;
  for (const FitSample& sample : samples) fitted.add(sample, roofline, model.efficiency);
  line.fitted = summarise_errors(fitted.predicted, fitted.measured);
  line.outliers = outlying_rows(fitted.predicted, fitted.measured);
  const Comparison unseen =
      options.folds >= 2 ? held_out(samples, points, shape, model, options.folds) : fitted;
  line.held_out = summarise_errors(unseen.predicted, unseen.measured);
  line.held_out_regions = errors_by_duration(unseen.predicted, unseen.measured);
  model.cross_validation = line.held_out_regions;
  line.tflops = roofline.tflops;
  line.memory_gbps = roofline.memory_gbps;
  line.latency_us = roofline.latency_us;
  // A model's shapes mostly lie between those of the table: what counts is the error on shapes not seen.
  model.spread = {line.held_out.low, line.held_out.high};
  model.median_error = line.held_out.median;
  return model;
}

}  // namespace sextant
