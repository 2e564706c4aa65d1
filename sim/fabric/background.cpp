#include "sim/fabric/background.hpp"

#include <algorithm>
#include <limits>
#include <mutex>

#include "sim/fabric/flow_engine.hpp"
#include "sim/fabric/nccl_paths.hpp"

namespace sextant {
namespace {

constexpr double endless_bytes = 1e30;
constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

/// The cluster's own copy (paths refer to it) and the ways of its background flows.
struct BackgroundTraffic::Flows {
  explicit Flows(const Cluster& given) : cluster(given), paths(cluster), ways(background_ways(paths)) {
    const bool whole = std::all_of(cluster.links.begin(), cluster.links.end(),
                                   [](const Link& link) { return link.share == 1; });
    if (ways.empty() && whole) return;
    capacities = paths.capacities();
    rules = congestion_rules(cluster);
    for (std::size_t d = 0; d < capacities.size(); ++d)
      left.push_back(capacities[d] * cluster.links[d / 2].share);
  }

  /// The least rate of the transfers and the longest wait, as things are or with whole links and nothing
  /// beside them.
  WhatIsLeft least(const std::vector<std::vector<int>>& transfers, bool as_they_are) const {
    FlowEngine engine(as_they_are ? left : capacities, rules);
    if (as_they_are)
      for (std::size_t i = 0; i < ways.size(); ++i) {
        const double demand = cluster.background[i].gbps;
        engine.start({}, ways[i], endless_bytes, demand > 0 ? demand : FlowEngine::no_limit);
      }
    std::vector<FlowId> ids;
    for (const std::vector<int>& way : transfers) ids.push_back(engine.start({}, way, endless_bytes));
    WhatIsLeft least;
    for (const FlowId id : ids) least.gbps = std::min(least.gbps, engine.rate(id));
    for (const std::vector<int>& way : transfers)
      least.queue_us = std::max(least.queue_us, engine.queue_us(way));
    return least;
  }

  Cluster cluster;
  NcclPaths paths;
  std::vector<std::vector<int>> ways;
  std::vector<double> capacities, left;  ///< by link direction; empty: nothing is slower than it should be
  CongestionRules rules;
  std::mutex mutex;  // paths remembers what it has worked out
};

BackgroundTraffic::BackgroundTraffic(const Cluster& cluster) : flows_(std::make_unique<Flows>(cluster)) {}
BackgroundTraffic::~BackgroundTraffic() = default;

WhatIsLeft BackgroundTraffic::left(const std::vector<std::pair<int, int>>& transfers) const {
  if (flows_->capacities.empty()) return {};
  const std::lock_guard lock(flows_->mutex);
  std::vector<std::vector<int>> ways;
  for (const auto& [from, to] : transfers)
    if (from != to) ways.push_back(flows_->paths.path(from, to).directions);
  if (ways.empty()) return {};
  WhatIsLeft beside = flows_->least(ways, true);
  const WhatIsLeft alone = flows_->least(ways, false);
  beside.queue_us = std::max(0.0, beside.queue_us - alone.queue_us);
  if (!(beside.gbps < alone.gbps)) beside.gbps = infinity;
  return beside;
}

double BackgroundTraffic::rate_left(const std::vector<std::pair<int, int>>& transfers) const {
  return left(transfers).gbps;
}

std::vector<std::vector<int>> background_ways(NcclPaths& paths) {
  const Cluster& cluster = paths.cluster();
  std::vector<std::vector<int>> ways;
  std::uint64_t label = 0;
  for (const BackgroundFlow& flow : cluster.background) {
    const FlowLabel own{0, ++label};
    const bool memory = cluster.devices[static_cast<std::size_t>(flow.from)].kind == DeviceKind::nic;
    ways.push_back(
        (memory ? paths.between_memories(flow.from, flow.to, own) : paths.path(flow.from, flow.to, own))
            .directions);
  }
  return ways;
}

std::vector<std::pair<int, int>> ring_of(const std::vector<int>& gpus) {
  std::vector<std::pair<int, int>> ring;
  for (std::size_t i = 0; i < gpus.size(); ++i) ring.emplace_back(gpus[i], gpus[(i + 1) % gpus.size()]);
  return ring;
}

}  // namespace sextant
