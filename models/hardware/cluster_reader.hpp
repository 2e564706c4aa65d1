#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// A network card as a node holds it.
struct NicSpecification {
  const Nic* nic = nullptr;
  std::optional<double> port_gbits;  ///< nullopt: its rate
};

/// What lies between a node's cards and its memory; without switches each card has a root port of its own.
struct PcieSpecification {
  int switches = 0;
  int sockets = 1;
  double socket_gbps = 0;  ///< 10^9 B/s each way between two sockets; sockets > 1
  std::string cpu;         ///< amd, intel, other; empty: not said
};

/// Leaf switches, one a rail for each so many nodes, and spines above them.
struct LeafSpineSpecification {
  int rails = 1;
  int nodes_per_leaf = 1;
  int spines = 1;
  bool spines_of_rail = false;  ///< each rail has its own spines; else all share them
  double uplink_gbits = 0;      ///< of one cable
  double oversubscription = 1;  ///< what NICs can send to a leaf over what it can send on
  const Switch* leaf = nullptr;
  const Switch* spine = nullptr;
};

/// One entry of "nodes", checked but not yet expanded.
struct NodeSpecification {
  const NodeType* type = nullptr;
  std::string name;  ///< empty: named by its position
  std::vector<const Gpu*> gpus;
  std::vector<std::optional<double>> power_limits_watts;  ///< of each; nullopt: its default
  std::vector<std::optional<double>> clocks;              ///< of each, relative; nullopt: 1
  std::vector<NicSpecification> nics;
  bool peer_to_peer = true;
  std::optional<PathLevel> p2p_level;
  PcieSpecification pcie;
  std::int64_t count = 1;
};

/// A scenario's "cluster", checked but not yet expanded.
struct ClusterSpecification {
  std::vector<NodeSpecification> nodes;
  Network network;
  const Switch* network_switch = nullptr;  ///< null: none named
  std::optional<LeafSpineSpecification> leaf_spine;
};

/// Throws InputError as read_cluster says.
ClusterSpecification read_cluster_specification(const JsonValue&);

/// The full graph; `where` is the cluster's value, for messages. Throws InputError as read_cluster says.
Cluster expand_cluster(const ClusterSpecification&, const JsonValue& where);

}  // namespace sextant
