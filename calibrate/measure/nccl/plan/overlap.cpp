#include "calibrate/measure/nccl/plan/overlap.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/common/statistics.hpp"
#include "calibrate/measure/nccl/plan/sizes.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

constexpr std::uint64_t usual_bytes = std::uint64_t{64} << 20;
// A shorter one takes less than the host needs to enqueue it on two GPUs beside the GEMMs (some 20 us).
constexpr std::uint64_t least_bytes = std::uint64_t{4} << 20;
constexpr double least_unit_us = 200;      // reading the clock between two units costs 1 or 2 us
constexpr double least_window_us = 12000;  // tensor-bound work keeps its full clock for some 25 ms
constexpr int least_units = 5, most_per_unit = 64;
constexpr double noisy_half_width = 0.05, host_bound_share = 0.8;

std::vector<int> usual_channels() {
  return {0, 1, 2, 4, 8, 16, 24};
}

bool can_overlap(Operation operation) {
  return operation == Operation::all_reduce || operation == Operation::all_gather ||
         operation == Operation::reduce_scatter || is_between_two(operation);
}

std::string channels_text(int channels) {
  return channels == 0 ? "NCCL's own" : std::to_string(channels);
}

std::string gemm_text(const GemmShape& gemm) {
  return fmt::format("{} x {} x {}", gemm.m, gemm.n, gemm.k);
}

const char* priority_text(bool high) {
  return high ? "high" : "same";
}

std::vector<std::uint64_t> overlap_sizes(const Options& options) {
  if (!options.min_bytes && !options.max_bytes) return {usual_bytes};
  std::vector<std::uint64_t> sizes = given_sizes(options);
  for (const std::uint64_t bytes : sizes)
    if (bytes < least_bytes)
      throw InputError(fmt::format(
          "nccl --overlap: found {} bytes, expected at least {}: the host does not keep up with shorter ones",
          bytes, measure::size_text(static_cast<std::int64_t>(least_bytes))));
  return sizes;
}

std::vector<Operation> overlap_operations(const Options& options) {
  if (options.sweep()) return {Operation::all_reduce, Operation::sendrecv};
  for (const Operation operation : options.operations)
    if (!can_overlap(operation))
      throw InputError(fmt::format(
          "nccl --overlap: found {}, expected all_reduce, all_gather, reduce_scatter, send or sendrecv",
          name(operation)));
  return options.operations;
}

UnitCounts unit_counts(double us, double window_us) {
  UnitCounts counts;
  counts.per_unit = std::clamp(static_cast<int>(std::ceil(least_unit_us / us)), 1, most_per_unit);
  // One more, because the first is left out.
  counts.units = std::max(least_units, static_cast<int>(std::ceil(window_us / (us * counts.per_unit)))) + 1;
  return counts;
}

/// The median of the samples; tells the note of its interval.
double median_of(const std::vector<double>& samples, const char* what, std::string& note) {
  if (samples.empty()) throw Error(ExitCode::failure, fmt::format("overlap: no samples of the {}", what));
  const measure::MedianInterval interval = measure::median_interval(samples);
  note += fmt::format("; {} {:.6g} to {:.6g}{}", what, interval.low, interval.high,
                      interval.relative_half_width() > noisy_half_width ? " (noisy)" : "");
  return interval.median;
}

}  // namespace

std::string OverlapPoint::text() const {
  return fmt::format("{} of {}, {} channels, {} priority, beside {}", name(operation),
                     measure::size_text(static_cast<std::int64_t>(bytes)), channels_text(channels),
                     priority_text(high_priority), gemm_text(gemm));
}

std::vector<OverlapPoint> overlap_points(const Options& options, int ranks, int processes) {
  if (processes > 1)
    throw InputError(fmt::format("nccl --overlap: found {} processes, expected one for all GPUs", processes));
  if (ranks < 2) throw InputError(fmt::format("nccl --overlap: found {} GPU, expected at least 2", ranks));
  const std::vector<Operation> operations = overlap_operations(options);
  const std::vector<std::uint64_t> sizes = overlap_sizes(options);
  std::vector<OverlapPoint> points;
  for (const int channels : options.variants.channels.value_or(usual_channels()))
    for (const Operation operation : operations)
      for (const std::uint64_t bytes : sizes)
        for (const GemmShape& gemm : options.overlap.gemms)
          for (const bool high : options.overlap.high_priority)
            points.push_back({operation, bytes, channels, high, gemm});
  return points;
}

OverlapEffort overlap_effort(const Options& options) {
  constexpr double usual_seconds = 80;
  constexpr int quick = 3, standard = 7, thorough = 21;
  OverlapEffort effort;
  effort.samples = options.effort == Effort::quick      ? quick
                   : options.effort == Effort::thorough ? thorough
                                                        : standard;
  effort.seconds = options.seconds.value_or(options.effort == Effort::thorough ? 3600 : usual_seconds);
  return effort;
}

