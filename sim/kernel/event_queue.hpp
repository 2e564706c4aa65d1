#pragma once
#include <algorithm>
#include <boost/heap/d_ary_heap.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/kernel/time.hpp"

namespace sextant {

/// Something that happens. Components give `kind`, `target` and `data` their meaning.
struct Event {
  Time time;
  std::uint32_t kind = 0;
  std::uint32_t target = 0;
  std::uint64_t data = 0;
};

/// An event as the queue stores it: 32 bytes, two of them to a cache line.
struct QueuedEvent {
  Time time;
  std::uint64_t order = 0;  ///< priority in the top 8 bits, sequence of scheduling in the other 56
  std::uint32_t kind = 0;
  std::uint32_t target = 0;
  std::uint64_t data = 0;
};

/// The order of a heap whose top is the earliest event. Ties in time are rare, so a predicted branch beats
/// one 128-bit comparison by half.
struct Later {
  bool operator()(const QueuedEvent& a, const QueuedEvent& b) const {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
  }
};

using EventHeap = boost::heap::d_ary_heap<QueuedEvent, boost::heap::arity<4>, boost::heap::compare<Later>>;

/// The future: events in the order (time, priority, sequence of scheduling). A value: copy it, run thousands
/// side by side. Cancelling is lazy: the owner of an event ignores it when it comes.
///
/// Up to a few hundred events wait in one Boost heap (a hand-written one is only 1.0 to 1.1 times as fast).
/// Beyond that only the nearest do; later ones lie unsorted in buckets of equal width (a ladder queue of one
/// rung: Tang, Goh and Thng 2005), which keeps the heap inside the first-level cache.
/// tests/bench/kernel_bench.cpp compares it with the heap alone. The order of events is total, so it does not
/// depend on where they wait.
class EventQueue {
 public:
  /// Lower priority goes first at equal times. Throws std::logic_error if `event.time` lies before now().
  void schedule(const Event& event, std::uint8_t priority = 128) {
    if (event.time < now_) throw_in_the_past(event);
    // 56 bits of sequence last for 114 years at 20 million events a second.
    const std::uint64_t order = static_cast<std::uint64_t>(priority) << 56 | sequence_++;
    const QueuedEvent entry{event.time, order, event.kind, event.target, event.data};
    ++size_;
    if (event.time > near_last_) {
      put_far(entry);
      return;
    }
    near_.push(entry);
    if (near_.size() > heap_limit_ && near_last_ == Time::max()) spill();
  }

  /// Removes and returns the earliest event and moves now() to it. Precondition: not empty().
  Event pop() {
    if (near_.empty()) refill();
    const QueuedEvent entry = near_.top();
    near_.pop();
    --size_;
    ++popped_;
    now_ = entry.time;
    return {entry.time, entry.kind, entry.target, entry.data};
  }

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Time now() const { return now_; }
  std::uint64_t popped() const { return popped_; }
  void reserve(std::size_t events) { near_.reserve(std::min(events, small)); }

 private:
  static constexpr std::size_t small = 256;  // events that one heap holds best
  static constexpr std::size_t events_per_bucket = 12;

  [[noreturn]] void throw_in_the_past(const Event& event) const;
  void put_far(const QueuedEvent& entry);
  void refill();
  void spill();
  void spread_beyond();
  void gather_into_heap();

  EventHeap near_;                                 // every event up to near_last_
  Time near_last_ = Time::max();                   // inclusive; max(): all events are near
  std::vector<std::vector<QueuedEvent>> buckets_;  // [next_bucket_, used_buckets_) hold what comes next
  std::size_t next_bucket_ = 0;
  std::size_t used_buckets_ = 0;
  std::int64_t first_bucket_ns_ = 0;
  unsigned width_shift_ = 0;         // a bucket is 2^width_shift_ ns wide
  std::vector<QueuedEvent> beyond_;  // after the last bucket
  std::size_t heap_limit_ = small;
  Time now_;
  std::uint64_t sequence_ = 0;
  std::uint64_t popped_ = 0;
  std::size_t size_ = 0;
};

}  // namespace sextant
