#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sim/serving/layer_senders.hpp"
#include "sim/serving/metrics.hpp"
#include "sim/serving/replica.hpp"
#include "sim/serving/router.hpp"
#include "sim/serving/serving_fabric.hpp"

namespace sextant {

/// Requests on their way from the prefill to the decode pool: which decode replica takes each, and how its KV
/// gets there.
class KvHandovers {
 public:
  using Replicas = std::vector<std::unique_ptr<Replica>>;

  /// Kinds of the events it schedules.
  struct EventKinds {
    std::uint32_t handover, layer_ready;
  };

  /// Of `replicas` those from `first_decode` on decode. What is referenced outlives this.
  KvHandovers(const ServingFabric&, FirstToken, KvConnector, Router decode_router, std::uint32_t first_decode,
              Replicas&, Traffic&, EventQueue&, EventKinds);

  /// A request sets out on a prefill replica; forget() if that turns it away.
  void begin(const Request& request, Time now);
  void forget(std::uint64_t id);

  /// Its prompt's KV is computed. Schedules its handover for this instant, after what the machine does.
  void prefilled(std::uint32_t replica, std::uint32_t slot, std::uint64_t id);

  /// A request that is handed over now, and the decode replica it goes to.
  struct Next {
    const Request* request = nullptr;
    Handover handover;
    std::uint32_t prefill = 0;
    std::uint32_t decode = 0;
    bool complete = false;  ///< the first token was all it wanted: it goes nowhere
  };
  Next next(std::uint64_t id);
  /// The request that next() gave is complete or was turned away: its blocks are free.
  void drop(std::uint64_t id);

  /// A decode replica has room for `tokens` of its KV: sends them. True if it has been sent already.
  bool send(std::uint32_t replica, std::uint32_t slot, std::uint64_t id, std::int64_t tokens);
  /// Layer by layer: a pass begins that computes the last chunks of these prompts, whose layers are sent one
  /// after another as they are computed.
  void send_layers(std::uint32_t replica, const std::vector<LastChunk>&, Time takes);
  bool still_sends(std::uint32_t replica) const { return senders_ && !senders_->all_set_out(replica); }
  void layer_ready(const Event&);
  /// The replicas of a request whose KV has all come where it is waited for.
  struct Ends {
    std::uint32_t prefill = 0, decode = 0;
  };
  /// One of a request's messages has arrived; the last lets the decode replica go on (and, where it pulled
  /// them, frees the blocks of the prefill replica).
  std::optional<Ends> message_arrived(const MessageOwner&);

  bool decodes(std::uint32_t replica) const { return replica >= first_decode_; }
  void decode_done(std::uint32_t replica) { router_.done(replica - first_decode_); }
  KvTransferMetrics metrics() const;

 private:
  void let_pass_end(std::uint32_t replica);

  struct Journey {
    Request request;
    Time arrival;
    Time prefilled{}, asked{};
    bool wanted = false;  // layer by layer: the decode replica waits for it
    std::uint32_t prefill = 0, prefill_slot = 0, decode = 0, decode_slot = 0;
    std::int64_t messages = 0;  // still on their way
  };

  const ServingFabric& fabric_;
  FirstToken first_token_;
  std::optional<LayerSenders> senders_;  // layer by layer
  Router router_;
  std::uint32_t first_decode_;
  Replicas& replicas_;
  Traffic& traffic_;
  EventQueue& queue_;
  std::uint32_t event_kind_;
  std::unordered_map<std::uint64_t, Journey> journeys_;  // never visited in its own order
  double bytes_ = 0;
  WeightedSamples transfer_, handover_;
};

}  // namespace sextant
