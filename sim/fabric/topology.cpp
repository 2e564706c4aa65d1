#include <fmt/core.h>

#include <algorithm>
#include <boost/pending/disjoint_sets.hpp>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "models/base/error.hpp"
#include "models/cost/host_range.hpp"
#include "models/hardware/wire.hpp"
#include "models/profile/shared_link.hpp"
#include "sim/fabric/background.hpp"
#include "sim/fabric/link_class.hpp"
#include "sim/fabric/nccl_paths.hpp"
#include "sim/fabric/path_graph.hpp"
#include "sim/fabric/route.hpp"

namespace sextant {
namespace {

/// A NIC of a GPU's node and how many links lie between them.
struct NearNic {
  int device = 0;
  std::size_t hops = 0;
};

struct NodePaths {
  PathGraph pcie, nvlink;
  std::vector<int> roots;
};

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

bool is_nvlink(const Link& link) {
  return link.kind == "nvlink";
}

NodePaths node_paths(const Cluster& cluster, const std::vector<int>& links, std::vector<int> roots) {
  std::vector<int> pcie, nvlink;
  for (const int index : links) (is_nvlink(cluster.links[at(index)]) ? nvlink : pcie).push_back(index);
  return {PathGraph(cluster, std::move(pcie)), PathGraph(cluster, std::move(nvlink)), std::move(roots)};
}

void join(std::vector<int>& links, const std::vector<int>& more) {
  links.insert(links.end(), more.begin(), more.end());
}

std::vector<int> reversed(std::vector<int> links) {
  std::reverse(links.begin(), links.end());
  return links;
}

/// From one device to another by way of the nearest root complex, behind which host memory lies.
std::vector<int> through_host(const NodePaths& node, int from, int to) {
  std::vector<int> up;
  int root = -1;
  const std::vector<std::vector<int>> ways = node.pcie.paths(from, node.roots);
  for (std::size_t i = 0; i < ways.size(); ++i) {
    if (ways[i].empty() || (root >= 0 && ways[i].size() >= up.size())) continue;
    up = ways[i];
    root = node.roots[i];
  }
  if (root < 0) return {};
  const std::vector<int> down = node.pcie.path(root, to);
  if (down.empty()) return {};
  join(up, down);
  return up;
}

/// How much longer a byte takes on the wire than at the MTU that the profile's figures are of; 0 where they
/// are the same or the profile does not say.
double header_ns_per_byte(const LinkProfile& profile, const Network& network) {
  if (!profile.mtu || *profile.mtu == network.mtu) return 0;
  const auto bytes_on_wire = [&](int mtu) { return 1 / wire_efficiency(network.transport, mtu); };
  return (bytes_on_wire(network.mtu) - bytes_on_wire(*profile.mtu)) / profile.line_gbps;
}

/// Throws InputError naming the first GPU that no chain of links joins to the first one.
void check_connected(const Cluster& cluster) {
  std::vector<std::size_t> rank(cluster.devices.size()), parent(cluster.devices.size());
  boost::disjoint_sets sets(rank.data(), parent.data());
  for (std::size_t i = 0; i < cluster.devices.size(); ++i) sets.make_set(i);
  for (const Link& link : cluster.links) sets.union_set(at(link.from), at(link.to));
  const std::vector<int> gpus = cluster.gpus();
  for (const int gpu : gpus)
    if (sets.find_set(at(gpu)) != sets.find_set(at(gpus.front())))
      throw InputError(
          fmt::format("cluster: found no way from {} to {}, expected every gpu to reach every other",
                      cluster.devices[at(gpus.front())].name, cluster.devices[at(gpu)].name));
}

}  // namespace

struct Topology::Paths {
  explicit Paths(const Cluster& cluster)
      : network(PathGraph(cluster, network_links(cluster))),
        nics(cluster.devices.size()),
        background(cluster) {
    std::vector<std::vector<int>> links(cluster.nodes.size()), roots(cluster.nodes.size());
    for (std::size_t i = 0; i < cluster.links.size(); ++i)
      if (const int node = node_of(cluster, cluster.links[i]); node >= 0)
        links[at(node)].push_back(static_cast<int>(i));
    for (std::size_t i = 0; i < cluster.devices.size(); ++i)
      if (cluster.devices[i].kind == DeviceKind::root_complex)
        roots[at(cluster.devices[i].node)].push_back(static_cast<int>(i));
    for (std::size_t n = 0; n < cluster.nodes.size(); ++n) {
      nodes.push_back(node_paths(cluster, links[n], std::move(roots[n])));
      note_nics(cluster.nodes[n], nodes.back().pcie);
    }
  }

