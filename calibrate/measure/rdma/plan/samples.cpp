#include "calibrate/measure/rdma/plan/samples.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

double percentile(const std::vector<double>& ascending, double share) {
  const double place = share * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  return ascending[below] + (place - static_cast<double>(below)) * (ascending[above] - ascending[below]);
}

}  // namespace

std::string SampleStatistics::note() const {
  return fmt::format("{} samples: p90 {:.4g}, p99 {:.4g}, p99.9 {:.4g}, least {:.4g}, most {:.4g}", samples,
                     p90, p99, p999, least, most);
}

SampleStatistics statistics(std::vector<double> samples) {
  if (samples.empty()) throw Error(ExitCode::failure, "found no samples, expected at least one");
  std::sort(samples.begin(), samples.end());
  SampleStatistics result;
  result.samples = samples.size();
  const auto count = static_cast<double>(samples.size());
  result.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  double squares = 0;
  for (const double value : samples) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / count);
  result.least = samples.front();
  result.most = samples.back();
  result.median = percentile(samples, 0.5);
  result.p90 = percentile(samples, 0.9);
  result.p99 = percentile(samples, 0.99);
  result.p999 = percentile(samples, 0.999);
  return result;
}

std::vector<double> slice_rates(const std::vector<Finished>& progress, std::size_t slices) {
  std::vector<double> rates;
  if (progress.empty() || slices == 0) return rates;
  const double length = progress.back().seconds / static_cast<double>(slices);
  Finished begin;
  for (const Finished& now : progress) {
    const bool last = &now == &progress.back();
    if (now.seconds - begin.seconds < length && !(last && rates.empty())) continue;
    if (now.seconds > begin.seconds)
      rates.push_back((now.messages - begin.messages) / (now.seconds - begin.seconds));
    begin = now;
  }
  return rates;
}

}  // namespace sextant::rdma
