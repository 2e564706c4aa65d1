#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "models/hardware/cluster_reader.hpp"

namespace sextant {
namespace {

constexpr double bits_per_byte = 8;

/// a, b, …, z, aa, ab, …
std::string letters(std::size_t index) {
  std::string text;
  for (std::size_t rest = index + 1; rest > 0; rest = (rest - 1) / 26)
    text.insert(text.begin(), static_cast<char>('a' + (rest - 1) % 26));
  return text;
}

/// Lays out devices and links node by node.
class Expansion {
 public:
  explicit Expansion(const ClusterSpecification& specification) : specification_(specification) {
    cluster_.network = specification.network;
  }

  Cluster expand(const JsonValue& where_cluster) {
    const JsonValue where = where_cluster.object().at("nodes");
    for (const NodeSpecification& node : specification_.nodes)
      for (std::int64_t i = 0; i < node.count; ++i) add_node(node, static_cast<std::size_t>(i), where);
    if (specification_.leaf_spine)
      join_leaves(where_cluster.object().at("network").object().at("leaf_spine"));
    else
      join_nodes();
    return std::move(cluster_);
  }

 private:
  int add_device(const std::string& name, DeviceKind kind, int node, const std::string& model) {
    cluster_.devices.push_back({name, kind, node, model});
    return static_cast<int>(cluster_.devices.size()) - 1;
  }

  void add_link(int from, int to, const std::string& kind, double gbps, double latency_us) {
    cluster_.links.push_back({from, to, kind, gbps, latency_us});
  }

  void add_node(const NodeSpecification& specification, std::size_t copy, const JsonValue& where) {
    Node node;
    node.name = specification.name;
    if (node.name.empty())
      node.name = fmt::format("node-{}", letters(cluster_.nodes.size()));
    else if (specification.count > 1)
      node.name = fmt::format("{}-{}", node.name, letters(copy));
    if (!names_.insert(node.name).second)
      where.fail(fmt::format("found two nodes named \"{}\", expected different names", node.name));
    node.type = specification.type->name;
    node.peer_to_peer = specification.peer_to_peer;
    node.p2p_level = specification.p2p_level;
    node.cpu = specification.pcie.cpu;
    add_devices(specification, node);
    cluster_.nodes.push_back(std::move(node));
  }

  void add_devices(const NodeSpecification& specification, Node& node) {
    const NodeType& type = *specification.type;
    const int index = static_cast<int>(cluster_.nodes.size());
    const double latency = type.link_latency_us.value;
    const std::vector<int> ports = add_host(specification, node, index);
    const auto port = [&](std::size_t card, std::size_t cards) { return ports[card * ports.size() / cards]; };
    const bool nvlink = type.gpu_link == "nvlink";
    const int nvswitch = nvlink ? add_device(node.name + "/nvswitch", DeviceKind::nvswitch, index, "") : -1;
    for (std::size_t i = 0; i < specification.gpus.size(); ++i) {
      const Gpu& gpu = *specification.gpus[i];
      const int device = add_device(fmt::format("{}/gpu{}", node.name, i), DeviceKind::gpu, index, gpu.name);
      cluster_.devices.back().power_limit_watts = specification.power_limits_watts[i];
      cluster_.devices.back().clock = specification.clocks[i];
      node.gpus.push_back(device);
      add_link(device, port(i, specification.gpus.size()), "pcie",
               gpu.host_gbps ? gpu.host_gbps->value : slot_gbps(type, gpu), latency);
      if (nvlink) add_link(device, nvswitch, "nvlink", gpu.nvlink_gbps->value, latency);
    }
    for (std::size_t i = 0; i < specification.nics.size(); ++i) {
      const Nic& nic = *specification.nics[i].nic;
      const int device = add_device(fmt::format("{}/nic{}", node.name, i), DeviceKind::nic, index, nic.name);
      cluster_.devices.back().port_gbits = specification.nics[i].port_gbits;
      node.nics.push_back(device);
      add_link(device, port(i, specification.nics.size()), "pcie", slot_gbps(type, nic), latency);
    }
  }

  /// Root complexes, the links between them and the PCIe switches below; what cards are plugged into.
  std::vector<int> add_host(const NodeSpecification& specification, const Node& node, int index) {
    const NodeType& type = *specification.type;
    const PcieSpecification& pcie = specification.pcie;
    const double latency = type.link_latency_us.value;
    std::vector<int> roots, switches;
    for (int i = 0; i < pcie.sockets; ++i) {
      roots.push_back(add_device(node.name + "/root" + (pcie.sockets > 1 ? std::to_string(i) : ""),
                                 DeviceKind::root_complex, index, ""));
      for (int j = 0; j < i; ++j)
        add_link(roots[static_cast<std::size_t>(j)], roots.back(), "socket", pcie.socket_gbps, latency);
    }
    for (int i = 0; i < pcie.switches; ++i) {
      switches.push_back(
          add_device(fmt::format("{}/pcie-switch{}", node.name, i), DeviceKind::pcie_switch, index, ""));
      add_link(switches.back(), roots[static_cast<std::size_t>(i * pcie.sockets / pcie.switches)], "pcie",
               pcie_gbps(type.pcie_generation, type.pcie_lanes), latency);
    }
    return switches.empty() ? roots : switches;
  }

  /// A card runs at the lesser of its own and its slot's generation and width.
  template <class Part>
  static double slot_gbps(const NodeType& type, const Part& part) {
    return pcie_gbps(std::min(type.pcie_generation, part.pcie_generation),
                     std::min(type.pcie_lanes, part.pcie_lanes));
  }

