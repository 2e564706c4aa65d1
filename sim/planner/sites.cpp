#include "sim/planner/sites.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "sim/fabric/background.hpp"
#include "sim/fabric/nccl_paths.hpp"

namespace sextant {
namespace {

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

/// A number for each different text.
class Numbers {
 public:
  int of(const std::string& text) {
    return known_.try_emplace(text, static_cast<int>(known_.size())).first->second;
  }

 private:
  std::map<std::string, int> known_;
};

/// The links of each node: between its own devices as text by their place in it, those that leave it by the
/// device they reach.
struct NodeLinks {
  std::vector<std::string> inside, outside;
};

NodeLinks node_links(const Cluster& cluster) {
  NodeLinks result{std::vector<std::string>(cluster.nodes.size()),
                   std::vector<std::string>(cluster.nodes.size())};
  std::vector<int> first(cluster.nodes.size(), -1);  // a node's devices by their distance from its first one
  for (std::size_t i = 0; i < cluster.devices.size(); ++i)
    if (const int node = cluster.devices[i].node; node >= 0 && first[at(node)] < 0)
      first[at(node)] = static_cast<int>(i);
  for (const Link& link : cluster.links) {
    const int from = cluster.devices[at(link.from)].node, to = cluster.devices[at(link.to)].node;
    const std::string text = fmt::format("{} {} {}", link.kind, link.gbps, link.latency_us);
    if (from >= 0 && from == to) {
      result.inside[at(from)] +=
          fmt::format("{}-{} {},", link.from - first[at(from)], link.to - first[at(to)], text);
      continue;
    }
    if (from >= 0)
      result.outside[at(from)] += fmt::format("{}>{} {},", link.from - first[at(from)], link.to, text);
    if (to >= 0) result.outside[at(to)] += fmt::format("{}>{} {},", link.to - first[at(to)], link.from, text);
  }
  return result;
}

std::string make_of(const Cluster& cluster, const Node& node, const std::string& links) {
  std::string text =
      fmt::format("{} {} {} {};", node.type, node.peer_to_peer, node.cpu, to_string(node.peer_level()));
  for (const int gpu : node.gpus) text += cluster.kind(gpu) + ",";
  for (const int nic : node.nics) {
    const Device& device = cluster.devices[at(nic)];
    text += fmt::format("{} {},", device.model, device.port_gbits.value_or(0));
  }
  return text + links;
}

/// How one GPU reaches another, as far as its time depends on it.
std::string relation(const Topology& topology, int from, int to) {
  try {
    const Route route = topology.route(from, to);
    return fmt::format("{} {} {}", to_string(route.kind), route.bottleneck_gbps, route.medium);
  } catch (const InputError& error) {
    return error.what();
  }
}

/// Which GPUs of a node can change places: for each, the first one that it is like.
std::vector<int> places(const Topology& topology, const Node& node) {
  const Cluster& cluster = topology.cluster();
  int elsewhere = -1;
  for (const int gpu : cluster.gpus())
    if (elsewhere < 0 && cluster.nodes[at(cluster.devices[at(gpu)].node)].name != node.name) elsewhere = gpu;
  const std::size_t count = node.gpus.size();
  std::vector<std::vector<std::string>> relations(count, std::vector<std::string>(count));
  std::vector<std::string> own(count);
  for (std::size_t i = 0; i < count; ++i) {
    own[i] = cluster.kind(node.gpus[i]);
    if (elsewhere >= 0) own[i] += relation(topology, node.gpus[i], elsewhere);
    for (std::size_t j = 0; j < count; ++j)
      if (i != j) relations[i][j] = relation(topology, node.gpus[i], node.gpus[j]);
  }
  const auto alike = [&](std::size_t i, std::size_t j) {
    if (own[i] != own[j] || relations[i][j] != relations[j][i]) return false;
    for (std::size_t k = 0; k < count; ++k)
      if (k != i && k != j && (relations[i][k] != relations[j][k] || relations[k][i] != relations[k][j]))
        return false;
    return true;
  };
  std::vector<int> first(count);
  for (std::size_t i = 0; i < count; ++i) {
    first[i] = static_cast<int>(i);
    for (std::size_t j = 0; j < i && first[i] == static_cast<int>(i); ++j)
      if (first[j] == static_cast<int>(j) && alike(i, j)) first[i] = static_cast<int>(j);
  }
  return first;
}

/// What makes a node unlike others of its make: background traffic on its own links or a fault of one of
/// them, either on a link between the switches it hangs on and others. By node; empty: nothing.
std::vector<std::string> burdens(const Cluster& cluster) {
  std::vector<char> burdened(cluster.links.size());
  for (std::size_t i = 0; i < cluster.links.size(); ++i) burdened[i] = cluster.links[i].share != 1;
  if (!cluster.background.empty()) {
    NcclPaths paths(cluster);
    for (const std::vector<int>& way : background_ways(paths))
      for (const int direction : way) burdened[at(direction / 2)] = 1;
  }
  const auto node_of = [&](int device) { return cluster.devices[at(device)].node; };
  std::vector<std::string> result(cluster.nodes.size());
  std::vector<char> burdened_switch(cluster.devices.size());
  for (std::size_t i = 0; i < cluster.links.size(); ++i) {
    if (!burdened[i]) continue;
    const Link& link = cluster.links[i];
    if (node_of(link.from) < 0 && node_of(link.to) < 0)
      burdened_switch[at(link.from)] = burdened_switch[at(link.to)] = 1;
    for (const int end : {link.from, link.to})
      if (node_of(end) >= 0) result[at(node_of(end))] = cluster.nodes[at(node_of(end))].name;
  }
  for (const Link& link : cluster.links)
    for (const auto& [inner, outer] : {std::pair(link.from, link.to), std::pair(link.to, link.from)})
      if (node_of(inner) >= 0 && burdened_switch[at(outer)] && result[at(node_of(inner))].empty())
        result[at(node_of(inner))] = cluster.devices[at(outer)].name;
  return result;
}

}  // namespace

Sites::Sites(const Topology& topology) {
  const Cluster& cluster = topology.cluster();
  sorts_.assign(cluster.devices.size(), -1);
  nodes_.assign(cluster.devices.size(), -1);
  const NodeLinks links = node_links(cluster);
  const std::vector<std::string> burden = burdens(cluster);
  Numbers sorts, attachments;
  std::map<std::string, std::vector<int>> known;  // places by make
  for (std::size_t n = 0; n < cluster.nodes.size(); ++n) {
    const Node& node = cluster.nodes[n];
    const std::string make = make_of(cluster, node, links.inside[n]) + burden[n];
    const auto [place, is_new] = known.try_emplace(make);
    if (is_new) place->second = places(topology, node);
    attachments_.push_back(attachments.of(links.outside[n] + node.rack));
    for (std::size_t i = 0; i < node.gpus.size(); ++i) {
      nodes_[at(node.gpus[i])] = static_cast<int>(n);
      sorts_[at(node.gpus[i])] = sorts.of(fmt::format("{}#{}", make, place->second[i]));
    }
  }
}

std::vector<int> Sites::name(const std::vector<int>& gpus) const {
  std::vector<int> seen_nodes, seen_attachments, result;
  const auto number = [](std::vector<int>& seen, int value) {
    const auto place = std::find(seen.begin(), seen.end(), value);
    if (place != seen.end()) return static_cast<int>(place - seen.begin());
    seen.push_back(value);
    return static_cast<int>(seen.size()) - 1;
  };
  result.reserve(3 * gpus.size());
  for (const int gpu : gpus) {
    result.push_back(number(seen_nodes, node(gpu)));
    result.push_back(number(seen_attachments, attachment(gpu)));
    result.push_back(sort(gpu));
  }
  return result;
}

}  // namespace sextant
