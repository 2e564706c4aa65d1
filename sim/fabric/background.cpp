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
  explicit Flows(const Cluster& given) : cluster(given), paths(cluster) {
    std::uint64_t label = 0;
    for (const BackgroundFlow& flow : cluster.background) {
      const FlowLabel own{0, ++label};
      const bool memory = cluster.devices[static_cast<std::size_t>(flow.from)].kind == DeviceKind::nic;
      ways.push_back(
          (memory ? paths.between_memories(flow.from, flow.to, own) : paths.path(flow.from, flow.to, own))
              .directions);
    }
    const bool whole = std::all_of(cluster.links.begin(), cluster.links.end(),
                                   [](const Link& link) { return link.share == 1; });
    if (ways.empty() && whole) return;
    capacities = paths.capacities();
    for (std::size_t d = 0; d < capacities.size(); ++d)
      left.push_back(capacities[d] * cluster.links[d / 2].share);
  }

  /// The least rate of the transfers, as things are or with whole links and nothing beside them.
  double least_rate(const std::vector<std::vector<int>>& transfers, bool as_they_are) const {
    FlowEngine engine(as_they_are ? left : capacities);
    if (as_they_are)
      for (std::size_t i = 0; i < ways.size(); ++i) {
        const double demand = cluster.background[i].gbps;
        engine.start({}, ways[i], endless_bytes, demand > 0 ? demand : FlowEngine::no_limit);
      }
    std::vector<FlowId> ids;
    for (const std::vector<int>& way : transfers) ids.push_back(engine.start({}, way, endless_bytes));
    double least = infinity;
    for (const FlowId id : ids) least = std::min(least, engine.rate(id));
    return least;
  }

  Cluster cluster;
  NcclPaths paths;
  std::vector<std::vector<int>> ways;
  std::vector<double> capacities, left;  ///< by link direction; empty: nothing is slower than it should be
  std::mutex mutex;                      // paths remembers what it has worked out
};

BackgroundTraffic::BackgroundTraffic(const Cluster& cluster) : flows_(std::make_unique<Flows>(cluster)) {}
BackgroundTraffic::~BackgroundTraffic() = default;

double BackgroundTraffic::rate_left(const std::vector<std::pair<int, int>>& transfers) const {
  if (flows_->capacities.empty()) return infinity;
  const std::lock_guard lock(flows_->mutex);
  std::vector<std::vector<int>> ways;
  for (const auto& [from, to] : transfers)
    if (from != to) ways.push_back(flows_->paths.path(from, to).directions);
  if (ways.empty()) return infinity;
  const double beside = flows_->least_rate(ways, true);
  return beside < flows_->least_rate(ways, false) ? beside : infinity;
}

std::vector<std::pair<int, int>> ring_of(const std::vector<int>& gpus) {
  std::vector<std::pair<int, int>> ring;
  for (std::size_t i = 0; i < gpus.size(); ++i) ring.emplace_back(gpus[i], gpus[(i + 1) % gpus.size()]);
  return ring;
}

}  // namespace sextant
