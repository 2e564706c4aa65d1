#include "sim/serving/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sextant {

void WeightedSamples::add(Time value, std::int64_t weight) {
  if (weight <= 0) return;
  values_.emplace_back(value.ns, weight);
  count_ += weight;
  sum_ms_ += value.ms() * static_cast<double>(weight);
  // Merge equal values before the list doubles: deterministic runs repeat a few thousand distinct gaps.
  if (values_.size() >= (std::size_t{1} << 16) && values_.size() >= 2 * compacted_) compact();
}

void WeightedSamples::compact() const {
  if (compacted_ == values_.size()) return;
  std::sort(values_.begin() + static_cast<std::ptrdiff_t>(compacted_), values_.end());
  std::inplace_merge(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(compacted_),
                     values_.end());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (kept > 0 && values_[kept - 1].first == values_[i].first)
      values_[kept - 1].second += values_[i].second;
    else
      values_[kept++] = values_[i];
  }
  values_.resize(kept);
  compacted_ = kept;
}

double WeightedSamples::mean_ms() const {
  return count_ == 0 ? std::numeric_limits<double>::quiet_NaN() : sum_ms_ / static_cast<double>(count_);
}

double WeightedSamples::percentile_ms(double fraction) const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  compact();
  const double position = fraction * static_cast<double>(count_ - 1);
  const auto below = static_cast<std::int64_t>(std::floor(position));
  const double part = position - static_cast<double>(below);
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    seen += values_[i].second;
    if (seen <= below) continue;
    const double low = Time{values_[i].first}.ms();
    // The next order statistic is this value again unless `below` is its last repeat.
    const bool last = seen == below + 1;
    const double high = last && i + 1 < values_.size() ? Time{values_[i + 1].first}.ms() : low;
    return low + part * (high - low);
  }
  return Time{values_.back().first}.ms();
}

LatencySummary summarise(const WeightedSamples& samples) {
  return {samples.mean_ms(), samples.percentile_ms(0.5), samples.percentile_ms(0.9),
          samples.percentile_ms(0.99)};
}

}  // namespace sextant
