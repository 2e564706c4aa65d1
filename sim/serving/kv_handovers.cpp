#include "sim/serving/kv_handovers.hpp"

#include <stdexcept>
#include <utility>

namespace sextant {
namespace {

/// Like an arrival: after what the machine does at the same instant.
constexpr std::uint8_t handover_priority = 200;

Message message_of(const KvFlow& flow, std::int64_t tokens) {
  const double bytes = flow.bytes_per_token * static_cast<double>(tokens);
  if (!flow.alone_seconds) return {flow.path, bytes};
  return message(flow.path, bytes, Time::seconds(flow.alone_seconds(bytes)),
                 Time::seconds(flow.alone_seconds(0)));
}

}  // namespace

KvHandovers::KvHandovers(const ServingFabric& fabric, FirstToken first_token, Router decode_router,
                         std::uint32_t first_decode, Replicas& replicas, Traffic& traffic, EventQueue& queue,
                         std::uint32_t event_kind)
    : fabric_(fabric),
      first_token_(first_token),
      router_(std::move(decode_router)),
      first_decode_(first_decode),
      replicas_(replicas),
      traffic_(traffic),
      queue_(queue),
      event_kind_(event_kind) {}

void KvHandovers::prefilled(std::uint32_t replica, std::uint32_t slot, std::uint64_t id) {
  Journey& journey = journeys_.at(id);
  journey.prefill = replica;
  journey.prefill_slot = slot;
  journey.prefilled = queue_.now();
  queue_.schedule({queue_.now(), event_kind_, replica, id}, handover_priority);
}

KvHandovers::Next KvHandovers::next(std::uint64_t id) {
  Journey& journey = journeys_.at(id);
  Next next;
  next.request = &journey.request;
  next.prefill = journey.prefill;
  next.handover.arrival = journey.arrival;
  if (first_token_ == FirstToken::prefill) {
    next.handover.first_token = journey.prefilled;
    next.handover.generated = 1;
    next.complete = journey.request.output_tokens == 1;
  }
  if (!next.complete) next.decode = journey.decode = first_decode_ + router_.choose(journey.request);
  return next;
}

void KvHandovers::drop(std::uint64_t id) {
  const Journey& journey = journeys_.at(id);
  replicas_[journey.prefill]->release(journey.prefill_slot);
  journeys_.erase(id);
}

void KvHandovers::send(std::uint32_t replica, std::uint32_t slot, std::uint64_t id, std::int64_t tokens) {
  Journey& journey = journeys_.at(id);
  journey.decode_slot = slot;
  journey.asked = queue_.now();
  if (journey.decode != replica) throw std::logic_error("a request's KV was asked for by another replica");
  const auto& flows = fabric_.kv[journey.prefill][replica - first_decode_];
  for (const KvFlow& flow : flows) {
    const Message message = message_of(flow, tokens);
    bytes_ += message.bytes;
    traffic_.send(message, {MessageOwner::Kind::kv, 0, id});
  }
  journey.messages = static_cast<std::int64_t>(flows.size());
}

bool KvHandovers::message_arrived(std::uint64_t id) {
  const auto found = journeys_.find(id);
  Journey& journey = found->second;
  if (--journey.messages > 0) return false;
  transfer_.add(queue_.now() - journey.asked, 1);
  handover_.add(queue_.now() - journey.prefilled, 1);
  replicas_[journey.decode]->kv_arrived(journey.decode_slot);
  replicas_[journey.prefill]->release(journey.prefill_slot);
  journeys_.erase(found);
  return true;
}

KvTransferMetrics KvHandovers::metrics() const {
  return {transfer_.count(), bytes_, summarise(transfer_), summarise(handover_)};
}

}  // namespace sextant
