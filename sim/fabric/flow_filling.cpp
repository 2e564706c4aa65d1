// How FlowEngine finds rates: water-filling (Bertsekas and Gallager, Data Networks, 6.5.2), over the part of
// the fabric that a change can reach.
#include <algorithm>
#include <cmath>

#include "sim/fabric/flow_engine.hpp"

namespace sextant {
namespace {

// Rates that differ by rounding alone count as equal: a settlement that takes a flow too many is still right.
constexpr double almost = 1 - 1e-9;

}  // namespace

void FlowEngine::settle() {
  if (!alone_.empty()) {
    for (const FlowId id : alone_) fix(id, limits_[id], own_limit);
    alone_.clear();
  }
  if (touched_.empty()) return;
  ++mark_;
  slowest_next_ = undisturbed_level() * almost;
  gather(slowest_next_);
  fill();
  touched_.clear();
  lowest_left_ = no_limit;
  lowest_new_ = no_limit;
}

/// Flows slower than this keep their rates: up to there every link fills as it did before.
double FlowEngine::undisturbed_level() {
  double level = std::min(lowest_left_, lowest_new_);
  for (const std::uint32_t link : touched_) level = std::min(level, level_of(link));
  return level;
}

/// The level to which a link fills by its flows' old rates, new flows taking as much as any: infinite where
/// no new flow joined it.
double FlowEngine::level_of(std::uint32_t link) {
  const std::vector<Member>& members = members_[link];
  const auto is_new = [](const Member& member) { return member.rate == no_limit; };
  if (std::none_of(members.rbegin(), members.rend(), is_new)) return no_limit;
  const double capacity = usable_capacity(link);
  double level = capacity / static_cast<double>(members.size());
  for (;;) {  // each pass fixes the flows below the level; it rises until none is left below
    double fixed = 0;
    std::size_t open = 0;
    for (const Member& member : members) {
      if (member.rate < level)
        fixed += member.rate;
      else
        ++open;
    }
    const double next = open == 0 ? level : (capacity - fixed) / static_cast<double>(open);
    if (!(next > level / almost)) return std::min(level, slowest_companion(link));
    level = next;
  }
}

/// The links connected with the change by flows at or above the level, and those flows. Without branches on
/// what cannot be predicted, as it and stop_flows() are where the time goes: what may be known already is
/// written behind the end of its list, which grows only if it was not.
void FlowEngine::gather(double level) {
  links_in_set_.resize(capacities_.size() + 1);
  std::uint32_t* const set = links_in_set_.data();
  Filling* const filling = filling_.data();
  const std::uint32_t *const hop_links = hop_links_.data(), mark = mark_;
  limited_in_set_.clear();
  std::size_t size = 0;
  open_end_ = 0;
  visited_when_full_ = flows_visited_;
  const auto add = [&](std::uint32_t link) {
    set[size] = link;
    size += static_cast<std::size_t>(filling[link].mark != mark);
    filling[link].mark = mark;
  };
  for (const std::uint32_t link : touched_) add(link);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t found = open_link(set[i], level);
    visited_when_full_ += found;
    for (std::size_t m = 0; m < found; ++m) {
      const Flow& flow = flows_[new_members_[m]];
      if (flow.limited) limited_in_set_.push_back(new_members_[m]);
      for (std::uint32_t hop = flow.first_hop; hop < flow.first_hop + flow.hops; ++hop) add(hop_links[hop]);
    }
  }
  set_size_ = size;
}

/// Takes the flows at or above the level off a link's list; those that no other link has yet brought into the
/// set stand in new_members_. Returns how many.
std::size_t FlowEngine::open_link(std::uint32_t link, double level) {
  std::vector<Member>& members = members_[link];
  if (open_members_.size() < open_end_ + members.size())
    open_members_.resize(2 * (open_end_ + members.size()));
  if (new_members_.size() < members.size()) new_members_.resize(members.size());
  const Member* const all = members.data();
  std::uint32_t *const open = open_members_.data() + open_end_, *const fresh = new_members_.data(),
                       *const marks = marks_.data();
  const std::uint32_t mark = mark_;
  std::size_t slower = members.size(), opened = 0, found = 0;
  for (; slower > 0 && all[slower - 1].rate >= level; --slower) {
    const std::uint32_t flow = all[slower - 1].flow;
    open[opened++] = flow;
    fresh[found] = flow;
    found += static_cast<std::size_t>(marks[flow] != mark);
    marks[flow] = mark;
  }
  double sum = 0;
  for (std::size_t m = 0; m < slower; ++m) sum += all[m].rate;
  const std::size_t first = open_end_;
  open_end_ += opened;
  filling_[link] = {usable_capacity(link),
                    sum,
                    static_cast<std::uint32_t>(opened),
                    mark,
                    static_cast<std::uint32_t>(first),
                    static_cast<std::uint32_t>(open_end_),
                    false,
                    members.data() + slower};
  return found;
}

