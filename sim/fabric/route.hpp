#pragma once
#include <memory>
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
  std::vector<int> links;      ///< indices into Cluster::links, in order; staged: through the root complex
  LinkProfile profile;         ///< of the class of link that decides
  double bottleneck_gbps = 0;  ///< smallest link capacity on the way, 10^9 B/s, or what background leaves
  double queue_us = 0;         ///< wait in queues that other traffic fills
  std::string medium;          ///< "PCIe Gen5 x16", "RoCE 200 Gbit/s", "NVLink, 450 GB/s"
  /// Seconds for one message, one way, nobody else on the way; at least bytes / bottleneck; 0 on the same
  /// GPU. `level`: 0 nominal, +-1 the ends of the profile's 90 % interval. Throws InputError for a staged
  /// route whose profile has no staged curve.
  double seconds(double bytes, double level = 0) const;
  Grade grade() const;
  /// "PCIe Gen5 x16, peer to peer", "RoCE 200 Gbit/s, GPUDirect RDMA"
  std::string describe() const;
};

/// Routes over the cluster graph, as NCCL takes them:
///  - inside a node NVLink where it joins the two GPUs, else PCIe: directly as far as Node::peer_level(),
///  else
///    through host memory (up to the root complex and down again);
///  - between nodes by the NIC nearest to each GPU (fewest links; of equally near ones GPU i takes the i-th,
///    round and round), directly if network and both GPUs do GPUDirect RDMA, else through host memory. NICs
///    that cannot reach each other (separate rails or cables) are passed over for the next nearest pair that
///    can.
/// NcclPaths has the rules that matter where flows meet: rails, PXN, equal paths.
/// Each part of the way is the path of least latency, then fewest links (PathGraph). Building costs O(devices
/// + links), a route a few microseconds; profiles are read when first needed. Safe to use from several
/// threads.
class Topology {
 public:
  /// Throws InputError for a GPU the first GPU cannot reach, unless it `may_be_split` by a fault.
  explicit Topology(const Cluster&, bool may_be_split = false);
  const Cluster& cluster() const { return cluster_; }
  /// `from` and `to` are device indices of GPUs. Throws InputError where there is no way or no profile for
  /// it.
  Route route(int from, int to) const;
  /// What background traffic leaves of the ring over these GPUs, 10^9 B/s; infinite where it takes nothing.
  double ring_rate_left(const std::vector<int>& gpus) const;
  /// The link profile of a group of GPUs: of the routes among its pairs the one on which 1 MiB takes longest.
  Route slowest_route(const std::vector<int>& gpus) const;

 private:
  struct Paths;
  Route inside_route(int from, int to) const;
  Route network_route(int from, int to) const;
  std::vector<int> to_nic(int gpu, int nic, bool direct) const;
  static Nic port_of(const Device&);  ///< the NIC at the rate its port came up with
  const Device& device(int index) const { return cluster_.devices[static_cast<std::size_t>(index)]; }
  double narrowest(const std::vector<int>& links) const;

  Cluster cluster_;
  std::shared_ptr<const Paths> paths_;  // built once, never changed but for the profiles read
};

}  // namespace sextant
