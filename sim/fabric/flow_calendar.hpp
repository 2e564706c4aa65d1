#pragma once
#include <cstdint>
#include <vector>

namespace sextant {

/// When each flow next begins or ends: a heap of four children a node in which a flow's time can change.
/// Equal times come in the order of flows.
class FlowCalendar {
 public:
  /// Sets a flow's time, whether or not it had one.
  void set(std::uint32_t flow, std::int64_t ns);
  void erase(std::uint32_t flow);
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  bool contains(std::uint32_t flow) const { return flow < place_.size() && place_[flow] != absent; }
  std::uint32_t first_flow() const { return heap_.front().flow; }
  std::int64_t first_ns() const { return heap_.front().ns; }

 private:
  struct Entry {
    std::int64_t ns = 0;
    std::uint32_t flow = 0;
    bool operator<(const Entry& other) const { return ns != other.ns ? ns < other.ns : flow < other.flow; }
  };
  static constexpr std::uint32_t absent = UINT32_MAX;
  static constexpr std::size_t children = 4;

  void up(std::size_t place, Entry);
  void down(std::size_t place, Entry);
  void put(std::size_t place, Entry entry) {
    heap_[place] = entry;
    place_[entry.flow] = static_cast<std::uint32_t>(place);
  }

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> place_;  ///< by flow
};

}  // namespace sextant
