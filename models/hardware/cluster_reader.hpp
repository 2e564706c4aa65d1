#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// One entry of "nodes", checked but not yet expanded.
struct NodeSpecification {
  const NodeType* type = nullptr;
  std::string name;  ///< empty: named by its position
  std::vector<const Gpu*> gpus;
  std::vector<std::optional<double>> power_limits_watts;  ///< of each; nullopt: its default
  std::vector<const Nic*> nics;
  bool peer_to_peer = true;
  std::int64_t count = 1;
};

/// A scenario's "cluster", checked but not yet expanded.
struct ClusterSpecification {
  std::vector<NodeSpecification> nodes;
  Network network;
  const Switch* network_switch = nullptr;  ///< null: none named
};

/// Throws InputError as read_cluster says.
ClusterSpecification read_cluster_specification(const JsonValue&);

}  // namespace sextant
