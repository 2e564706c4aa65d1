#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace sextant {

/// What the lines of an NCCL_DEBUG=INFO log say.
struct NcclLogFacts {
  std::size_t lines = 0;  ///< of NCCL's, that were seen
  std::string version, network;
  std::set<std::string> hosts;
  long long ranks = 0, nodes = 0;             ///< nodes as NCCL counts them; node_count corrects it
  std::set<long long> ranks_that_speak;       ///< with lines of their own in this log
  std::map<std::string, long long> channels;  ///< coll, nvls, p2p, …: how many
  /// (from, to) -> transport, "P2P/CUMEM" or "NET/IB/0/GDRDMA" -> channels
  std::map<std::pair<long long, long long>, std::map<std::string, std::set<std::string>>> transports;
  std::set<std::string> adapters;  ///< "mlx5_0:1/RoCE"
  std::string first_warning;
  std::optional<bool> stated_gdr;  ///< "use ring PXN 0 GDR 1"
  bool nvls_set_up = false;
  std::map<std::string, std::string> environment;  ///< "NCCL_IB_HCA" -> "mlx5_0", as NCCL says it was set
  std::map<std::string, bool> adapter_gdr;         ///< "mlx5_0" -> "GPU Direct RDMA Enabled"
  std::map<std::string, double> adapter_gbps;      ///< "mlx5_0" -> line rate, Gbit/s, as NCCL found it
  std::string gdr_refused;                         ///< "GPU ca000 / HCA 0 (distance 7 > 4)"

  /// Takes a line if it is one of NCCL's; false if it is not.
  bool read(std::string_view line);
  /// Whether every transfer between nodes goes straight between GPU memory and adapter; nullopt if the log
  /// names none.
  std::optional<bool> gdr() const;
  std::optional<bool> nvls() const;
  /// Nodes: NCCL counts ranks of one host that can neither reach each other directly nor through shared
  /// memory as so many nodes; where every rank speaks in the log, there are no more nodes than hosts.
  long long node_count() const;
  /// The class of the network between nodes: roce, ib, tcp; empty if the log does not say.
  std::string link() const;
};

}  // namespace sextant
