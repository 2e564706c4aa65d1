#include "sim/serving/layer_senders.hpp"

#include <algorithm>
#include <stdexcept>

namespace sextant {

LayerSenders::LayerSenders(const ServingFabric& fabric, Traffic& traffic, EventQueue& events,
                           std::uint32_t event_kind)
    : fabric_(fabric), traffic_(traffic), events_(events), event_kind_(event_kind) {
  first_.push_back(0);
  for (std::uint32_t replica = 0; replica < fabric.kv.size(); ++replica) {
    const std::size_t gpus = fabric.kv[replica].front().size();
    for (const auto& flows : fabric.kv[replica])
      if (flows.size() != gpus)
        throw std::logic_error("layer senders: found replicas of unlike groups, expected rank to rank");
    senders_.resize(senders_.size() + gpus, Sender{replica, {}, false});
    first_.push_back(static_cast<std::uint32_t>(senders_.size()));
  }
}

LayerSenders::Queued LayerSenders::queue(std::uint32_t replica, const std::vector<Prompt>& prompts,
                                         Time pass) {
  Queued queued;
  for (std::uint32_t s = first_[replica]; s < first_[replica + 1]; ++s) {
    const std::int64_t layers = fabric_.kv[replica].front()[s - first_[replica]].layers;
    queued.messages += layers;
    queued.first_ready = std::min(queued.first_ready, events_.now() + Time{pass.ns / layers});
    for (std::int64_t layer = 1; layer <= layers; ++layer)
      for (const Prompt& prompt : prompts) {
        const KvFlow& flow = fabric_.kv[replica][prompt.decode][s - first_[replica]];
        senders_[s].queue.push_back(
            {events_.now() + Time{pass.ns * layer / layers}, prompt.id, &flow,
             flow.bytes_per_token * static_cast<double>(prompt.tokens) / static_cast<double>(layers)});
      }
    go_on(s);
  }
  return queued;
}

bool LayerSenders::all_set_out(std::uint32_t replica) const {
  for (std::uint32_t s = first_[replica]; s < first_[replica + 1]; ++s)
    if (!senders_[s].queue.empty()) return false;
  return true;
}

std::uint32_t LayerSenders::go_on(std::uint32_t s) {
  Sender& sender = senders_[s];
  if (sender.sending || sender.queue.empty()) return sender.replica;
  const Layer layer = sender.queue.front();
  if (layer.ready > events_.now()) {
    events_.schedule({layer.ready, event_kind_, sender.replica, s});
    return sender.replica;
  }
  sender.queue.pop_front();
  sender.sending = true;
  bytes_ += layer.bytes;
  traffic_.send(message_of(*layer.flow, layer.bytes), {MessageOwner::Kind::kv, s, layer.id});
  return sender.replica;
}

std::uint32_t LayerSenders::arrived(std::uint32_t s) {
  senders_[s].sending = false;
  return go_on(s);
}

}  // namespace sextant