  double nic_gbps(int nic) const {
    const Device& device = cluster_.devices[static_cast<std::size_t>(nic)];
    return device.port_gbits.value_or(find_nic(device.model).rate_gbits.value) / bits_per_byte;
  }

  /// Two nodes of one NIC each are cabled directly unless a switch is named; all else meets at one switch.
  void join_nodes() {
    const std::string kind = cable();
    std::vector<int> nics;
    for (const Node& node : cluster_.nodes) nics.insert(nics.end(), node.nics.begin(), node.nics.end());
    const Switch* named = specification_.network_switch;
    if (!named && cluster_.nodes.size() < 2) return;
    if (!named && cluster_.nodes.size() == 2 && nics.size() == 2) {
      add_link(nics[0], nics[1], kind, std::min(nic_gbps(nics[0]), nic_gbps(nics[1])), 0);
      return;
    }
    const int device = add_device("switch", DeviceKind::network_switch, -1, named ? named->name : "");
    // A way through the switch takes two links, each with half of its latency.
    const double latency = named && named->latency_us ? named->latency_us->value / 2 : 0;
    for (const int nic : nics) add_link(nic, device, kind, nic_gbps(nic), latency);
  }

  std::string cable() const { return cluster_.network.transport == "ib" ? "infiniband" : "ethernet"; }

  /// A way through a switch takes two links, each with half of its latency.
  static double half_latency(const Switch* model) {
    return model && model->latency_us ? model->latency_us->value / 2 : 0;
  }

  /// Each so many nodes are a rack with a leaf for each rail; NIC i hangs on the leaf of rail i modulo rails.
  void join_leaves(const JsonValue& where) {
    const LeafSpineSpecification& fabric = *specification_.leaf_spine;
    std::vector<std::vector<int>> leaves(static_cast<std::size_t>(fabric.rails));
    double most_down = 0;
    for (std::size_t first = 0; first < cluster_.nodes.size();
         first += static_cast<std::size_t>(fabric.nodes_per_leaf)) {
      const std::size_t end =
          std::min(first + static_cast<std::size_t>(fabric.nodes_per_leaf), cluster_.nodes.size());
      const std::string rack =
          fmt::format("rack-{}", letters(first / static_cast<std::size_t>(fabric.nodes_per_leaf)));
      for (int rail = 0; rail < fabric.rails; ++rail) {
        const std::string name =
            fabric.rails == 1 ? "leaf-" + rack : fmt::format("leaf-{}-rail{}", rack, rail);
        leaves[static_cast<std::size_t>(rail)].push_back(
            add_device(name, DeviceKind::network_switch, -1, fabric.leaf ? fabric.leaf->name : ""));
        double down = 0;
        for (std::size_t n = first; n < end; ++n)
          down += join_rail(n, rail, leaves[static_cast<std::size_t>(rail)].back(), rack, where);
        most_down = std::max(most_down, down);
      }
    }
    if (leaves.front().size() > 1) join_spines(leaves, most_down, where);
  }

  /// Cables a node's NICs of one rail to its leaf; what they can send, 10^9 B/s.
  double join_rail(std::size_t index, int rail, int leaf, const std::string& rack, const JsonValue& where) {
    const LeafSpineSpecification& fabric = *specification_.leaf_spine;
    Node& node = cluster_.nodes[index];
    node.rack = rack;
    const auto rails = static_cast<std::size_t>(fabric.rails);
    if (node.nics.size() % rails != 0)
      where.fail(fmt::format("found {} nics in {}, expected as many on each of {} rails", node.nics.size(),
                             node.name, rails));
    double sum = 0;
    for (std::size_t i = static_cast<std::size_t>(rail); i < node.nics.size(); i += rails) {
      add_link(node.nics[i], leaf, cable(), nic_gbps(node.nics[i]), half_latency(fabric.leaf));
      sum += nic_gbps(node.nics[i]);
    }
    return sum;
  }

  void join_spines(const std::vector<std::vector<int>>& leaves, double most_down, const JsonValue& where) {
    const LeafSpineSpecification& fabric = *specification_.leaf_spine;
    const double uplink_gbps = fabric.uplink_gbits / bits_per_byte;
    const auto cables =
        static_cast<int>(std::ceil(most_down / (fabric.oversubscription * uplink_gbps) - 1e-9));
    if (cables < 1 || cables % fabric.spines != 0)
      where.fail(fmt::format(
          "found {} uplinks of {} Gbit/s on each leaf, expected a multiple of {} spines: {} Gbit/s of "
          "nics oversubscribed {} times",
          cables, fabric.uplink_gbits, fabric.spines, most_down * bits_per_byte, fabric.oversubscription));
    const double latency = half_latency(fabric.leaf) + half_latency(fabric.spine);
    std::vector<int> spines;
    for (std::size_t rail = 0; rail < leaves.size(); ++rail) {
      if (rail == 0 || fabric.spines_of_rail) {
        spines.clear();
        for (int s = 0; s < fabric.spines; ++s)
          spines.push_back(add_device(
              fabric.spines_of_rail ? fmt::format("spine{}-rail{}", s, rail) : fmt::format("spine{}", s),
              DeviceKind::network_switch, -1, fabric.spine ? fabric.spine->name : ""));
      }
      for (const int leaf : leaves[rail])
        for (int c = 0; c < cables; ++c)
          add_link(leaf, spines[static_cast<std::size_t>(c % fabric.spines)], cable(), uplink_gbps, latency);
    }
  }

  const ClusterSpecification& specification_;
  Cluster cluster_;
  std::set<std::string> names_;
};

}  // namespace

Cluster expand_cluster(const ClusterSpecification& specification, const JsonValue& where) {
  return Expansion(specification).expand(where);
}

}  // namespace sextant
