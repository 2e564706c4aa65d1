#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/fabric/ecmp.hpp"
#include "sim/fabric/path_graph.hpp"
#include "sim/fabric/route.hpp"

namespace sextant {

/// How far apart the ends of a way over PCIe are.
PathLevel path_level(const Cluster&, const std::vector<int>& links);

/// The way of one transfer, direction by direction, as flows take it.
struct TransferPath {
  RouteKind kind = RouteKind::same_gpu;
  std::vector<int> directions;
  double latency_us = 0;  ///< of the links alone
  int from_nic = -1;      ///< devices; -1 inside a node
  int to_nic = -1;
  int relay_gpu = -1;  ///< the NVLink neighbour that PXN goes by; -1: none
};

/// The ways of transfers between GPUs as NCCL chooses them:
///  - inside a node NVLink; else PCIe directly up to Node::peer_level(), beyond it through host memory;
///  - between nodes by the NIC nearest to each GPU (of equally near ones GPU i takes the i-th). Where the two
///  are not on one rail: by PXN over NVLink to the neighbour on the receiver's rail; else across rails if
///  NCCL_CROSS_NIC is not 0 and the network joins them; else on the sender's rail to the receiver's node;
///  - from GPU to NIC directly up to NCCL_NET_GDR_LEVEL, else through host memory: two more crossings of
///  PCIe.
/// Caches what it has worked out, so that 100,000 flows of 1,024 nodes are cheap; not for several threads at
/// once.
class NcclPaths {
 public:
  explicit NcclPaths(const Cluster&);
  const Cluster& cluster() const { return *cluster_; }

  /// Throws InputError naming both GPUs where there is no way.
  TransferPath path(int from_gpu, int to_gpu, const FlowLabel& = {});

  /// From the host memory behind one NIC to that behind another, as storage and checkpoints go. Throws
  /// InputError naming both where there is no way.
  TransferPath between_memories(int from_nic, int to_nic, const FlowLabel& = {});

  /// 10^9 B/s of data by link direction; between nodes what headers leave of the line.
  std::vector<double> capacities() const;
  /// "node-a/nic0 -> switch"
  std::string name(int direction) const;

 private:
  struct Host {
    PathGraph pcie, nvlink;
    std::vector<int> roots;
  };
  using Links = std::vector<int>;

  const Host& host(int node);
  const Links& near_nics(int gpu);
  Links to_memory(int nic);
  const Links& inside(const PathGraph&, int from, int to);
  Links through_host(int node, int from, int to);
  bool append(TransferPath&, int at, const Links&) const;
  bool between_gpus(TransferPath&, int from, int to);
  bool append_to_nic(TransferPath&, int gpu, int nic, bool leaving);
  bool try_rails(TransferPath&, int from, int to, int from_nic, int to_nic, const FlowLabel&);
  bool try_pxn(TransferPath&, int from, int to, const FlowLabel&);
  int rail(int nic) const;

  const Cluster* cluster_;
  EcmpNetwork network_;
  std::vector<Links> node_links_;
  std::map<int, Host> hosts_;
  std::map<int, Links> near_nics_;
  std::map<std::pair<int, int>, Links> pcie_ways_, nvlink_ways_;
};

}  // namespace sextant
