#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>

namespace sextant {

/// Who is served first among waiting requests and preempted last among running ones.
struct RequestRank {
  std::int64_t priority = 0;  ///< smaller comes first
  std::uint64_t number = 0;   ///< in order of arrival
  std::uint32_t slot = 0;
  auto operator<=>(const RequestRank&) const = default;
};

/// Requests that wait: first come, first served and preempted ones in front; or, with vLLM's scheduling
/// policy "priority", by (priority, arrival).
class WaitingQueue {
 public:
  explicit WaitingQueue(bool by_priority) : by_priority_(by_priority) {}

  std::size_t size() const { return by_priority_ ? ranked_.size() : line_.size(); }
  bool empty() const { return size() == 0; }
  void arrive(RequestRank request) {
    if (by_priority_)
      ranked_.insert(request);
    else
      line_.push_back(request);
  }
  void come_back(RequestRank request) {
    if (by_priority_)
      ranked_.insert(request);
    else
      line_.push_front(request);
  }
  /// Back to where it stood by order of arrival, which is near the front.
  void come_back_in_order(RequestRank request) {
    if (by_priority_)
      ranked_.insert(request);
    else
      line_.insert(std::find_if(line_.begin(), line_.end(),
                                [&](const RequestRank& other) { return other.number > request.number; }),
                   request);
  }
  /// The first of those that arrived as number `last_seen` or before.
  std::optional<RequestRank> first(std::uint64_t last_seen) const {
    if (!by_priority_)
      return line_.empty() || line_.front().number > last_seen ? std::nullopt : std::optional(line_.front());
    for (const RequestRank& request : ranked_)
      if (request.number <= last_seen) return request;
    return std::nullopt;
  }
  void remove_first(const RequestRank& request) {
    if (by_priority_)
      ranked_.erase(request);
    else
      line_.pop_front();
  }

 private:
  bool by_priority_;
  std::deque<RequestRank> line_;
  std::set<RequestRank> ranked_;
};

}  // namespace sextant
