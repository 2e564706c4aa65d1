#include "sim/planner/cluster_share.hpp"

#include <algorithm>

namespace sextant {

Cluster cluster_share(const Cluster& cluster, const std::vector<int>& gpus) {
  Cluster share = cluster;
  for (Node& node : share.nodes)
    std::erase_if(node.gpus, [&](int gpu) { return std::find(gpus.begin(), gpus.end(), gpu) == gpus.end(); });
  return share;
}

}  // namespace sextant