  /// The node both ends of a link lie in, or -1.
  static int node_of(const Cluster& cluster, const Link& link) {
    const int a = cluster.devices[at(link.from)].node, b = cluster.devices[at(link.to)].node;
    return a == b ? a : -1;
  }

  static std::vector<int> network_links(const Cluster& cluster) {
    std::vector<int> links;
    for (std::size_t i = 0; i < cluster.links.size(); ++i)
      if (node_of(cluster, cluster.links[i]) < 0) links.push_back(static_cast<int>(i));
    return links;
  }

  /// Each GPU's NICs, nearest first; equally near ones begin with the GPU's own rail.
  void note_nics(const Node& node, const PathGraph& pcie) {
    for (std::size_t g = 0; g < node.gpus.size(); ++g) {
      std::vector<NearNic>& near = nics[at(node.gpus[g])];
      const std::vector<std::vector<int>> ways = pcie.paths(node.gpus[g], node.nics);
      std::map<std::size_t, std::vector<int>> by_hops;
      for (std::size_t i = 0; i < ways.size(); ++i)
        if (!ways[i].empty()) by_hops[ways[i].size()].push_back(node.nics[i]);
      for (auto& [hops, equal] : by_hops) {
        std::rotate(equal.begin(), equal.begin() + static_cast<std::ptrdiff_t>(g % equal.size()),
                    equal.end());
        for (const int nic : equal) near.push_back({nic, hops});
      }
    }
  }

  const LinkProfile& profile(const std::string& name) const {
    const std::lock_guard lock(mutex);
    auto found = profiles.find(name);
    if (found == profiles.end()) found = profiles.emplace(name, on_any_host(find_link_profile(name))).first;
    return found->second;  // entries of a map stay where they are
  }

