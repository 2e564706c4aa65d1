#pragma once
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"

namespace sextant {

/// What a layout makes NCCL carry, and over what.
struct NcclTraffic {
  bool between_nodes = false;      ///< some stage's next, or a tensor-parallel group, is on another node
  bool inside_pcie_peers = false;  ///< GPUs of one node exchange data over PCIe, peer to peer
  std::vector<int> group;          ///< the widest tensor-parallel group, device indices; empty at tp 1
  double decode_reduce_bytes = 0;  ///< an all-reduce of a decode step and of a prefill chunk
  double chunk_reduce_bytes = 0;
  int sender = -1, receiver = -1;  ///< devices of the hop between nodes that takes longest; -1: none
  int peer_a = -1, peer_b = -1;    ///< two GPUs that exchange data over PCIe; -1: none
  double decode_hop_bytes = 0;     ///< of the hop between nodes
  double chunk_hop_bytes = 0;
  int nics = 0;                 ///< most in one node
  bool through_switch = false;  ///< nodes are joined by a switch, not by a cable
};

NcclTraffic nccl_traffic(const Scenario&, const Candidate&);

/// What GPUDirect RDMA is worth to the hop between nodes by the fabric's model, "a prefill chunk of 134 MB
/// takes 5.9 ms with it, 9.1 ms staged (RoCE 200 Gbit/s; scaled)"; empty where there is no such hop or no
/// model.
std::string gpudirect_evidence(const Scenario&, const NcclTraffic&);

/// The same for peer access over PCIe inside a node.
std::string peer_evidence(const Scenario&, const NcclTraffic&);

/// Which algorithm and protocol NCCL takes for the layout's own all-reduces and for 64 and 256 MiB, by its
/// tables; across nodes with the modelled times of ring and tree beside it. Empty at tp 1 or without a model.
std::string algorithm_evidence(const NcclTraffic&, const Cluster&);

}  // namespace sextant
