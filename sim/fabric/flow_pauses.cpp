// What congestion does to FlowEngine's flows (congestion.hpp): less capacity where senders are marked, and
// pauses that spread against the stream.
#include <algorithm>

#include "sim/fabric/flow_engine.hpp"

namespace sextant {

/// Each flow's link before this one is an ingress.
Meeting FlowEngine::meeting(std::uint32_t link) {
  Meeting meeting;
  seen_.resize(capacities_.size());
  ++seen_mark_;
  for (const Member& member : members_[link]) {
    ++meeting.flows;
    if (member.hop == flows_[member.flow].first_hop) continue;  // it begins here
    const std::uint32_t ingress = hop_links_[member.hop - 1];
    if (seen_[ingress] == seen_mark_) continue;
    seen_[ingress] = seen_mark_;
    ++meeting.ingresses;
    meeting.arriving_gbps += capacities_[ingress];
  }
  return meeting;
}

double FlowEngine::usable_capacity(std::uint32_t link) {
  if (rules_.ideal() || !rules_.marks || !rules_.ports[link].of_switch) return capacities_[link];
  meetings_.resize(capacities_.size());
  meetings_[link] = meeting(link);
  return rules_.capacity_of(link, meetings_[link], capacities_[link]);
}

/// The slowest flow that a new one could be held back with on a cable that can be paused.
double FlowEngine::slowest_companion(std::uint32_t link) const {
  double slowest = no_limit;
  if (rules_.ideal() || !rules_.ports[link].pausable) return slowest;
  for (const Member& member : members_[link]) slowest = std::min(slowest, member.rate);
  return slowest;
}

/// The flows that stopped at a full link hold up those behind them: every cable before the link is paused,
/// the open flows on it stop at the same rate, and so on from the cables that these came by. A flow that
/// meets several paused cables waits before the last of them and so on all it takes until there.
void FlowEngine::spread_pauses(std::uint32_t link, double rate, std::size_t stopped) {
  if (rules_.marks && !rules_.pauses(link, meetings_[link], capacities_[link])) return;
  held_.clear();
  held_in_.resize(flows_.size());
  ++pause_;
  const auto hold = [&](FlowId flow, std::uint32_t until) {
    held_in_[flow] = pause_;
    held_.push_back({flow, until});
  };
  for (std::size_t i = 0; i < stopped; ++i) hold(new_members_[i], link);
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const Held held = held_[i];
    for (const std::uint32_t before : links_of(flows_[held.flow])) {
      if (before == held.until) break;
      if (rules_.ports[before].pausable && !filling_[before].paused) pause_cable(before, rate, link, hold);
    }
  }
}

template <class Hold>
void FlowEngine::pause_cable(std::uint32_t cable, double rate, std::uint32_t cause, const Hold& hold) {
  Filling& filling = filling_[cable];
  filling.paused = true;
  for (std::size_t m = filling.first; m < filling.end; ++m) {
    const FlowId flow = open_members_[m];
    const bool open = marks_[flow] == mark_;
    if (open) fix(flow, rate, static_cast<int>(cause));
    if (open || held_in_[flow] == pause_) hold(flow, cable);
  }
}

double FlowEngine::queue_us(std::span<const int> path) {
  constexpr double full = 1 - 1e-6, us_per_ns = 1e-3;
  if (rules_.ideal()) return 0;
  settle();
  double us = 0;
  for (const int direction : path) {
    const auto link = static_cast<std::uint32_t>(direction);
    if (!rules_.ports[link].of_switch || load(direction) < full * usable_capacity(link)) continue;
    us += rules_.queue_bytes(link, meeting(link), capacities_[link]) / capacities_[link] * us_per_ns;
  }
  return us;
}

bool FlowEngine::held_by_pauses(FlowId id) {
  settle();
  const Flow& flow = flows_[id];
  if (!flow.moving || flow.bottleneck == own_limit) return false;
  const auto links = links_of(flow);
  return std::find(links.begin(), links.end(), static_cast<std::uint32_t>(flow.bottleneck)) == links.end();
}

}  // namespace sextant
