#pragma once
#include <cstdint>
#include <deque>
#include <vector>

#include "sim/kernel/event_queue.hpp"
#include "sim/serving/serving_fabric.hpp"
#include "sim/serving/traffic.hpp"

namespace sextant {

/// The GPUs of prefill replicas that send KV layer by layer: each has one thread that sends what is queued in
/// order, one message at a time (P2pNcclEngine.send_async).
class LayerSenders {
 public:
  /// Schedules its events as `event_kind`; what is referenced outlives this.
  LayerSenders(const ServingFabric&, Traffic&, EventQueue&, std::uint32_t event_kind);

  /// A prompt whose layers are computed by a pass that begins now.
  struct Prompt {
    std::uint64_t id = 0;
    std::int64_t tokens = 0;
    std::uint32_t decode = 0;  ///< of the decode replicas the one it goes to
  };
  /// Queues a message for each layer, prompt and GPU: of L layers the i-th is ready i / L of the pass after
  /// its begin. Returns the messages of one prompt, and when its first layer is ready.
  struct Queued {
    std::int64_t messages = 0;
    Time first_ready = Time::max();
  };
  Queued queue(std::uint32_t replica, const std::vector<Prompt>&, Time pass);
  /// Whether everything queued on a replica's GPUs has set out.
  bool all_set_out(std::uint32_t replica) const;

  /// A layer is ready (an event of its kind), or a message of this sender has arrived: what is ready sets
  /// out. Returns the sender's replica.
  std::uint32_t go_on(std::uint32_t sender);
  std::uint32_t arrived(std::uint32_t sender);
  double bytes() const { return bytes_; }  ///< of all that has set out

 private:
  struct Layer {
    Time ready;
    std::uint64_t id = 0;
    const KvFlow* flow = nullptr;
    double bytes = 0;
  };
  struct Sender {
    std::uint32_t replica = 0;
    std::deque<Layer> queue;
    bool sending = false;
  };

  const ServingFabric& fabric_;
  Traffic& traffic_;
  EventQueue& events_;
  std::uint32_t event_kind_;
  std::vector<std::uint32_t> first_;  // sender of each replica; one more at the end
  std::vector<Sender> senders_;
  double bytes_ = 0;
};

}  // namespace sextant
