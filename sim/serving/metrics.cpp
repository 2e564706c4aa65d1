#include "sim/serving/metrics.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace sextant {

namespace {
constexpr std::size_t most_values = std::size_t{1} << 18;
constexpr unsigned digits = 14;  // binary digits of a rounded value
constexpr std::size_t bins_per_octave = std::size_t{1} << (digits - 1);
}  // namespace

void WeightedSamples::add(Time value, std::int64_t weight) {
  if (weight <= 0) return;
  count_ += weight;
  sum_ms_ += value.ms() * static_cast<double>(weight);
  if (!bins_.empty()) {
    const std::size_t at = bin(value.ns);
    if (at >= bins_.size()) bins_.resize(at + 1);
    bins_[at] += weight;
    return;
  }
  values_.emplace_back(value.ns, weight);
  // Merge equal values before the list doubles: deterministic runs repeat a few thousand distinct gaps.
  if (values_.size() < (std::size_t{1} << 16) || values_.size() < 2 * compacted_) return;
  compact();
  if (compacted_ > most_values) round_values();
}

/// Values below 2^14 ns each have a bin; every octave above is divided into 2^13.
std::size_t WeightedSamples::bin(std::int64_t ns) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, ns));
  const int width = std::bit_width(value);
  const auto shift = static_cast<unsigned>(std::max(0, width - static_cast<int>(digits)));
  return shift * bins_per_octave + static_cast<std::size_t>(value >> shift);
}

double WeightedSamples::middle_ms(std::size_t bin) {
  if (bin < 2 * bins_per_octave) return Time{static_cast<std::int64_t>(bin)}.ms();
  const std::size_t shift = bin / bins_per_octave - 1;
  const double low = std::ldexp(static_cast<double>(bin - shift * bins_per_octave), static_cast<int>(shift));
  return (low + std::ldexp(0.5, static_cast<int>(shift)) - 0.5) * 1e-6;
}

void WeightedSamples::round_values() {
  bins_.resize(bin(values_.back().first) + 1);
  for (const auto& [ns, weight] : values_) bins_[bin(ns)] += weight;
  values_ = {};
  compacted_ = 0;
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

template <class Visit>
void WeightedSamples::visit_sorted(Visit visit) const {
  compact();
  for (const auto& [ns, weight] : values_)
    if (!visit(Time{ns}.ms(), weight)) return;
  for (std::size_t i = 0; i < bins_.size(); ++i)
    if (bins_[i] > 0 && !visit(middle_ms(i), bins_[i])) return;
}

double WeightedSamples::percentile_ms(double fraction) const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  const double position = fraction * static_cast<double>(count_ - 1);
  const auto below = static_cast<std::int64_t>(std::floor(position));
  const double part = position - static_cast<double>(below);
  std::int64_t seen = 0;
  double low = 0, high = 0;
  visit_sorted([&](double ms, std::int64_t weight) {
    const bool had_low = seen > below;
    seen += weight;
    high = ms;
    if (had_low) return false;
    low = ms;
    // The next order statistic is this value again unless `below` is its last repeat.
    return seen <= below + 1;
  });
  return low + part * (high - low);
}

std::string AskedPercentile::name() const {
  return fmt::format("p{}_{}_ms", percent, latency);
}

double SpeculationCounts::acceptance_rate() const {
  return static_cast<double>(accepted_tokens) / static_cast<double>(draft_tokens);
}

double SpeculationCounts::acceptance_length() const {
  return 1 + static_cast<double>(accepted_tokens) / static_cast<double>(drafts);
}

LatencySummary summarise(const WeightedSamples& samples) {
  return {samples.mean_ms(), samples.percentile_ms(0.5), samples.percentile_ms(0.9),
          samples.percentile_ms(0.99)};
}

}  // namespace sextant
