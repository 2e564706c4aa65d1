#include "sim/serving/kv_handovers.hpp"

#include <stdexcept>
#include <utility>

namespace sextant {
namespace {

/// Like an arrival: after what the machine does at the same instant.
constexpr std::uint8_t handover_priority = 200;

}  // namespace

KvHandovers::KvHandovers(const ServingFabric& fabric, FirstToken first_token, KvConnector connector,
                         Router decode_router, std::uint32_t first_decode, Replicas& replicas,
                         Traffic& traffic, EventQueue& queue, EventKinds kinds)
    : fabric_(fabric),
      first_token_(first_token),
      router_(std::move(decode_router)),
      first_decode_(first_decode),
      replicas_(replicas),
      traffic_(traffic),
      queue_(queue),
      event_kind_(kinds.handover) {
  if (connector != KvConnector::p2p_nccl) return;
  senders_.emplace(fabric, traffic, queue, kinds.layer_ready);
  for (std::uint32_t r = 0; r < first_decode; ++r) replicas[r]->send_while_computing();
}

/// Layer by layer the proxy chooses both replicas at once: the request's name tells the one the other.
void KvHandovers::begin(const Request& request, Time now) {
  Journey& journey = journeys_[request.id] = {request, now};
  if (senders_) journey.decode = first_decode_ + router_.choose(request);
}

void KvHandovers::forget(std::uint64_t id) {
  if (senders_) decode_done(journeys_.at(id).decode);
  journeys_.erase(id);
}

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
  if (senders_) {
    // What is sent is a copy: the blocks are free with the end of the pass.
    replicas_[journey.prefill]->release(journey.prefill_slot);
    next.decode = journey.decode;
    if (next.complete) decode_done(journey.decode);
  } else if (!next.complete) {
    next.decode = journey.decode = first_decode_ + router_.choose(journey.request);
  }
  return next;
}

void KvHandovers::drop(std::uint64_t id) {
  const Journey& journey = journeys_.at(id);
  if (!senders_) replicas_[journey.prefill]->release(journey.prefill_slot);
  journeys_.erase(id);
}

bool KvHandovers::send(std::uint32_t replica, std::uint32_t slot, std::uint64_t id, std::int64_t tokens) {
  Journey& journey = journeys_.at(id);
  if (journey.decode != replica) throw std::logic_error("a request's KV was asked for by another replica");
  journey.decode_slot = slot;
  if (senders_) {
    journey.wanted = true;
    if (journey.messages > 0) return false;
    handover_.add(queue_.now() - journey.prefilled, 1);
    journeys_.erase(id);
    return true;
  }
  journey.asked = queue_.now();
  const auto& flows = fabric_.kv[journey.prefill][replica - first_decode_];
  for (const KvFlow& flow : flows) {
    const Message message = message_of(flow, flow.bytes_per_token * static_cast<double>(tokens));
    bytes_ += message.bytes;
    traffic_.send(message, {MessageOwner::Kind::kv, 0, id});
  }
  journey.messages = static_cast<std::int64_t>(flows.size());
  return false;
}

void KvHandovers::send_layers(std::uint32_t replica, const std::vector<LastChunk>& chunks, Time takes) {
  std::vector<LayerSenders::Prompt> prompts;
  for (const LastChunk& chunk : chunks)
    prompts.push_back({chunk.id, chunk.prompt_tokens, journeys_.at(chunk.id).decode - first_decode_});
  const LayerSenders::Queued queued = senders_->queue(replica, prompts, takes);
  for (const LastChunk& chunk : chunks) {
    journeys_.at(chunk.id).messages = queued.messages;
    journeys_.at(chunk.id).asked = queued.first_ready;
  }
}

void KvHandovers::layer_ready(const Event& event) {
  let_pass_end(senders_->go_on(static_cast<std::uint32_t>(event.data)));
}

void KvHandovers::let_pass_end(std::uint32_t replica) {
  if (senders_->all_set_out(replica)) replicas_[replica]->kv_sent();
}

std::optional<KvHandovers::Ends> KvHandovers::message_arrived(const MessageOwner& owner) {
  const auto found = journeys_.find(owner.data);
  if (senders_) let_pass_end(senders_->arrived(owner.replica));
  if (found == journeys_.end()) return std::nullopt;  // it was complete, or turned away
  Journey& journey = found->second;
  if (--journey.messages > 0) return std::nullopt;
  transfer_.add(queue_.now() - journey.asked, 1);
  const Ends ends{journey.prefill, journey.decode};
  if (senders_ && !journey.wanted) return std::nullopt;
  handover_.add(queue_.now() - journey.prefilled, 1);
  replicas_[journey.decode]->kv_arrived(journey.decode_slot);
  if (!senders_) replicas_[journey.prefill]->release(journey.prefill_slot);
  journeys_.erase(found);
  return ends;
}

KvTransferMetrics KvHandovers::metrics() const {
  return {transfer_.count(), senders_ ? senders_->bytes() : bytes_, summarise(transfer_),
          summarise(handover_)};
}

}  // namespace sextant
