// How FlowEngine finds rates: water-filling (Bertsekas and Gallager, Data Networks, 6.5.2), over the part of
// the fabric that a change can reach.
#include <algorithm>
#include <array>
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
  for (const Member& member : members) joined = joined || paces_[member.flow].rate == no_limit;
  if (!joined) return no_limit;
  double level = capacities_[link] / static_cast<double>(members.size());
  for (;;) {  // each pass fixes the flows below the level; it rises until none is left below
    double fixed = 0;
    std::size_t open = 0;
    for (const Member& member : members) {
      const double rate = paces_[member.flow].rate;
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

/// The links connected with the change by flows at or above the level, and those flows. Without branches on
/// what cannot be predicted, as it and stop_flows() are where the time goes.
void FlowEngine::gather(double level) {
  links_in_set_.clear();
  limited_in_set_.clear();
  open_members_.clear();
  const auto add = [&](std::uint32_t link) {
    if (filling_[link].mark == mark_) return;
    filling_[link].mark = mark_;
    links_in_set_.push_back(link);
  };
  for (const std::uint32_t link : touched_) add(link);
  for (std::size_t i = 0; i < links_in_set_.size(); ++i) {
    const std::uint32_t link = links_in_set_[i];
    const std::vector<Member>& members = members_[link];
    const std::size_t first = open_members_.size();
    open_members_.resize(first + members.size());
    new_members_.resize(members.size());
    std::array<double, 2> sums{};  // of the rates below the level, and of the others
    std::size_t open = first, found = 0;
    for (const Member& member : members) {
      Pace& pace = paces_[member.flow];
      const std::uint32_t faster = pace.rate >= level;
      const std::uint32_t is_new = faster & static_cast<std::uint32_t>(pace.mark != mark_);
      sums[faster] += pace.rate;
      open_members_[open] = member.flow;
      open += faster;
      new_members_[found] = member.flow;
      found += is_new;
      pace.mark += is_new * (mark_ - pace.mark);
    }
    open_members_.resize(open);
    filling_[link].left = capacities_[link] - sums[0];
    filling_[link].open = static_cast<std::uint32_t>(open - first);
    filling_[link].first = static_cast<std::uint32_t>(first);
    filling_[link].end = static_cast<std::uint32_t>(open);
    for (std::size_t m = 0; m < found; ++m) {
      const Pace& pace = paces_[new_members_[m]];
      if (pace.limited) limited_in_set_.push_back(new_members_[m]);
      for (const std::uint32_t other : links_of(pace)) add(other);
    }
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
      if (paces_[id].mark == mark_) fix(id, flows_[id].limit, own_limit);
    }
    const Filling& filling = filling_[least.link];
    // Flows that stopped at less have left more for the others.
    const double share = filling.open > 0 ? filling.left / filling.open : no_limit;
    if (filling.open > 0 && share * almost <= least.rate) {
      stop_flows(least.link, std::max(share, 0.0));
    } else if (filling.open > 0) {
      replace_least({share, least.link});
      continue;
    }
    const Share last = shares_.back();
    shares_.pop_back();
    if (!shares_.empty()) replace_least(last);
  }
}

/// Puts a share in the place of the least one.
void FlowEngine::replace_least(const Share& share) {
  Share* const heap = shares_.data();
  const std::size_t size = shares_.size();
  std::size_t place = 0, child = 1;
  for (; child + 1 < size; child = 2 * place + 1) {
    child += static_cast<std::size_t>(heap[child] > heap[child + 1]);
    if (!(share > heap[child])) break;
    heap[place] = heap[child];
    place = child;
  }
  if (child + 1 == size && share > heap[child]) {
    heap[place] = heap[child];
    place = child;
  }
  heap[place] = share;
}

/// Every flow of the set that has not stopped yet stops at this link.
void FlowEngine::stop_flows(std::uint32_t link, double rate) {
  const Filling filling = filling_[link];
  new_members_.resize(filling.end - filling.first);
  std::size_t found = 0;
  for (std::size_t m = filling.first; m < filling.end; ++m) {
    new_members_[found] = open_members_[m];
    found += static_cast<std::size_t>(paces_[open_members_[m]].mark == mark_);
  }
  for (std::size_t m = 0; m < found; ++m) fix(new_members_[m], rate, static_cast<int>(link));
}

void FlowEngine::fix(FlowId id, double rate, int bottleneck) {
  Flow& flow = flows_[id];
  ++flows_visited_;
  Pace& pace = paces_[id];
  pace.mark = 0;
  flow.bottleneck = bottleneck;
  for (const std::uint32_t link : links_of(pace)) {
    filling_[link].left -= rate;
    --filling_[link].open;
  }
  const double old = pace.rate;
  if (old == rate) return;
  if (old != no_limit)
    flow.remaining = std::max(0.0, flow.remaining - old * static_cast<double>(now_ns_ - flow.since_ns));
  flow.since_ns = now_ns_;
  pace.rate = rate;
  constexpr double far = 9e18;
  const double ends = static_cast<double>(now_ns_) + std::ceil(flow.remaining / rate);
  calendar_.set(id, ends < far ? static_cast<std::int64_t>(ends) : std::numeric_limits<std::int64_t>::max());
}

}  // namespace sextant