  PathGraph network;
  std::vector<NodePaths> nodes;
  std::vector<std::vector<NearNic>> nics;  ///< by device; empty for all but GPUs
  BackgroundTraffic background;
  mutable std::mutex mutex;
  mutable std::map<std::string, LinkProfile> profiles;
};

Topology::Topology(const Cluster& cluster, bool may_be_split) : cluster_(cluster) {
  if (!may_be_split) check_connected(cluster);
  paths_ = std::make_shared<const Paths>(cluster);
}

Route Topology::route(int from, int to) const {
  if (from == to) return {};
  try {
    Route route = device(from).node == device(to).node ? inside_route(from, to) : network_route(from, to);
    const WhatIsLeft left = paths_->background.left({{from, to}});
    route.bottleneck_gbps = std::min(route.bottleneck_gbps, left.gbps);
    route.queue_us = left.queue_us;
    return route;
  } catch (const InputError& error) {
    throw InputError(
        fmt::format("cluster: route from {} to {}: {}", device(from).name, device(to).name, error.what()));
  }
}

double Topology::narrowest(const std::vector<int>& links) const {
  double gbps = std::numeric_limits<double>::infinity();
  for (const int index : links) gbps = std::min(gbps, cluster_.links[at(index)].gbps);
  return gbps;
}

Route Topology::inside_route(int from, int to) const {
  const Node& node = cluster_.nodes[at(device(from).node)];
  const NodePaths& paths = paths_->nodes[at(device(from).node)];
  Route route;
  route.links = paths.nvlink.path(from, to);
  route.kind = RouteKind::nvlink;
  if (route.links.empty()) {
    route.links = paths.pcie.path(from, to);
    route.kind = RouteKind::pcie_peer;
    if (route.links.empty() || path_level(cluster_, route.links) > node.peer_level()) {
      route.kind = RouteKind::pcie_staged;
      route.links = through_host(paths, from, to);
    }
  }
  if (route.links.empty()) throw InputError("found no links that join them, expected nvlink or pcie");
  route.bottleneck_gbps = narrowest(route.links);
  LinkClass link = route.kind == RouteKind::nvlink
                       ? nvlink_class(route.bottleneck_gbps)
                       : pcie_class(cluster_.gpu(from), cluster_.gpu(to), node, route.bottleneck_gbps);
  route.profile = paths_->profile(link.profile);
  route.medium = std::move(link.words);
  return route;
}

double Topology::ring_rate_left(const std::vector<int>& gpus) const {
  return paths_->background.rate_left(ring_of(gpus));
}

Nic Topology::port_of(const Device& device) {
  Nic nic = find_nic(device.model);
  if (device.port_gbits) nic.rate_gbits.value = *device.port_gbits;
  return nic;
}

std::vector<int> Topology::to_nic(int gpu, int nic, bool direct) const {
  const NodePaths& paths = paths_->nodes[at(device(gpu).node)];
  return direct ? paths.pcie.path(gpu, nic) : through_host(paths, gpu, nic);
}

Route Topology::network_route(int from, int to) const {
  struct Pair {
    int from, to;
    std::size_t hops;
  };
  std::vector<Pair> pairs;
  for (const NearNic& a : paths_->nics[at(from)])
    for (const NearNic& b : paths_->nics[at(to)]) pairs.push_back({a.device, b.device, a.hops + b.hops});
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.hops < b.hops; });

  const bool direct =
      cluster_.network.gpudirect && cluster_.gpu(from).gpudirect_rdma && cluster_.gpu(to).gpudirect_rdma;
  const auto near = [&](int gpu, int nic) {
    return path_level(cluster_, to_nic(gpu, nic, true)) <= cluster_.network.gdr_level;
  };
  for (const Pair& pair : pairs) {
    const std::vector<int> wire = paths_->network.path(pair.from, pair.to);
    if (wire.empty()) continue;
    Route route;
    const bool leaves_directly = direct && near(from, pair.from),
               arrives_directly = direct && near(to, pair.to);
    const bool both = leaves_directly && arrives_directly;
    route.kind = both ? RouteKind::network_gpudirect : RouteKind::network_staged;
    route.links = to_nic(from, pair.from, leaves_directly);
    const std::vector<int> arrival = to_nic(to, pair.to, arrives_directly);
    if (route.links.empty() || arrival.empty())
      throw InputError("found no root complex on the way, expected one to stage through");
    join(route.links, wire);
    join(route.links, reversed(arrival));
    route.bottleneck_gbps = narrowest(route.links);
    LinkClass link =
        network_class(cluster_.network.transport, port_of(device(pair.from)), port_of(device(pair.to)));
    route.profile = paths_->profile(link.profile);
    if (const double longer = header_ns_per_byte(route.profile, cluster_.network); longer != 0)
      route.profile = with_longer_bytes(std::move(route.profile), longer);
    route.medium = std::move(link.words);
    return route;
  }
  throw InputError("found no nics that reach each other, expected a network between their nodes");
}

Route Topology::slowest_route(const std::vector<int>& gpus) const {
  constexpr double probe_bytes = 1 << 20;  // what counts is the class of link
  Route slowest;
  double longest = -1;
  const auto consider = [&](int from, int to) {
    Route candidate = route(from, to);
    const double seconds = candidate.seconds(probe_bytes);
    if (seconds <= longest) return;
    longest = seconds;
    slowest = std::move(candidate);
  };
  // Between nodes one GPU of each sort stands for all: same node, same model, same model of NIC.
  std::set<std::tuple<int, std::string, std::string>> sorts;
  std::vector<int> representatives;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const Device& gpu = device(gpus[i]);
    for (std::size_t j = 0; j < i; ++j)
      if (device(gpus[j]).node == gpu.node) consider(gpus[j], gpus[i]);
    const std::vector<NearNic>& near = paths_->nics[at(gpus[i])];
    if (!sorts.insert({gpu.node, gpu.model, near.empty() ? "" : device(near.front().device).model}).second)
      continue;
    for (const int other : representatives)
      if (device(other).node != gpu.node) consider(other, gpus[i]);
    representatives.push_back(gpus[i]);
  }
  return slowest;
}

}  // namespace sextant
