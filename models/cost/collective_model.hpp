#pragma once
#include <string>
#include <vector>

#include "models/cost/nccl_tuning.hpp"

namespace sextant {

/// The GPUs of one communicator, as NCCL's cost model sees them. Bandwidths are of all channels together,
/// 10^9 B/s each way.
struct CollectiveGroup {
  int ranks = 2;
  int nodes = 1;
  bool nvlink = false;             ///< inside a node; else PCIe
  double compute_capability = 90;  ///< the lowest, ten times major.minor
  int channels = 2;
  int send_channels = 0;          ///< to one peer; 0: by NCCL's tables
  double intra_gbps = 0;          ///< what a ring reaches inside a node
  double inter_gbps = 0;          ///< of all of a node's NICs; nodes > 1
  std::string cpu = "intel";      ///< amd, intel or other: between nodes
  double network_latency_us = 0;  ///< what the network plugin reports; 0 for InfiniBand and RoCE
  bool nic_near = true;           ///< GPU and NIC under one PCIe switch: LL128 between nodes
  bool multicast = false;         ///< NVSwitch reduces (NVLS)

  double ranks_per_node() const { return static_cast<double>(ranks) / nodes; }
};

/// Steps of a ring: 2 (n - 1) of an all-reduce, n - 1 of the others.
double ring_steps(const std::string& op, int ranks);

/// Steps of a ring that cross the network: 2 (N - 1) of an all-reduce over N nodes, N - 1 of the others.
double ring_network_steps(const std::string& op, int nodes);

/// One algorithm and protocol by NCCL's constants.
struct AlgorithmTime {
  Algorithm algorithm = Algorithm::ring;
  Protocol protocol = Protocol::simple;
  double latency_us = 0;
  double algorithm_gbps = 0;  ///< bytes over time left after the latency
  double us = 0;
};

/// Every (algorithm, protocol) that NCCL would consider for all_reduce, all_gather or reduce_scatter of
/// `bytes` (as nccl-tests' size), fastest first: the first is what NCCL chooses. NCCL's formulas
/// (ncclTopoTuneModel and ncclTopoGetAlgoTime); its absolute times are estimates to choose by. Throws
/// InputError for another operation or a group without bandwidth.
std::vector<AlgorithmTime> nccl_times(const NcclTuning&, const CollectiveGroup&, const std::string& op,
                                      double bytes);

/// The factor on a tree's bandwidth at that size.
double tree_correction(const NcclTuning&, Protocol, double bytes);

/// What NCCL's search gives a ring, and a tree all-reduce, of this group. Over two nodes a tree may use twice
/// its network bandwidth inside a node (src/graph/search.cc, second pass), which over PCIe must come out of
/// the one link that also leads to the NIC.
double ring_gbps(const CollectiveGroup&);
double tree_gbps(const CollectiveGroup&);

}  // namespace sextant
