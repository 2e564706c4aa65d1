#include "sim/serving/queue_growth.hpp"

#include <cmath>
#include <numeric>

namespace sextant {

void QueueGrowth::arrival(Time now, std::int64_t waiting, std::int64_t left) {
  constexpr std::size_t most = 4096;
  last_ = {now.seconds(), static_cast<double>(waiting), left};
  if (arrivals_++ == 0) first_ = last_;
  pending_sum_ += last_.waiting;
  if (++pending_ < stride_) return;
  points_.push_back({last_.seconds, pending_sum_ / static_cast<double>(stride_), left});
  pending_ = 0;
  pending_sum_ = 0;
  if (points_.size() < most) return;
  for (std::size_t i = 0; i < most / 2; ++i) {
    const Point &first = points_[2 * i], &second = points_[2 * i + 1];
    points_[i] = {second.seconds, (first.waiting + second.waiting) / 2, second.left};
  }
  points_.resize(most / 2);
  stride_ *= 2;
}

bool QueueGrowth::overloaded() const {
  constexpr std::int64_t enough = 30;
  if (arrivals_ < enough) return false;
  const auto half = static_cast<std::ptrdiff_t>(points_.size() / 2);
  const auto mean = [half](auto begin) {
    return std::accumulate(begin, begin + half, 0.0,
                           [](double sum, const Point& p) { return sum + p.waiting; }) /
           static_cast<double>(half);
  };
  return mean(points_.end() - half) - mean(points_.begin()) > std::sqrt(static_cast<double>(arrivals_));
}

Overload QueueGrowth::overload() const {
  const double slope = (last_.waiting - first_.waiting) / (last_.seconds - first_.seconds);
  const auto below_line = [&](const Point& p) {
    return first_.waiting + slope * (p.seconds - first_.seconds) - p.waiting;
  };
  // Growth from the first arrival on wanders about the line by chance, no further than this.
  double deepest = std::sqrt(static_cast<double>(arrivals_));
  Point from = first_;
  std::int64_t arrived_before = 0;
  for (std::size_t i = 0; i < points_.size(); ++i) {
    if (below_line(points_[i]) <= deepest) continue;
    deepest = below_line(points_[i]);
    from = points_[i];
    arrived_before = static_cast<std::int64_t>(i + 1) * stride_ - 1;
  }
  const double seconds = last_.seconds - from.seconds;
  Overload overload;
  overload.from_s = from.seconds;
  overload.waiting = static_cast<std::int64_t>(last_.waiting);
  if (seconds <= 0) return overload;
  overload.arrival_rate = static_cast<double>(arrivals_ - 1 - arrived_before) / seconds;
  overload.capacity = static_cast<double>(last_.left - from.left) / seconds;
  return overload;
}

}  // namespace sextant
