#pragma once
#include <string>
#include <vector>

#include "models/hardware/cluster.hpp"
#include "models/profile/link_profile.hpp"

namespace sextant {

enum class RouteKind { same_gpu, nvlink, pcie_peer, pcie_staged, network_gpudirect, network_staged };
std::string to_string(RouteKind);

/// How bytes get from one GPU to another, and what that costs.
struct Route {
  RouteKind kind = RouteKind::same_gpu;
  std::vector<int> links;        ///< indices into Cluster::links, in order
  LinkProfile profile;           ///< of the class of link that decides
  double bottleneck_gbps = 0;    ///< smallest link capacity on the way, 10^9 B/s
  /// Seconds for one message, one way, nobody else on the way; at least bytes / bottleneck.
  /// `level`: 0 nominal, +-1 the ends of the profile's 90 % interval.
  double seconds(double bytes, double level = 0) const;
  Grade grade() const;
  /// "PCIe Gen5 x16, peer to peer" or "RoCE 200 Gbit/s, GPUDirect"
  std::string describe() const;
};

/// Routes over the cluster graph, as NCCL takes them.
class Topology {
 public:
  /// Throws InputError for a GPU no other GPU can reach.
  explicit Topology(const Cluster&);
  const Cluster& cluster() const { return cluster_; }
  /// `from` and `to` are device indices of GPUs.
  Route route(int from, int to) const;
  /// The link profile of a group of GPUs: the slowest class among its pairs.
  Route slowest_route(const std::vector<int>& gpus) const;

 private:
  Cluster cluster_;
};

}  // namespace sextant
