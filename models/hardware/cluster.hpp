#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "models/hardware/catalogue.hpp"

namespace sextant {

enum class DeviceKind { gpu, pcie_switch, root_complex, nvswitch, nic, network_switch };
std::string to_string(DeviceKind);

/// A vertex of the cluster graph.
struct Device {
  std::string name;  ///< unique: "node-a/gpu0"
  DeviceKind kind = DeviceKind::gpu;
  int node = -1;      ///< index in Cluster::nodes; -1 for network switches
  std::string model;  ///< catalogue name of the GPU, NIC or switch; empty for the rest
  std::optional<double> power_limit_watts = std::nullopt;  ///< of a GPU; nullopt: its default
};

/// An edge of the cluster graph, full duplex.
struct Link {
  int from = 0;  ///< index in Cluster::devices
  int to = 0;
  std::string kind;  ///< nvlink, pcie (or the chip-to-chip link in its place), ethernet, infiniband
  double gbps = 0;   ///< 10^9 B/s each way
  double latency_us = 0;
};

struct Node {
  std::string name;
  std::string type;  ///< catalogue node type
  bool peer_to_peer = true;
  std::vector<int> gpus;  ///< device indices
  std::vector<int> nics;
};

/// How nodes talk: one network for the data plane.
struct Network {
  std::string transport = "roce";  ///< roce, ib, tcp
  bool gpudirect = true;           ///< GPUs and NICs exchange data without staging in host memory
  int mtu = 9000;                  ///< bytes
};

/// GPUs, switches and NICs joined by links: what a scenario's "cluster" expands to.
struct Cluster {
  std::vector<Node> nodes;
  std::vector<Device> devices;
  std::vector<Link> links;
  Network network;

  std::vector<int> gpus() const;  ///< device indices of all GPUs, node by node
  /// The catalogue name of a GPU, with its power limit if it has one of its own: GPUs of one kind are equal.
  std::string kind(int gpu_device) const;
  /// The kinds of these GPUs, each once: "rtx-pro-6000-workstation + rtx-pro-6000-workstation at 300 W".
  std::string kinds(const std::vector<int>& gpu_devices) const;
  const Gpu& gpu(int device) const { return find_gpu(devices[static_cast<std::size_t>(device)].model); }
};

/// Reads a scenario's "cluster":
///   {"nodes": [{"node": "workstation", "name": "a", "gpus": {"rtx-pro-6000-workstation": 2,
///               "rtx-pro-6000-max-q": {"count": 1, "power_limit_watts": 275}}, "nic":
///   "connectx-7-200",
///               "count": 1, "peer_to_peer": true}],
///    "network": {"transport": "roce", "switch": "…", "gpudirect": true, "mtu": 9000}}
/// and expands it to the full graph. Node names default to node-a, node-b, …; "nics" (a list) stands for
/// several cards; a power limit must be one the card can be set to. Throws InputError for unknown parts, two
/// nodes of one name, more GPUs than the node type holds, several nodes of which one has no NIC.
Cluster read_cluster(const JsonValue&);

/// The graph in Graphviz' language.
std::string to_dot(const Cluster&);

}  // namespace sextant
