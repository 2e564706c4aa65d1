#include "sim/fabric/ecmp.hpp"

#include <algorithm>

namespace sextant {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

}  // namespace

EcmpNetwork::EcmpNetwork(const Cluster& cluster) : vertex_of_(cluster.devices.size(), -1) {
  const auto add = [&](int device) {
    if (vertex_of_[at(device)] >= 0) return;
    vertex_of_[at(device)] = static_cast<int>(ports_.size());
    ports_.emplace_back();
    passes_on_.push_back(cluster.devices[at(device)].kind == DeviceKind::network_switch ? 1 : 0);
  };
  for (std::size_t i = 0; i < cluster.links.size(); ++i) {
    const Link& link = cluster.links[i];
    const int a = cluster.devices[at(link.from)].node, b = cluster.devices[at(link.to)].node;
    if (a == b && a >= 0) continue;
    add(link.from);
    add(link.to);
    const int index = static_cast<int>(i);
    ports_[at(vertex(link.from))].push_back({direction_of(index, true), vertex(link.to)});
    ports_[at(vertex(link.to))].push_back({direction_of(index, false), vertex(link.from)});
  }
  distances_.resize(ports_.size());
}

/// Links from every vertex to the target, over vertices that pass bytes on; -1 where there is no way.
const std::vector<int>& EcmpNetwork::distances_to(int target) {
  std::vector<int>& distances = distances_[at(target)];
  if (!distances.empty()) return distances;
  distances.assign(ports_.size(), -1);
  distances[at(target)] = 0;
  std::vector<int> reached{target};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    const int here = reached[i];
    if (here != target && passes_on_[at(here)] == 0) continue;
    for (const Port& port : ports_[at(here)]) {
      if (distances[at(port.neighbour)] >= 0) continue;
      distances[at(port.neighbour)] = distances[at(here)] + 1;
      reached.push_back(port.neighbour);
    }
  }
  return distances;
}

int EcmpNetwork::distance(int from_nic, int to_nic) {
  const int from = vertex(from_nic), to = vertex(to_nic);
  if (from < 0 || to < 0) return -1;
  // NICs behind one cable to a switch share the switch's distances.
  const std::vector<Port>& ports = ports_[at(to)];
  const bool by_switch = ports.size() == 1 && passes_on_[at(ports.front().neighbour)] != 0;
  if (!by_switch) return distances_to(to)[at(from)];
  const int hops = distances_to(ports.front().neighbour)[at(from)];
  return hops < 0 ? -1 : hops + 1;
}

std::vector<int> EcmpNetwork::path(int from_nic, int to_nic, const FlowLabel& label) {
  if (distance(from_nic, to_nic) < 0) return {};
  const int to = vertex(to_nic);
  const std::vector<Port>& last = ports_[at(to)];
  const bool by_switch = last.size() == 1 && passes_on_[at(last.front().neighbour)] != 0;
  const int target = by_switch ? last.front().neighbour : to;
  const std::vector<int>& distances = distances_to(target);
  std::vector<int> path;
  std::vector<const Port*> equal;
  for (int here = vertex(from_nic); here != target;) {
    equal.clear();
    for (const Port& port : ports_[at(here)]) {
      const bool nearer = distances[at(port.neighbour)] == distances[at(here)] - 1;
      if (nearer && (port.neighbour == target || passes_on_[at(port.neighbour)] != 0)) equal.push_back(&port);
    }
    const std::uint64_t hash = mixed(label.flow ^ mixed(label.seed ^ static_cast<std::uint64_t>(here)));
    const Port& taken = *equal[hash % equal.size()];
    path.push_back(taken.direction);
    here = taken.neighbour;
  }
  if (by_switch) path.push_back(last.front().direction ^ 1);
  return path;
}

}  // namespace sextant
