#include "sim/kernel/event_queue.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <stdexcept>

namespace sextant {

namespace {

/// Twice the way from `earliest` to the median of a sample: a span that an outlier far away cannot stretch.
std::uint64_t span_of_most(const std::vector<QueuedEvent>& events, std::int64_t earliest) {
  std::array<std::int64_t, 127> sample{};
  const std::size_t stride = events.size() / sample.size();
  for (std::size_t i = 0; i < sample.size(); ++i) sample[i] = events[i * stride].time.ns;
  const auto median = sample.begin() + sample.size() / 2;
  std::nth_element(sample.begin(), median, sample.end());
  const std::uint64_t twice = 2 * (static_cast<std::uint64_t>(*median - earliest) + 1);
  return std::min(twice, static_cast<std::uint64_t>(INT64_MAX - earliest) + 1);
}

}  // namespace

void EventQueue::throw_in_the_past(const Event& event) const {
  throw std::logic_error(fmt::format(
      "event queue: event of kind {} for target {} scheduled at {} ns, expected {} ns (now) or later",
      event.kind, event.target, event.time.ns, now_.ns));
}

void EventQueue::put_far(const QueuedEvent& entry) {
  const std::uint64_t bucket = static_cast<std::uint64_t>(entry.time.ns - first_bucket_ns_) >> width_shift_;
  (bucket < used_buckets_ ? buckets_[bucket] : beyond_).push_back(entry);
}

/// Brings the next bucket that is not empty into the heap.
void EventQueue::refill() {
  while (near_.empty()) {
    while (next_bucket_ < used_buckets_ && buckets_[next_bucket_].empty()) ++next_bucket_;
    if (next_bucket_ == used_buckets_) {
      spread_beyond();
      continue;
    }
    std::vector<QueuedEvent>& bucket = buckets_[next_bucket_++];
    for (const QueuedEvent& entry : bucket) near_.push(entry);
    bucket.clear();
    const std::uint64_t last = (static_cast<std::uint64_t>(next_bucket_) << width_shift_) - 1;
    const std::uint64_t most = static_cast<std::uint64_t>(INT64_MAX - first_bucket_ns_);
    near_last_.ns = first_bucket_ns_ + static_cast<std::int64_t>(std::min(last, most));
  }
}

/// The heap has outgrown the size up to which it is best alone.
void EventQueue::spill() {
  beyond_.insert(beyond_.end(), near_.begin(), near_.end());
  near_.clear();
  spread_beyond();
  heap_limit_ = std::max(small, 2 * size_);
}

/// Lays out new buckets for the events beyond the old ones, which are all that is left.
void EventQueue::spread_beyond() {
  next_bucket_ = used_buckets_ = 0;
  const std::size_t events = beyond_.size();
  if (events <= small / 2) {
    heap_limit_ = small;
    gather_into_heap();
    return;
  }
  const auto earlier = [](const QueuedEvent& a, const QueuedEvent& b) { return a.time < b.time; };
  first_bucket_ns_ = std::min_element(beyond_.begin(), beyond_.end(), earlier)->time.ns;
  const std::uint64_t span = span_of_most(beyond_, first_bucket_ns_);
  width_shift_ = static_cast<unsigned>(std::bit_width(span / (events / events_per_bucket) + 1) - 1);
  used_buckets_ = (span >> width_shift_) + 1;
  buckets_.resize(std::max(buckets_.size(), used_buckets_));

  std::vector<QueuedEvent> all;
  all.swap(beyond_);
  near_last_.ns = first_bucket_ns_ - 1;
  for (const QueuedEvent& entry : all) put_far(entry);
  if (beyond_.size() > events / 4 * 3) {  // the sample misled: without this, n events could cost n * n
    heap_limit_ = 2 * size_;
    gather_into_heap();
  }
}

/// Puts every event into the heap.
void EventQueue::gather_into_heap() {
  for (std::size_t i = next_bucket_; i < used_buckets_; ++i) {
    for (const QueuedEvent& entry : buckets_[i]) near_.push(entry);
    buckets_[i].clear();
  }
  next_bucket_ = used_buckets_ = 0;
  for (const QueuedEvent& entry : beyond_) near_.push(entry);
  beyond_.clear();
  near_last_ = Time::max();
}

}  // namespace sextant
