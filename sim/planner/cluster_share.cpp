#include "sim/planner/cluster_share.hpp"

#include <algorithm>

namespace sextant {

Cluster cluster_share(const Cluster& cluster, const std::vector<int>& gpus) {
  Cluster share = cluster;
  for (Node& node : share.nodes)
    std::erase_if(node.gpus, [&](int gpu) { return std::find(gpus.begin(), gpus.end(), gpu) == gpus.end(); });
  return share;
}

Layout moved(Layout layout, const std::vector<int>& from, const std::vector<int>& to) {
  const auto move = [&](std::vector<int>& gpus) {
    for (int& gpu : gpus)
      gpu = to[static_cast<std::size_t>(std::find(from.begin(), from.end(), gpu) - from.begin())];
  };
  for (auto& replica : layout.replicas)
    for (StagePlacement& stage : replica) {
      move(stage.gpus);
      move(stage.expert_gpus);
    }
  return layout;
}

}  // namespace sextant
