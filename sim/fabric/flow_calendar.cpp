#include "sim/fabric/flow_calendar.hpp"

#include <algorithm>

namespace sextant {

void FlowCalendar::set(std::uint32_t flow, std::int64_t ns) {
  if (flow >= place_.size()) place_.resize(flow + 1, absent);
  const Entry entry{ns, flow};
  if (place_[flow] == absent) {
    heap_.push_back(entry);
    up(heap_.size() - 1, entry);
    return;
  }
  const std::size_t place = place_[flow];
  if (entry < heap_[place])
    up(place, entry);
  else
    down(place, entry);
}

void FlowCalendar::erase(std::uint32_t flow) {
  const std::size_t place = place_[flow];
  place_[flow] = absent;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  if (place > 0 && last < heap_[(place - 1) / children])
    up(place, last);
  else
    down(place, last);
}

void FlowCalendar::up(std::size_t place, Entry entry) {
  while (place > 0) {
    const std::size_t parent = (place - 1) / children;
    if (!(entry < heap_[parent])) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, entry);
}

void FlowCalendar::down(std::size_t place, Entry entry) {
  for (;;) {
    const std::size_t first = place * children + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + children, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child)
      if (heap_[child] < heap_[least]) least = child;
    if (!(heap_[least] < entry)) break;
    put(place, heap_[least]);
    place = least;
  }
  put(place, entry);
}

}  // namespace sextant
