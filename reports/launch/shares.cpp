#include "reports/launch/shares.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/fabric/route.hpp"

namespace sextant {
namespace {

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

int number_within(const std::vector<int>& devices, int device) {
  return static_cast<int>(std::find(devices.begin(), devices.end(), device) - devices.begin());
}

/// The NIC of its node that a GPU's traffic to other nodes leaves by; -1 without another node.
int nic_of(const Topology& topology, int gpu) {
  const Cluster& cluster = topology.cluster();
  const int home = cluster.devices[at(gpu)].node;
  for (const Node& other : cluster.nodes) {
    if (other.gpus.empty() || cluster.devices[at(other.gpus.front())].node == home) continue;
    for (const int link : topology.route(gpu, other.gpus.front()).links)
      for (const int end : {cluster.links[at(link)].from, cluster.links[at(link)].to})
        if (cluster.devices[at(end)].kind == DeviceKind::nic && cluster.devices[at(end)].node == home)
          return end;
  }
  return -1;
}

}  // namespace

bool ReplicaShares::equal() const {
  return std::all_of(nodes.begin(), nodes.end(),
                     [&](const NodeShare& share) { return share.gpus.size() == nodes.front().gpus.size(); });
}

std::vector<ReplicaShares> replica_shares(const Cluster& cluster, const Layout& layout) {
  std::vector<ReplicaShares> replicas;
  const auto ranks = static_cast<std::size_t>(layout.sharing_ranks());
  for (std::size_t r = 0; r < layout.replicas.size(); r += ranks) {
    ReplicaShares shares;
    int last = -1;
    for (const StagePlacement& stage : layout.replicas[r])
      for (const int device : ranks > 1 ? stage.expert_gpus : stage.gpus) {
        const int node = cluster.devices[at(device)].node;
        auto share = std::find_if(shares.nodes.begin(), shares.nodes.end(),
                                  [&](const NodeShare& known) { return known.node == node; });
        if (share == shares.nodes.end())
          share = shares.nodes.insert(share, NodeShare{node, {}, {}});
        else
          shares.in_order = shares.in_order && node == last;
        share->gpus.push_back(number_within(cluster.nodes[at(node)].gpus, device));
        share->devices.push_back(device);
        last = node;
      }
    replicas.push_back(std::move(shares));
  }
  return replicas;
}

std::string uneven_partition(const Layout& layout) {
  std::vector<int> layers;
  for (const StagePlacement& stage : layout.replicas.front()) layers.push_back(stage.layers.size());
  int total = 0;
  for (const int count : layers) total += count;
  return layers == even_split(total, static_cast<int>(layers.size()))
             ? ""
             : fmt::format("{}", fmt::join(layers, ","));
}

std::vector<std::string> nics_of(const Cluster& cluster, const NodeShare& share) {
  std::vector<std::string> lines;
  if (cluster.nodes.size() < 2) return lines;
  const Topology topology(cluster);
  const Node& node = cluster.nodes[at(share.node)];
  for (std::size_t i = 0; i < share.gpus.size(); ++i) {
    const int nic = nic_of(topology, share.devices[i]);
    if (nic >= 0)
      lines.push_back(fmt::format("gpu{} -> nic{} ({})", share.gpus[i], number_within(node.nics, nic),
                                  cluster.devices[at(nic)].model));
  }
  return lines;
}

}  // namespace sextant
