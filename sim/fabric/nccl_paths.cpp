#include "sim/fabric/nccl_paths.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/hardware/wire.hpp"

namespace sextant {
namespace {

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

bool between_nodes(const Cluster& cluster, const Link& link) {
  return cluster.devices[at(link.from)].node < 0 ||
         cluster.devices[at(link.from)].node != cluster.devices[at(link.to)].node;
}

}  // namespace

PathLevel path_level(const Cluster& cluster, const std::vector<int>& links) {
  PathLevel level = PathLevel::pix;
  int switches = 0;
  for (std::size_t i = 0; i < links.size(); ++i) {
    const Link& link = cluster.links[at(links[i])];
    if (link.kind == "socket") return PathLevel::sys;
    if (i + 1 == links.size()) break;
    const Link& next = cluster.links[at(links[i + 1])];
    const int middle = link.from == next.from || link.from == next.to ? link.from : link.to;
    const DeviceKind kind = cluster.devices[at(middle)].kind;
    if (kind == DeviceKind::root_complex) level = std::max(level, PathLevel::phb);
    if (kind == DeviceKind::pcie_switch && ++switches > 1) level = std::max(level, PathLevel::pxb);
  }
  return level;
}

NcclPaths::NcclPaths(const Cluster& cluster)
    : cluster_(&cluster), network_(cluster), node_links_(cluster.nodes.size()) {
  for (std::size_t i = 0; i < cluster.links.size(); ++i)
    if (!between_nodes(cluster, cluster.links[i]))
      node_links_[at(cluster.devices[at(cluster.links[i].from)].node)].push_back(static_cast<int>(i));
}

const NcclPaths::Host& NcclPaths::host(int node) {
  const auto found = hosts_.find(node);
  if (found != hosts_.end()) return found->second;
  Links pcie, nvlink, roots;
  for (const int link : node_links_[at(node)]) {
    const Link& l = cluster_->links[at(link)];
    (l.kind == "nvlink" ? nvlink : pcie).push_back(link);
    for (const int end : {l.from, l.to})
      if (cluster_->devices[at(end)].kind == DeviceKind::root_complex) roots.push_back(end);
  }
  std::sort(roots.begin(), roots.end());
  roots.erase(std::unique(roots.begin(), roots.end()), roots.end());
  return hosts_.emplace(node, Host{PathGraph(*cluster_, pcie), PathGraph(*cluster_, nvlink), roots})
      .first->second;
}

const NcclPaths::Links& NcclPaths::inside(const PathGraph& graph, int from, int to) {
  auto& ways = &graph == &host(cluster_->devices[at(from)].node).nvlink ? nvlink_ways_ : pcie_ways_;
  const auto found = ways.find({from, to});
  if (found != ways.end()) return found->second;
  return ways.emplace(std::pair{from, to}, graph.path(from, to)).first->second;
}

/// By way of the nearest root complex, behind which host memory lies.
NcclPaths::Links NcclPaths::through_host(int node, int from, int to) {
  const Host& here = host(node);
  Links best;
  for (const int root : here.roots) {
    const Links &up = inside(here.pcie, from, root), &down = inside(here.pcie, root, to);
    if (up.empty() || down.empty() || (!best.empty() && up.size() + down.size() >= best.size())) continue;
    best = up;
    best.insert(best.end(), down.begin(), down.end());
  }
  return best;
}

/// All NICs of a GPU's node that it reaches, nearest first; equally near ones begin with the GPU's own.
const NcclPaths::Links& NcclPaths::near_nics(int gpu) {
  const auto found = near_nics_.find(gpu);
  if (found != near_nics_.end()) return found->second;
  const Node& node = cluster_->nodes[at(cluster_->devices[at(gpu)].node)];
  const Host& here = host(cluster_->devices[at(gpu)].node);
  std::map<std::size_t, Links> by_hops;
  for (const int nic : node.nics)
    if (const Links& way = inside(here.pcie, gpu, nic); !way.empty()) by_hops[way.size()].push_back(nic);
  const auto index = std::find(node.gpus.begin(), node.gpus.end(), gpu) - node.gpus.begin();
  Links near;
  for (auto& [hops, equal] : by_hops) {
    std::rotate(equal.begin(), equal.begin() + index % static_cast<std::ptrdiff_t>(equal.size()),
                equal.end());
    near.insert(near.end(), equal.begin(), equal.end());
  }
  return near_nics_.emplace(gpu, std::move(near)).first->second;
}

/// Adds links in order from device `at` on; false where there are none.
bool NcclPaths::append(TransferPath& path, int device, const Links& links) const {
  for (const int index : links) {
    const Link& link = cluster_->links[at(index)];
    path.directions.push_back(direction_from(*cluster_, index, device));
    path.latency_us += link.latency_us;
    device = link.from == device ? link.to : link.from;
  }
  return !links.empty();
}

bool NcclPaths::between_gpus(TransferPath& path, int from, int to) {
  const int node = cluster_->devices[at(from)].node;
  const Host& here = host(node);
  path.kind = RouteKind::nvlink;
  if (append(path, from, inside(here.nvlink, from, to))) return true;
  const Links& direct = inside(here.pcie, from, to);
  path.kind = RouteKind::pcie_peer;
  if (!direct.empty() && path_level(*cluster_, direct) <= cluster_->nodes[at(node)].peer_level())
    return append(path, from, direct);
  path.kind = RouteKind::pcie_staged;
  return append(path, from, through_host(node, from, to));
}

bool NcclPaths::append_to_nic(TransferPath& path, int gpu, int nic, bool leaving) {
  const int node = cluster_->devices[at(gpu)].node;
  const int from = leaving ? gpu : nic, to = leaving ? nic : gpu;
  const Links& direct = inside(host(node).pcie, from, to);
  const bool gpudirect = cluster_->network.gpudirect && cluster_->gpu(gpu).gpudirect_rdma &&
                         !direct.empty() && path_level(*cluster_, direct) <= cluster_->network.gdr_level;
  if (!gpudirect) path.kind = RouteKind::network_staged;
  return append(path, from, gpudirect ? direct : through_host(node, from, to));
}

int NcclPaths::rail(int nic) const {
  const std::vector<int>& nics = cluster_->nodes[at(cluster_->devices[at(nic)].node)].nics;
  return static_cast<int>(std::find(nics.begin(), nics.end(), nic) - nics.begin());
}

bool NcclPaths::try_rails(TransferPath& path, int from, int to, int from_nic, int to_nic,
                          const FlowLabel& label) {
  const std::vector<int> wire = network_.path(from_nic, to_nic, label);
  TransferPath whole = path;
  if (wire.empty() || !append_to_nic(whole, from, from_nic, true)) return false;
  for (const int direction : wire) {
    whole.directions.push_back(direction);
    whole.latency_us += cluster_->links[at(direction / 2)].latency_us;
  }
  whole.from_nic = from_nic;
  whole.to_nic = to_nic;
  if (!append_to_nic(whole, to, to_nic, false)) return false;
  path = std::move(whole);
  return true;
}

/// By the sender's NVLink neighbour whose nearest NIC is on the receiver's rail.
bool NcclPaths::try_pxn(TransferPath& path, int from, int to, const FlowLabel& label) {
  if (!cluster_->network.pxn) return false;
  const int node = cluster_->devices[at(from)].node, to_nic = near_nics(to).front();
  for (const int neighbour : cluster_->nodes[at(node)].gpus) {
    if (neighbour == from || near_nics(neighbour).empty()) continue;
    const int nic = near_nics(neighbour).front();
    if (rail(nic) != rail(to_nic) || network_.distance(nic, to_nic) < 0) continue;
    TransferPath relayed = path;
    relayed.relay_gpu = neighbour;
    if (!append(relayed, from, inside(host(node).nvlink, from, neighbour))) continue;
    if (!try_rails(relayed, neighbour, to, nic, to_nic, label)) continue;
    path = std::move(relayed);
    return true;
  }
  return false;
}

TransferPath NcclPaths::path(int from, int to, const FlowLabel& label) {
  const auto refuse = [&](const std::string& why) {
    throw InputError(fmt::format("cluster: route from {} to {}: {}", cluster_->devices[at(from)].name,
                                 cluster_->devices[at(to)].name, why));
  };
  TransferPath path;
  if (from == to) return path;
  if (cluster_->devices[at(from)].node == cluster_->devices[at(to)].node) {
    if (!between_gpus(path, from, to)) refuse("found no links that join them, expected nvlink or pcie");
    return path;
  }
  for (const int gpu : {from, to})
    if (near_nics(gpu).empty())
      refuse(fmt::format("found no nic that {} reaches, expected one for traffic between nodes",
                         cluster_->devices[at(gpu)].name));
  path.kind = RouteKind::network_gpudirect;
  const int nearest = near_nics(from).front(), nearest_there = near_nics(to).front();
  const bool one_rail = rail(nearest) == rail(nearest_there);
  if (!one_rail && try_pxn(path, from, to, label)) return path;
  if ((one_rail || cluster_->network.cross_nic != 0) &&
      try_rails(path, from, to, nearest, nearest_there, label))
    return path;
  for (const int nic : near_nics(from))
    for (const int there : near_nics(to))
      if ((cluster_->network.cross_nic != 0 || rail(nic) == rail(there)) &&
          network_.distance(nic, there) >= 0 && try_rails(path, from, to, nic, there, label))
        return path;
  refuse("found no nics that reach each other, expected a network between their nodes");
  return path;
}

/// From a NIC to the nearest root complex.
NcclPaths::Links NcclPaths::to_memory(int nic) {
  const Host& here = host(cluster_->devices[at(nic)].node);
  Links best;
  for (const int root : here.roots)
    if (const Links& way = inside(here.pcie, nic, root);
        !way.empty() && (best.empty() || way.size() < best.size()))
      best = way;
  return best;
}

TransferPath NcclPaths::between_memories(int from_nic, int to_nic, const FlowLabel& label) {
  const std::vector<int> wire = network_.path(from_nic, to_nic, label);
  TransferPath path;
  path.kind = RouteKind::network_staged;
  path.from_nic = from_nic;
  path.to_nic = to_nic;
  Links leaving = to_memory(from_nic);
  const Links arriving = to_memory(to_nic);
  if (wire.empty() || leaving.empty() || arriving.empty())
    throw InputError(fmt::format("cluster: found no way from {} to {}, expected a network between them",
                                 cluster_->devices[at(from_nic)].name, cluster_->devices[at(to_nic)].name));
  // The way to memory, taken backwards, begins at the other end of its last link.
  std::reverse(leaving.begin(), leaving.end());
  int root = from_nic;
  for (auto link = leaving.rbegin(); link != leaving.rend(); ++link) {
    const Link& l = cluster_->links[at(*link)];
    root = l.from == root ? l.to : l.from;
  }
  append(path, root, leaving);
  for (const int direction : wire) {
    path.directions.push_back(direction);
    path.latency_us += cluster_->links[at(direction / 2)].latency_us;
  }
  append(path, to_nic, arriving);
  return path;
}

std::vector<double> NcclPaths::capacities() const {
  std::vector<double> capacities;
  for (const Link& link : cluster_->links) {
    if (!(link.gbps > 0))
      throw InputError(
          fmt::format("cluster: link from {} to {}: found a capacity of {} GB/s, expected more than 0",
                      cluster_->devices[at(link.from)].name, cluster_->devices[at(link.to)].name, link.gbps));
    const double share = between_nodes(*cluster_, link)
                             ? wire_efficiency(cluster_->network.transport, cluster_->network.mtu)
                             : 1;
    capacities.insert(capacities.end(), 2, link.gbps * share);
  }
  return capacities;
}

std::string NcclPaths::name(int direction) const {
  const Link& link = cluster_->links[at(direction / 2)];
  const std::string &from = cluster_->devices[at(link.from)].name, &to = cluster_->devices[at(link.to)].name;
  return direction % 2 == 0 ? from + " -> " + to : to + " -> " + from;
}

}  // namespace sextant
