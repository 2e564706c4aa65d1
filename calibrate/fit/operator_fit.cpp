#include "calibrate/fit/operator_fit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "calibrate/fit/grid_fit.hpp"
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
  for (const FitSample& sample : samples) flops.push_back(sample.flops);
  const double large = quantile(flops, 1 - extreme_quarter);
  for (const FitSample& sample : samples)
    if (sample.flops >= large) rates.push_back(sample.flops / work_us(sample.us, latency_us) / 1e6);
  return quantile(rates, reached_best);
}

/// What the rows with the fewest operations per byte reach, among those whose data cannot stay in the L2.
double memory_gbps_of(const std::vector<FitSample>& samples, double latency_us, double l2_bytes) {
  double largest = 0;
  for (const FitSample& sample : samples) largest = std::max(largest, sample.resident_bytes);
  const double streaming =
      l2_bytes > 0 ? std::min(beyond_l2 * l2_bytes, largest) : largest * unknown_l2_share;
  std::vector<double> intensities, rates;
  for (const FitSample& sample : samples)
    if (sample.resident_bytes >= streaming) intensities.push_back(sample.flops / sample.bytes);
  const double low = quantile(intensities, extreme_quarter);
  for (const FitSample& sample : samples)
    if (sample.resident_bytes >= streaming && sample.flops / sample.bytes <= low)
      rates.push_back(sample.bytes / work_us(sample.us, latency_us) / 1e3);
  return quantile(rates, reached_best);
}

double roofline_us(const Roofline& roofline, const FitSample& sample) {
  const double arithmetic = roofline.tflops > 0 ? sample.flops / roofline.tflops / 1e6 : 0;
  return std::max(arithmetic, sample.bytes / roofline.memory_gbps / 1e3);
}

std::size_t floor_at_memory(std::vector<FitSample>& samples, const Roofline& roofline) {
  std::size_t floored = 0;
  for (FitSample& sample : samples) {
    const double least = roofline.latency_us + sample.bytes / roofline.memory_gbps / 1e3;
    if (sample.us >= least) continue;
    sample.us = least;
    ++floored;
  }
  return floored;
}

std::vector<GridSample> grid_samples(const std::vector<FitSample>& samples, const Roofline& roofline) {
  std::vector<GridSample> result;
  result.reserve(samples.size());
  for (const FitSample& sample : samples) {
    const double work = work_us(sample.us, roofline.latency_us);
    const double share = work / sample.us;  // an error of the efficiency counts as much in the time
    result.push_back({sample.coordinates, roofline_us(roofline, sample) / work,
                      share * share * (sample.serving ? 1 : small_size_weight)});
  }
  return result;
}

struct Comparison {
  std::vector<double> predicted, measured;
  void add(const FitSample& sample, const Roofline& roofline, const Grid& efficiency) {
    if (!sample.serving) return;
    predicted.push_back(roofline.latency_us +
                        roofline_us(roofline, sample) / efficiency.at(sample.coordinates));
    measured.push_back(sample.us);
  }
  ErrorSummary summary() const { return summarise_errors(predicted, measured); }
};

/// Errors on shapes that a fit did not see.
ErrorSummary held_out_errors(const std::vector<FitSample>& samples, const std::vector<GridSample>& points,
                             const std::vector<std::vector<double>>& axes, const Roofline& roofline,
                             int folds) {
  Comparison comparison;
  const auto count = static_cast<std::uint64_t>(std::max(folds, 1));
  for (std::uint64_t fold = 0; folds >= 2 && fold < count; ++fold) {
    std::vector<GridSample> seen = points;
    for (std::size_t i = 0; i < samples.size(); ++i)
      if (samples[i].shape % count == fold) seen[i].weight = 0;
    const Grid efficiency = fit_grid(axes, seen);
    for (const FitSample& sample : samples)
      if (sample.shape % count == fold) comparison.add(sample, roofline, efficiency);
  }
  return comparison.summary();
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
  if (options.floor_at_memory) line.floored = floor_at_memory(samples, roofline);

  const std::vector<GridSample> points = grid_samples(samples, roofline);
  std::vector<std::vector<double>> axes;
  for (std::size_t d = 0; d < options.axes.size(); ++d)
    axes.push_back(clipped_axis(options.axes[d], points, d));
  model.efficiency = fit_grid(axes, points);

  Comparison fitted;
  for (const FitSample& sample : samples) fitted.add(sample, roofline, model.efficiency);
  line.fitted = fitted.summary();
  line.held_out = held_out_errors(samples, points, axes, roofline, options.folds);
  line.tflops = roofline.tflops;
  line.memory_gbps = roofline.memory_gbps;
  line.latency_us = roofline.latency_us;
  // A model's shapes mostly lie between those of the table: what counts is the error on shapes not seen.
  const ErrorSummary& unseen = options.folds >= 2 ? line.held_out : line.fitted;
  model.spread = {unseen.low, unseen.high};
  model.median_error = unseen.median;
  return model;
}

}  // namespace sextant