/// Raises all open flows together; each stops where a link of its way is full or at its own limit.
void FlowEngine::fill() {
  // Of links that fill at once the first pauses: by number, not by how the set came about.
  if (!rules_.ideal())
    std::sort(links_in_set_.begin(), links_in_set_.begin() + static_cast<std::ptrdiff_t>(set_size_));
  least_.begin(set_size_);
  for (std::size_t i = 0; i < set_size_; ++i)
    if (const Filling& filling = filling_[links_in_set_[i]]; filling.open > 0) least_.put(i, filling.share());
  least_.settle();
  std::sort(limited_in_set_.begin(), limited_in_set_.end(),
            [&](FlowId a, FlowId b) { return limits_[a] != limits_[b] ? limits_[a] < limits_[b] : a < b; });
  std::size_t next_limited = 0;
  for (double level = least_.share(); level != no_limit && flows_visited_ != visited_when_full_;
       level = least_.share()) {
    for (; next_limited < limited_in_set_.size(); ++next_limited) {
      const FlowId id = limited_in_set_[next_limited];
      if (limits_[id] > level) break;
      if (marks_[id] == mark_) fix(id, next_rate(limits_[id]), own_limit);
    }
    const std::size_t slot = least_.slot();
    const Filling& filling = filling_[links_in_set_[slot]];
    // Flows that stopped at less have left more for the others.
    const double share = filling.open > 0 ? filling.share() : no_limit;
    if (filling.open > 0 && share * almost <= level) {
      stop_flows(links_in_set_[slot], next_rate(share));
      least_.set(slot, no_limit);
    } else {
      least_.set(slot, share);
    }
  }
}

/// Every flow of the set that has not stopped yet stops at this link. Their places in the links' lists first,
/// then their times: two loops that each wait for little.
void FlowEngine::stop_flows(std::uint32_t link, double rate) {
  Filling& own = filling_[link];
  std::uint32_t *const stopped = new_members_.data(), *const marks = marks_.data();
  const std::uint32_t *const open = open_members_.data(), *const hop_links = hop_links_.data(), mark = mark_;
  std::size_t found = 0;
  for (std::size_t m = own.first; m < own.end; ++m) {
    stopped[found] = open[m];
    found += static_cast<std::size_t>(marks[open[m]] == mark);
  }
  flows_visited_ += found;
  Member* own_place = own.next;
  for (std::size_t m = 0; m < found; ++m) {
    const FlowId id = stopped[m];
    Flow& flow = flows_[id];
    marks[id] = 0;
    flow.bottleneck = static_cast<int>(link);
    const std::uint32_t end = flow.first_hop + flow.hops;
    for (std::uint32_t hop = flow.first_hop; hop < end; ++hop) {
      const std::uint32_t other = hop_links[hop];
      if (other == link)
        *own_place++ = {rate, id, hop};
      else
        take_share(filling_[other], {rate, id, hop});
    }
  }
  own.next = own_place;
  own.open = 0;
  for (std::size_t m = 0; m < found; ++m) change_rate(stopped[m], rate);
  if (!rules_.ideal()) spread_pauses(link, rate, found);
}

/// Rounding apart flows stop in the order of their rates anyway; by it the links' lists are sorted.
double FlowEngine::next_rate(double rate) {
  slowest_next_ = std::max(rate, slowest_next_);
  return slowest_next_;
}

void FlowEngine::fix(FlowId id, double rate, int bottleneck) {
  Flow& flow = flows_[id];
  ++flows_visited_;
  marks_[id] = 0;
  flow.bottleneck = bottleneck;
  for (std::uint32_t hop = flow.first_hop; hop < flow.first_hop + flow.hops; ++hop)
    take_share(filling_[hop_links_[hop]], {rate, id, hop});
  change_rate(id, rate);
}

/// A flow stops on a link that others may still rise on.
inline void FlowEngine::take_share(Filling& filling, const Member& member) {
  filling.sum += member.rate;
  --filling.open;
  *filling.next++ = member;
}

/// From now on a flow moves so fast, and ends when that is done.
inline void FlowEngine::change_rate(FlowId id, double rate) {
  Flow& flow = flows_[id];
  const double old = flow.rate;
  if (old == rate) return;
  if (old != no_limit)
    flow.remaining = std::max(0.0, flow.remaining - old * static_cast<double>(now_ns_ - flow.since_ns));
  flow.since_ns = now_ns_;
  flow.rate = rate;
  constexpr double far = 9e18;
  const double lasts = flow.remaining / rate;
  if (!(static_cast<double>(now_ns_) + lasts < far)) {
    calendar_.set(id, std::numeric_limits<std::int64_t>::max());
    return;
  }
  const auto whole = static_cast<std::int64_t>(lasts);  // std::ceil is a call where the machine is an old one
  calendar_.set(id, now_ns_ + whole + static_cast<std::int64_t>(static_cast<double>(whole) < lasts));
}

}  // namespace sextant
