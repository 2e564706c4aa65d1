#pragma once
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"

namespace sextant {

/// What one node does for one replica.
struct NodeShare {
  int node = 0;  ///< index in Cluster::nodes
  std::vector<int>
      gpus;  ///< numbers within the node, in the order of ranks (pipeline stages, then tensor ranks)
  std::vector<int> devices;  ///< the same as device indices of the cluster
};

/// How one replica lies on nodes, in the order of its first stage on each.
struct ReplicaShares {
  std::vector<NodeShare> nodes;
  bool in_order = true;  ///< ranks of one node follow each other
  bool equal() const;    ///< every node has as many GPUs
};

/// Of ranks that share experts one for each server.
std::vector<ReplicaShares> replica_shares(const Cluster&, const Layout&);

/// Layers of each stage where they are not what vLLM cuts by itself: "42,42,41"; empty where they are.
std::string uneven_partition(const Layout&);

/// "gpu0 -> nic0 (connectx-7-400)" for each GPU of the share that talks to other nodes; empty where the
/// cluster has one node.
std::vector<std::string> nics_of(const Cluster&, const NodeShare&);

}  // namespace sextant
