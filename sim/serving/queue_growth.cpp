#include "sim/serving/queue_growth.hpp"

#include <cmath>
#include <numeric>

namespace sextant {

void QueueGrowth::arrival(std::int64_t waiting) {
  constexpr std::size_t most = 4096;
  ++arrivals_;
  pending_sum_ += static_cast<double>(waiting);
  if (++pending_ < stride_) return;
  means_.push_back(pending_sum_ / static_cast<double>(stride_));
  pending_ = 0;
  pending_sum_ = 0;
  if (means_.size() < most) return;
  for (std::size_t i = 0; i < most / 2; ++i) means_[i] = (means_[2 * i] + means_[2 * i + 1]) / 2;
  means_.resize(most / 2);
  stride_ *= 2;
}

bool QueueGrowth::overloaded() const {
  constexpr std::int64_t enough = 30;
  if (arrivals_ < enough) return false;
  const auto half = static_cast<std::ptrdiff_t>(means_.size() / 2);
  const auto mean = [half](auto begin) {
    return std::accumulate(begin, begin + half, 0.0) / static_cast<double>(half);
  };
  return mean(means_.end() - half) - mean(means_.begin()) > std::sqrt(static_cast<double>(arrivals_));
}

}  // namespace sextant
