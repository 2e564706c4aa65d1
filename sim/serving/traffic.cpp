#include "sim/serving/traffic.hpp"

#include <utility>

namespace sextant {
namespace {

enum Data : std::uint64_t { flows_change, look_ahead };

// What arrives comes before what the machine does at the same instant; a look at what comes next after all of
// it.
constexpr std::uint8_t change_priority = 100, look_ahead_priority = 255;

}  // namespace

Traffic::Traffic(std::vector<double> capacities, EventQueue& queue, std::uint32_t event_kind,
                 CongestionRules rules)
    : queue_(queue), event_kind_(event_kind), engine_(std::move(capacities), std::move(rules)) {}

void Traffic::send(const Message& message, const MessageOwner& owner) {
  constexpr double s_per_us = 1e-6;
  const Time waits = Time::seconds(engine_.queue_us(message.path) * s_per_us);
  const FlowId id = engine_.start(queue_.now(), message.path, message.bytes, message.alone_gbps,
                                  {message.latency.ns + waits.ns});
  if (id >= owners_.size()) owners_.resize(id + 1);
  owners_[id] = owner;
  look_ahead_once();
}

const std::vector<MessageOwner>& Traffic::handle(const Event& event) {
  arrived_.clear();
  if (event.data == look_ahead) {
    looks_ahead_ = false;
    if (const Time next = engine_.next_change(); next != Time::max())
      queue_.schedule({next, event_kind_, 0, flows_change}, change_priority);
    return arrived_;
  }
  if (engine_.next_change() != queue_.now()) return arrived_;  // foreseen before something else changed it
  for (const FlowId id : engine_.advance(queue_.now())) arrived_.push_back(owners_[id]);
  look_ahead_once();
  return arrived_;
}

void Traffic::look_ahead_once() {
  if (looks_ahead_) return;
  looks_ahead_ = true;
  queue_.schedule({queue_.now(), event_kind_, 0, look_ahead}, look_ahead_priority);
}

}  // namespace sextant
