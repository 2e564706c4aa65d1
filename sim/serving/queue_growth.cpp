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
  const auto arrived = [this](std::size_t points) { return static_cast<std::int64_t>(points) * stride_; };
  const auto by_chance = [](std::int64_t arrivals) { return std::sqrt(static_cast<double>(arrivals)); };
  const auto deepest_below_line = [&](std::size_t count, const Point& end, std::int64_t arrivals) {
    const double slope = (end.waiting - first_.waiting) / (end.seconds - first_.seconds);
    double deepest = by_chance(arrivals);
    std::size_t where = count;
    for (std::size_t i = 0; i < count; ++i) {
      const double depth =
          first_.waiting + slope * (points_[i].seconds - first_.seconds) - points_[i].waiting;
      if (depth <= deepest) continue;
      deepest = depth;
      where = i;
    }
    return where;
  };
  // A queue that was long already where it lies deepest began to grow before: steady growth wanders about its
  // line, and the deepest point may be anywhere. So the line up to there is looked at again.
  Point from = first_;
  std::int64_t arrived_before = 0;
  std::size_t count = points_.size();
  std::size_t bend = deepest_below_line(count, last_, arrivals_);
  while (bend < count && points_[bend].waiting - first_.waiting > by_chance(arrived(bend + 1))) {
    count = bend;
    bend = deepest_below_line(count, points_[bend], arrived(bend + 1));
  }
  if (bend < count) {
    from = points_[bend];
    arrived_before = arrived(bend + 1) - 1;
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
