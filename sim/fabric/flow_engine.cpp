#include "sim/fabric/flow_engine.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/base/error.hpp"

namespace sextant {
namespace {

void check_capacity(std::size_t link, double capacity) {
  if (!(capacity > 0) || !std::isfinite(capacity))
    throw InputError(fmt::format(
        "fabric: link direction {}: found a capacity of {} GB/s, expected more than 0", link, capacity));
}

}  // namespace

FlowEngine::FlowEngine(std::vector<double> capacities, CongestionRules rules)
    : capacities_(std::move(capacities)),
      members_(capacities_.size()),
      filling_(capacities_.size()),
      rules_(std::move(rules)) {
  if (!rules_.ideal() && rules_.ports.size() != capacities_.size())
    throw std::logic_error("fabric: rules of congestion for other links than there are");
  for (std::size_t i = 0; i < capacities_.size(); ++i) check_capacity(i, capacities_[i]);
}

void FlowEngine::check_path(std::span<const int> path, double limit) const {
  if (path.size() > UINT16_MAX)
    throw InputError(
        fmt::format("fabric: flow: found a path of {} links, expected at most {}", path.size(), UINT16_MAX));
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] < 0 || static_cast<std::size_t>(path[i]) >= capacities_.size())
      throw InputError(fmt::format("fabric: flow: found link direction {}, expected 0 to {}", path[i],
                                   static_cast<std::ptrdiff_t>(capacities_.size()) - 1));
    for (std::size_t j = 0; j < i; ++j)
      if (path[j] == path[i])
        throw InputError(fmt::format(
            "fabric: flow: found a cycle, its path takes link direction {} twice, expected once", path[i]));
  }
  if (!(limit > 0))
    throw InputError(fmt::format("fabric: flow: found a limit of {} GB/s, expected more than 0", limit));
  if (path.empty() && !std::isfinite(limit))
    throw InputError("fabric: flow: found neither links nor a limit, expected one of them");
}

FlowId FlowEngine::free_slot() {
  if (free_.empty()) {
    flows_.emplace_back();
    marks_.emplace_back();
    limits_.emplace_back();
    return static_cast<FlowId>(flows_.size() - 1);
  }
  const FlowId id = free_.back();
  free_.pop_back();
  return id;
}

/// A flow keeps its stretch of hops for the flows that take its name after it; a longer path gets a new one.
void FlowEngine::set_path(FlowId id, std::span<const int> path) {
  Flow& flow = flows_[id];
  flow.hops = static_cast<std::uint16_t>(path.size());
  if (flow.hops > flow.room) {
    flow.first_hop = static_cast<std::uint32_t>(hop_links_.size());
    flow.room = flow.hops;
    hop_links_.resize(hop_links_.size() + flow.hops);
  }
  for (std::size_t hop = 0; hop < path.size(); ++hop)
    hop_links_[flow.first_hop + hop] = static_cast<std::uint32_t>(path[hop]);
}

FlowId FlowEngine::start(Time now, std::span<const int> path, double bytes, double limit, Time latency) {
  check_path(path, limit);
  if (!(bytes >= 0) || !std::isfinite(bytes) || latency.ns < 0)
    throw InputError(fmt::format("fabric: flow: found {} bytes after {} ns, expected 0 or more of both",
                                 bytes, latency.ns));
  move_clock(now);
  const FlowId id = free_slot();
  Flow& flow = flows_[id];
  flow.rate = 0;
  flow.remaining = bytes;
  flow.limited = limit != no_limit;
  limits_[id] = limit;
  flow.since_ns = now.ns;
  flow.bottleneck = own_limit;
  flow.moving = false;
  set_path(id, path);
  if (latency.ns > 0 || bytes == 0)
    calendar_.set(id, now.ns + latency.ns);
  else
    begin_moving(now, id);
  return id;
}

void FlowEngine::begin_moving(Time now, FlowId id) {
  Flow& flow = flows_[id];
  flow.moving = true;
  flow.since_ns = now.ns;
  flow.rate = no_limit;  // until settled: above every level
  calendar_.set(id, now.ns);
  if (flow.hops == 0)
    alone_.push_back(id);
  else
    lowest_new_ = std::min(lowest_new_, limits_[id]);
  for (std::uint32_t hop = flow.first_hop; hop < flow.first_hop + flow.hops; ++hop) {
    std::vector<Member>& members = members_[hop_links_[hop]];
    members.push_back({no_limit, id, hop});
    touched_.push_back(hop_links_[hop]);
  }
}

/// The last of each list takes the flow's place: from there on the next settlement writes the list anew.
void FlowEngine::leave_links(FlowId id) {
  const Flow& flow = flows_[id];
  for (std::uint32_t hop = flow.first_hop; hop < flow.first_hop + flow.hops; ++hop) {
    std::vector<Member>& members = members_[hop_links_[hop]];
    *std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.flow == id; }) =
        members.back();
    members.pop_back();
    touched_.push_back(hop_links_[hop]);
  }
  if (flow.hops > 0) lowest_left_ = std::min(lowest_left_, flow.rate);
}

double FlowEngine::stop(Time now, FlowId id) {
  move_clock(now);
  const double left = remaining(now, id);
  if (flows_[id].moving) leave_links(id);
  calendar_.erase(id);
  free_.push_back(id);
  return left;
}

void FlowEngine::set_capacity(Time now, int link, double capacity) {
  check_capacity(static_cast<std::size_t>(link), capacity);
  move_clock(now);
  capacities_[static_cast<std::size_t>(link)] = capacity;
  touched_.push_back(static_cast<std::uint32_t>(link));
  lowest_left_ = 0;  // fills everything connected with it again
}

/// Changes of an earlier instant are settled as of then.
void FlowEngine::move_clock(Time now) {
  if (now.ns == now_ns_) return;
  settle();
  if (now.ns < now_ns_ || (!calendar_.empty() && calendar_.first_ns() < now.ns))
    throw std::logic_error("fabric: the clock of the flows was moved back, or past a change");
  now_ns_ = now.ns;
}

Time FlowEngine::next_change() {
  settle();
  return calendar_.empty() ? Time::max() : Time{calendar_.first_ns()};
}

const std::vector<FlowId>& FlowEngine::advance(Time now) {
  move_clock(now);
  ended_.clear();
  settle();
  while (!calendar_.empty() && calendar_.first_ns() <= now.ns) {
    const FlowId id = calendar_.first_flow();
    Flow& flow = flows_[id];
    if (!flow.moving && flow.remaining > 0) {
      begin_moving(now, id);
      calendar_.set(id, std::numeric_limits<std::int64_t>::max());  // settled below
      continue;
    }
    calendar_.erase(id);
    if (flow.moving) leave_links(id);
    ended_.push_back(id);
  }
  for (const FlowId id : ended_) free_.push_back(id);
  return ended_;
}

double FlowEngine::rate(FlowId id) {
  settle();
  return flows_[id].moving ? flows_[id].rate : 0;
}

double FlowEngine::remaining(Time now, FlowId id) {
  settle();
  const Flow& flow = flows_[id];
  if (!flow.moving) return flow.remaining;
  return std::max(0.0, flow.remaining - flow.rate * static_cast<double>(now.ns - flow.since_ns));
}

int FlowEngine::bottleneck(FlowId id) {
  settle();
  return flows_[id].bottleneck;
}

double FlowEngine::load(int link) {
  settle();
  double sum = 0;
  for (const Member& member : members_[static_cast<std::size_t>(link)]) sum += member.rate;
  return sum;
}

}  // namespace sextant
