#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/serving/metrics.hpp"
#include "sim/serving/replica.hpp"
#include "sim/serving/router.hpp"
#include "sim/serving/serving_fabric.hpp"

namespace sextant {

/// Whose token the client sees first. decode: vLLM's proxy asks the prefill replica for one token, drops it
/// and streams from the decode replica, which computes the prompt's last token again. prefill: the prefill
/// replica's token goes to the client and the decode replica goes on with the second, as Dynamo and
/// TensorRT-LLM do.
enum class FirstToken { decode, prefill };

/// Requests on their way from the prefill to the decode pool: which decode replica takes each, and how its KV
/// gets there.
class KvHandovers {
 public:
  using Replicas = std::vector<std::unique_ptr<Replica>>;

  /// Of `replicas` those from `first_decode` on decode. What is referenced outlives this.
  KvHandovers(const ServingFabric&, FirstToken, Router decode_router, std::uint32_t first_decode, Replicas&,
              Traffic&, EventQueue&, std::uint32_t event_kind);

  /// A request sets out on a prefill replica; forget() if that turns it away.
  void begin(const Request& request, Time now) { journeys_[request.id] = {request, now}; }
  void forget(std::uint64_t id) { journeys_.erase(id); }

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

  /// A decode replica has room for `tokens` of its KV: sends them.
  void send(std::uint32_t replica, std::uint32_t slot, std::uint64_t id, std::int64_t tokens);
  /// One of its messages has arrived; the last lets the decode replica go on and frees the blocks of the
  /// prefill replica. Returns whether it was the last.
  bool message_arrived(std::uint64_t id);
  /// The replicas of a request on its way.
  std::uint32_t prefill_of(std::uint64_t id) const { return journeys_.at(id).prefill; }
  std::uint32_t decode_of(std::uint64_t id) const { return journeys_.at(id).decode; }

  bool decodes(std::uint32_t replica) const { return replica >= first_decode_; }
  void decode_done(std::uint32_t replica) { router_.done(replica - first_decode_); }
  KvTransferMetrics metrics() const;

 private:
  struct Journey {
    Request request;
    Time arrival;
    Time prefilled{}, asked{};
    std::uint32_t prefill = 0, prefill_slot = 0, decode = 0, decode_slot = 0;
    std::int64_t messages = 0;  // still on their way
  };

  const ServingFabric& fabric_;
  FirstToken first_token_;
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
