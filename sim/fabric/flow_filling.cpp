// How FlowEngine finds rates: water-filling (Bertsekas and Gallager, Data Networks, 6.5.2), over the part of
// the fabric that a change can reach.
#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/fabric/flow_engine.hpp"

namespace sextant {
namespace {

// Rates that differ by rounding alone count as equal: a settlement that takes a flow too many is still right.
constexpr double almost = 1 - 1e-9;

}  // namespace

void FlowEngine::settle() {
  if (!alone_.empty()) {
    for (const FlowId id : alone_) fix(id, flows_[id].limit, own_limit);
    alone_.clear();
  }
  if (touched_.empty()) return;
  ++mark_;
  gather(undisturbed_level() * almost);
  fill();
  touched_.clear();
  lowest_left_ = no_limit;
}

/// Flows slower than this keep their rates: up to there every link fills as it did before.
double FlowEngine::undisturbed_level() const {
  double level = lowest_left_;
  for (const std::uint32_t link : touched_) level = std::min(level, level_of(link));
  return level;
}

/// The level to which a link fills by its flows' old rates, new flows taking as much as any: infinite where
/// no new flow joined it.
double FlowEngine::level_of(std::uint32_t link) const {
  const std::vector<Member>& members = members_[link];
  bool joined = false;
  for (const Member& member : members) joined = joined || flows_[member.flow].rate == no_limit;
  if (!joined) return no_limit;
  double level = capacities_[link] / static_cast<double>(members.size());
  for (;;) {  // each pass fixes the flows below the level; it rises until none is left below
    double fixed = 0;
    std::size_t open = 0;
    for (const Member& member : members) {
      const double rate = flows_[member.flow].rate;
      if (rate < level)
        fixed += rate;
      else
        ++open;
    }
    const double next = open == 0 ? level : (capacities_[link] - fixed) / static_cast<double>(open);
    if (!(next > level / almost)) return level;
    level = next;
  }
}

/// The links connected with the change by flows at or above the level, and those flows.
void FlowEngine::gather(double level) {
  links_in_set_.clear();
  limited_in_set_.clear();
  const auto add = [&](std::uint32_t link) {
    if (filling_[link].mark == mark_) return;
    filling_[link].mark = mark_;
    links_in_set_.push_back(link);
  };
  for (const std::uint32_t link : touched_) add(link);
  for (std::size_t i = 0; i < links_in_set_.size(); ++i) {
    const std::uint32_t link = links_in_set_[i];
    double fixed = 0;
    std::uint32_t open = 0;
    for (const Member& member : members_[link]) {
      Flow& flow = flows_[member.flow];
      if (flow.rate < level) {
        fixed += flow.rate;
        continue;
      }
      ++open;
      if (flow.mark == mark_) continue;
      flow.mark = mark_;
      if (flow.limit != no_limit) limited_in_set_.push_back(member.flow);
      for (const Hop& hop : flow.hops) add(hop.link);
    }
    filling_[link].left = capacities_[link] - fixed;
    filling_[link].open = open;
  }
}

/// Raises all open flows together; each stops where a link of its way is full or at its own limit.
void FlowEngine::fill() {
  shares_.clear();
  for (const std::uint32_t link : links_in_set_)
    if (filling_[link].open > 0) shares_.push_back({filling_[link].left / filling_[link].open, link});
  std::make_heap(shares_.begin(), shares_.end(), std::greater<>());
  std::sort(limited_in_set_.begin(), limited_in_set_.end(), [&](FlowId a, FlowId b) {
    return flows_[a].limit != flows_[b].limit ? flows_[a].limit < flows_[b].limit : a < b;
  });
  std::size_t next_limited = 0;
  while (!shares_.empty()) {
    const Share least = shares_.front();
    for (; next_limited < limited_in_set_.size(); ++next_limited) {
      const FlowId id = limited_in_set_[next_limited];
      if (flows_[id].limit > least.rate) break;
      if (flows_[id].mark == mark_) fix(id, flows_[id].limit, own_limit);
    }
    std::pop_heap(shares_.begin(), shares_.end(), std::greater<>());
    shares_.pop_back();
    const Filling& filling = filling_[least.link];
    if (filling.open == 0) continue;
    const double share = filling.left / filling.open;
    if (share * almost > least.rate) {  // flows that stopped at less have left more for the others
      shares_.push_back({share, least.link});
      std::push_heap(shares_.begin(), shares_.end(), std::greater<>());
      continue;
    }
    fill_link(least.link, std::max(share, 0.0));
  }
}

void FlowEngine::fill_link(std::uint32_t link, double rate) {
  for (const Member& member : members_[link])
    if (flows_[member.flow].mark == mark_) fix(member.flow, rate, static_cast<int>(link));
}

void FlowEngine::fix(FlowId id, double rate, int bottleneck) {
  Flow& flow = flows_[id];
  ++flows_visited_;
  flow.mark = 0;
  flow.bottleneck = bottleneck;
  for (const Hop& hop : flow.hops) {
    filling_[hop.link].left -= rate;
    --filling_[hop.link].open;
  }
  if (flow.rate == rate) return;
  if (flow.rate != no_limit) {
    flow.remaining = std::max(0.0, flow.remaining - flow.rate * static_cast<double>(now_ns_ - flow.since_ns));
  }
  flow.since_ns = now_ns_;
  flow.rate = rate;
  constexpr double far = 9e18;
  const double ends = static_cast<double>(now_ns_) + std::ceil(flow.remaining / rate);
  calendar_.set(id, ends < far ? static_cast<std::int64_t>(ends) : std::numeric_limits<std::int64_t>::max());
}

}  // namespace sextant
