#pragma once
#include <string>
#include <vector>

namespace sextant::rdma {

/// What a point's raw samples say, in their unit. Percentiles interpolate linearly between order statistics.
struct SampleStatistics {
  std::size_t samples = 0;
  double least = 0, most = 0, median = 0, mean = 0, deviation = 0, p90 = 0, p99 = 0, p999 = 0;
  /// "1000 samples: p90 2.1, p99 2.4, p99.9 3.9, least 1.8, most 4.2".
  std::string note() const;
};

/// Throws Error if there are none.
SampleStatistics statistics(std::vector<double> samples);

/// Messages finished by some time after the first was posted.
struct Finished {
  double seconds = 0;
  double messages = 0;
};

/// Rates of up to `slices` consecutive parts of about equal duration, messages a second.
std::vector<double> slice_rates(const std::vector<Finished>& progress, std::size_t slices);

}  // namespace sextant::rdma
