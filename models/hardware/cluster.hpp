#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "models/hardware/catalogue.hpp"
#include "models/hardware/congestion.hpp"

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
  std::optional<double> port_gbits = std::nullopt;  ///< of a NIC whose port came up slower; nullopt: its rate
  std::optional<double> clock = std::nullopt;       ///< of a GPU, relative to its usual one; nullopt: 1
};

/// How far two devices of a node are apart over PCIe, as `nvidia-smi topo -m` and NCCL_P2P_LEVEL name it,
/// nearest first: one PCIe switch, several, a host bridge, the link between sockets. `loc`: never peer to
/// peer.
enum class PathLevel { loc, pix, pxb, phb, sys };
std::string to_string(PathLevel);  ///< LOC, PIX, PXB, PHB, SYS
/// Throws InputError at the value.
PathLevel read_path_level(const JsonValue&);

/// An edge of the cluster graph, full duplex.
struct Link {
  int from = 0;  ///< index in Cluster::devices
  int to = 0;
  std::string kind;  ///< nvlink, pcie (or the chip-to-chip link in its place), socket, ethernet, infiniband
  double gbps = 0;   ///< 10^9 B/s each way
  double latency_us = 0;
  double share = 1;  ///< of its capacity that is left by a fault
};

struct Node {
  std::string name;
  std::string type;  ///< catalogue node type
  bool peer_to_peer = true;
  std::vector<int> gpus;  ///< device indices
  std::vector<int> nics;
  std::string cpu = "";  ///< amd, intel or other, by which NCCL's rules go; empty: not said
  std::optional<PathLevel> p2p_level = std::nullopt;  ///< NCCL_P2P_LEVEL; nullopt: not set
  std::string rack = "";                              ///< of the leaf switch it hangs on; empty: none

  /// The farthest that GPUs exchange data directly: p2p_level; else, where the processor is said, NCCL's rule
  /// (PXB; SYS for one or two GPUs on AMD); else everywhere, or nowhere without peer_to_peer.
  PathLevel peer_level() const;
};

/// How nodes talk: one network for the data plane.
struct Network {
  std::string transport = "roce";        ///< roce, ib, tcp
  bool gpudirect = true;                 ///< GPUs and NICs exchange data without staging in host memory
  int mtu = 9000;                        ///< bytes
  PathLevel gdr_level = PathLevel::sys;  ///< NCCL_NET_GDR_LEVEL: GPUDirect up to this distance of GPU and NIC
  int cross_nic = 2;           ///< NCCL_CROSS_NIC: 0 stay on the rail, 1 free, 2 on the rail where that works
  bool pxn = true;             ///< reach another rail by the NVLink neighbour on it (NCCL_PXN_DISABLE=0)
  Congestion congestion = {};  ///< where more is sent into a port than leaves it
};

/// Traffic that is not the model's (checkpoints, training, storage) and shares links with it as long as a run
/// lasts.
struct BackgroundFlow {
  int from = 0;  ///< devices: GPUs, or NICs, behind which host memory is meant
  int to = 0;
  double gbps = 0;  ///< 10^9 B/s that it asks for; 0: as much as it gets
  std::string what = "background";
};

/// GPUs, switches and NICs joined by links: what a scenario's "cluster" expands to.
struct Cluster {
  std::vector<Node> nodes;
  std::vector<Device> devices;
  std::vector<Link> links;
  Network network;
  std::vector<BackgroundFlow> background = {};

  std::vector<int> gpus() const;  ///< device indices of all GPUs, node by node
  /// The catalogue name of a GPU, with its power limit and its clock if it has its own: GPUs of one kind are
  /// equal.
  std::string kind(int gpu_device) const;
  /// The kinds of these GPUs, each once: "rtx-pro-6000-workstation + rtx-pro-6000-workstation at 300 W".
  std::string kinds(const std::vector<int>& gpu_devices) const;
  const Gpu& gpu(int device) const { return find_gpu(devices[static_cast<std::size_t>(device)].model); }
};

/// Reads a scenario's "cluster" (its keys: scenarios/README.md) and expands it to the full graph. Node names
/// default to node-a, node-b, …. Throws InputError for unknown parts, two nodes of one name, more GPUs than
/// the node type holds, several nodes of which one has no NIC, a port faster than its card.
Cluster read_cluster(const JsonValue&);

/// The index of a device by its name. Throws InputError at the value, with the nearest name.
int find_device(const Cluster&, const JsonValue& name);

/// The cluster without some of its GPUs, NICs and network switches; a node without a GPU left goes with all
/// it holds. The others keep their names.
Cluster without_devices(const Cluster&, const std::vector<int>& lost);

/// {"node-a/gpu1", "spine0", …}, the devices that are gone: indices. Throws InputError for other kinds of
/// devices, and where no GPU is left.
std::vector<int> read_lost_devices(const JsonValue&, const Cluster&);

/// [{"from": "node-a/nic0", "to": "node-b/nic0", "gbits": 40, "what": "checkpoint"}]; strict. Throws
/// InputError.
std::vector<BackgroundFlow> read_background(const JsonValue&, const Cluster&);

/// The graph in Graphviz' language.
std::string to_dot(const Cluster&);

}  // namespace sextant
