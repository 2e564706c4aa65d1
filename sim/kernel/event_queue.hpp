#pragma once
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

/// The future: events in the order (time, priority, sequence of scheduling). A value: copy it, run thousands side by side.
/// Cancelling is lazy: the owner of an event ignores it when it comes.
class EventQueue {
 public:
  /// Lower priority goes first at equal times. Throws std::logic_error if `event.time` lies before now().
  void schedule(const Event& event, std::uint8_t priority = 128);
  /// Removes and returns the earliest event and moves now() to it. Precondition: not empty().
  Event pop();
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  Time now() const { return now_; }
  std::uint64_t popped() const { return popped_; }
  void reserve(std::size_t events) { heap_.reserve(events); }
  // The heap's element and storage are private; see the .cpp or inline section.
 private:
  struct Entry { Time time; std::uint64_t order; std::uint32_t kind; std::uint32_t target; std::uint64_t data; };
  std::vector<Entry> heap_;
  Time now_;
  std::uint64_t sequence_ = 0;
  std::uint64_t popped_ = 0;
};

}  // namespace sextant
