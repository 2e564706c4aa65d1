#pragma once
#include <cstdint>
#include <vector>

#include "sim/fabric/flow_engine.hpp"
#include "sim/kernel/event_queue.hpp"

namespace sextant {

/// A message between GPUs, as links see it.
struct Message {
  std::vector<int> path;  ///< link directions; empty: it meets nobody
  double bytes = 0;
  double alone_gbps = FlowEngine::no_limit;  ///< 10^9 B/s that it reaches by itself
  Time latency{};                            ///< before its bytes count
};

/// Who is told when a message arrives.
struct MessageOwner {
  enum class Kind : std::uint8_t { hop, kv } kind = Kind::hop;
  std::uint32_t replica = 0;  ///< of a hop; of KV sent layer by layer the sender
  std::uint64_t data = 0;     ///< a hop's stage and batch; the request whose KV it is
};

/// Messages of one run that share links max-min fairly while they last, moved by the run's event queue.
class Traffic {
 public:
  /// Schedules its events as `event_kind`.
  Traffic(std::vector<double> capacities, EventQueue&, std::uint32_t event_kind, CongestionRules rules = {});

  /// A message sets out now. `owner` comes back when it has arrived.
  void send(const Message&, const MessageOwner& owner);
  /// The owners of the messages that arrive with this event of its kind; valid until the next call.
  const std::vector<MessageOwner>& handle(const Event&);
  std::size_t under_way() const { return engine_.flows(); }

 private:
  void look_ahead_once();

  EventQueue& queue_;
  std::uint32_t event_kind_;
  FlowEngine engine_;
  std::vector<MessageOwner> owners_;  // by flow
  std::vector<MessageOwner> arrived_;
  bool looks_ahead_ = false;
};

}  // namespace sextant
