#pragma once
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant {

enum class Algorithm { ring, tree, nvls, nvls_tree, pat };
enum class Protocol { ll, ll128, simple };
inline constexpr std::size_t algorithm_count = 5, protocol_count = 3;
std::string to_string(Algorithm);  ///< ring, tree, nvls, nvls_tree, pat
std::string to_string(Protocol);   ///< ll, ll128, simple
/// Throws InputError naming the three.
Protocol protocol_named(const std::string&);

/// Microseconds of each protocol; none where an algorithm does not have it.
using ProtocolTimes = std::array<std::optional<double>, protocol_count>;
/// Values for groups on one, two, and three or more nodes.
using ByNodes = std::array<double, 3>;

/// What NCCL assumes of one generation of GPUs; 10^9 B/s.
struct NcclGeneration {
  std::string name;                  ///< volta, ampere, hopper, blackwell
  double from_compute_capability{};  ///< ten times major.minor
  ByNodes ll{};                      ///< most that LL carries
  ByNodes ring_ll128_channel{}, tree_ll128_channel{}, tree_channel{}, nvls_tree_channel{};
  double nvls_efficiency = 0;
  double nvlink_share = 1;  ///< what NCCL counts on of a link's nominal rate
  double ring_simple_network_factor = 1;
};

/// The constants of NCCL's own cost model, by which it chooses algorithm and protocol (NVIDIA/nccl
/// src/graph/tuning.cc). Data: calibrate/profiles/nccl-tuning.json.
struct NcclTuning {
  std::array<ProtocolTimes, algorithm_count> base_us{};
  std::array<ProtocolTimes, algorithm_count> nvlink_us{}, pci_us{}, network_us{};
  std::vector<NcclGeneration> generations;              ///< by increasing compute capability
  std::map<std::string, std::string> ll_between_nodes;  ///< CPU vendor -> generation whose bound holds
  std::map<std::string, double> network_overhead_us;    ///< by CPU vendor
  double simple_overhead_factor = 1;
  double ring_ll_share = 0, ring_ll128_share = 0, tree_share = 0, tree_ll_divisor = 1;
  double tree_ll128_one_node_share = 0, tree_ll128_share = 0, pat_share = 0;
  double pat_network_divisor = 1, pat_rank_us = 0;
  double tree_correction_bytes = 64;                                ///< size of the first factor
  std::array<std::vector<double>, protocol_count> tree_correction;  ///< by powers of two from there
  double ring_simple_network_bytes = 0;  ///< per channel and rank, from where the network factor holds
  double send_ll_bytes_per_channel = 0;
  std::map<std::string, int> send_channels;  ///< to one peer, by nvlink, pcie or network
  double one_channel_ll_bytes = 0;           ///< of a rank: LL takes a second channel from there
  std::map<std::string, int> channels;       ///< inside a node, by nvlink, pcie or network

  const NcclGeneration& generation(double compute_capability) const;
};

/// {"format": "sextant nccl tuning", "version": 1, …}; strict. Throws InputError.
NcclTuning read_nccl_tuning(const JsonValue&);
/// The shipped tables.
NcclTuning shipped_nccl_tuning();

/// Ten times a compute capability: "9.0" gives 90, "12.1" 121. Throws InputError for other text.
double compute_capability_number(const std::string&);

}  // namespace sextant