void expect_gpus_for_overlap(int visible, const std::string& reason) {
  if (visible == 0)
    throw InputError(fmt::format("nccl --overlap: skipped: no GPU ({}), expected at least 2", reason));
  if (visible == 1) throw InputError("nccl --overlap: skipped: found one GPU, expected at least 2");
}

OverlapCounts overlap_counts(double collective_us, double gemm_us) {
  const double longest = std::max({collective_us, gemm_us, least_unit_us});
  const double window_us = std::max(least_window_us, least_units * longest);
  return {unit_counts(collective_us, window_us), unit_counts(gemm_us, window_us)};
}

std::optional<Period> period_alone(const std::vector<double>& marks) {
  if (marks.size() < 3) return std::nullopt;
  const int units = static_cast<int>(marks.size()) - 2;
  return Period{(marks.back() - marks[1]) / units, units};
}

std::optional<Period> period_beside(const std::vector<double>& marks, const std::vector<double>& others) {
  if (marks.size() < 2 || others.size() < 2) return std::nullopt;
  const double begin = std::max(marks[1], others[1]), end = others.back();
  const auto first = std::lower_bound(marks.begin() + 1, marks.end(), begin);
  const auto beyond = std::upper_bound(first, marks.end(), end);
  const auto units = static_cast<int>(std::distance(first, beyond)) - 1;
  if (units < 1) return std::nullopt;
  return Period{(*(beyond - 1) - *first) / units, units};
}

Measurement overlap_row(const OverlapPoint& point, int ranks, const RowContext& context,
                        const OverlapSamples& samples, const std::string& nccl_version) {
  OverlapRow row;
  row.op = name(point.operation);
  row.ranks = ranks;
  row.nodes = context.nodes;
  row.link = context.link;
  constexpr std::size_t element_bytes = 2;
  row.bytes = static_cast<double>(
      size_bytes(layout(point.operation, point.bytes, element_bytes, ranks), element_bytes));
  row.channels = point.channels;
  row.priority = priority_text(point.high_priority);
  row.dtype = "bf16";
  row.m = point.gemm.m;
  row.n = point.gemm.n;
  row.k = point.gemm.k;
  std::string note = fmt::format("NCCL {}{}; {} samples, means of {} units or more; 95 % intervals in us",
                                 nccl_version, context.multicast_off ? ", multicast off" : "",
                                 samples.gemm_beside.size(), samples.least_units);
  row.collective_us_alone = median_of(samples.collective_alone, "collective alone", note);
  row.collective_us_beside = median_of(samples.collective_beside, "collective beside", note);
  row.gemm_us_alone = median_of(samples.gemm_alone, "gemm alone", note);
  row.gemm_us_beside = median_of(samples.gemm_beside, "gemm beside", note);
  if (samples.least_mhz_alone > 0)
    note += fmt::format("; lowest clock {} MHz alone, {} beside", samples.least_mhz_alone,
                        samples.least_mhz_beside);
  if (samples.most_host_share > host_bound_share)
    note += fmt::format("; the host took {:.0f} % of the time to enqueue: not a pure device time",
                        100 * samples.most_host_share);
  if (samples.throttled) note += "; throttled";
  return {context.gpu, context.source, note, row};
}

std::string overlap_heading() {
  return fmt::format("# {:>14} {:>6} {:>10} {:>8} {:>20} {:>10} {:>10} {:>6} {:>10} {:>10} {:>6}\n",
                     "operation", "size", "channels", "priority", "gemm", "coll alone", "beside", "ratio",
                     "gemm alone", "beside", "ratio");
}

std::string overlap_line(const OverlapPoint& point, const OverlapRow& row) {
  return fmt::format(
      "  {:>14} {:>6} {:>10} {:>8} {:>20} {:10.1f} {:10.1f} {:6.3f} {:10.1f} {:10.1f} {:6.3f}\n", row.op,
      measure::size_text(static_cast<std::int64_t>(point.bytes)), channels_text(row.channels), row.priority,
      gemm_text(point.gemm), row.collective_us_alone, row.collective_us_beside,
      row.collective_us_beside / row.collective_us_alone, row.gemm_us_alone, row.gemm_us_beside,
      row.gemm_us_beside / row.gemm_us_alone);
}

std::string overlap_list_text(const std::vector<OverlapPoint>& points, const OverlapEffort& effort,
                              int ranks) {
  std::string text =
      fmt::format("# {} points on {} GPUs, {} samples each, no new point after {}\n", points.size(), ranks,
                  effort.samples, measure::duration_text(effort.seconds));
  for (const OverlapPoint& point : points) text += point.text() + "\n";
  return text;
}

}  // namespace sextant::nccl
