#include "models/hardware/cluster.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "models/base/error.hpp"
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

  Cluster expand(const JsonValue& where) {
    for (const NodeSpecification& node : specification_.nodes)
      for (std::int64_t i = 0; i < node.count; ++i) add_node(node, static_cast<std::size_t>(i), where);
    join_nodes();
    return std::move(cluster_);
  }

 private:
  int add_device(const std::string& name, DeviceKind kind, int node, const std::string& model) {
    cluster_.devices.push_back({name, kind, node, model, std::nullopt});
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
    add_devices(specification, node);
    cluster_.nodes.push_back(std::move(node));
  }

  void add_devices(const NodeSpecification& specification, Node& node) {
    const NodeType& type = *specification.type;
    const int index = static_cast<int>(cluster_.nodes.size());
    const double latency = type.link_latency_us.value;
    const int root = add_device(node.name + "/root", DeviceKind::root_complex, index, "");
    const bool nvlink = type.gpu_link == "nvlink";
    const int nvswitch = nvlink ? add_device(node.name + "/nvswitch", DeviceKind::nvswitch, index, "") : -1;
    for (std::size_t i = 0; i < specification.gpus.size(); ++i) {
      const Gpu& gpu = *specification.gpus[i];
      const int device = add_device(fmt::format("{}/gpu{}", node.name, i), DeviceKind::gpu, index, gpu.name);
      cluster_.devices.back().power_limit_watts = specification.power_limits_watts[i];
      node.gpus.push_back(device);
      add_link(device, root, "pcie", gpu.host_gbps ? gpu.host_gbps->value : slot_gbps(type, gpu), latency);
      if (nvlink) add_link(device, nvswitch, "nvlink", gpu.nvlink_gbps->value, latency);
    }
    for (std::size_t i = 0; i < specification.nics.size(); ++i) {
      const Nic& nic = *specification.nics[i];
      const int device = add_device(fmt::format("{}/nic{}", node.name, i), DeviceKind::nic, index, nic.name);
      node.nics.push_back(device);
      add_link(device, root, "pcie", slot_gbps(type, nic), latency);
    }
  }

  /// A card runs at the lesser of its own and its slot's generation and width.
  template <class Part>
  static double slot_gbps(const NodeType& type, const Part& part) {
    return pcie_gbps(std::min(type.pcie_generation, part.pcie_generation),
                     std::min(type.pcie_lanes, part.pcie_lanes));
  }

  double nic_gbps(int nic) const {
    return find_nic(cluster_.devices[static_cast<std::size_t>(nic)].model).rate_gbits.value / bits_per_byte;
  }

  /// Two nodes of one NIC each are cabled directly unless a switch is named; all else meets at one switch.
  void join_nodes() {
    const std::string kind = cluster_.network.transport == "ib" ? "infiniband" : "ethernet";
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

  const ClusterSpecification& specification_;
  Cluster cluster_;
  std::set<std::string> names_;
};

/// A name inside DOT's quotes: quotes and backslashes escaped, and control characters (C0, DEL, and C1 in
/// UTF-8) as \\xNN, as they would steer the terminal that shows them.
std::string dot_text(const std::string& name) {
  std::string text;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    const bool c1 = byte == 0xc2 && i + 1 < name.size() && static_cast<unsigned char>(name[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f)
      text += fmt::format("\\\\x{:02x}", byte);
    else if (c1)
      text += fmt::format("\\\\xc2\\\\x{:02x}", static_cast<unsigned char>(name[++i]));
    else if (name[i] == '"' || name[i] == '\\')
      text.append("\\").push_back(name[i]);
    else
      text += name[i];
  }
  return text;
}

std::string dot_vertex(const Device& device) {
  constexpr std::array shapes = {"box", "diamond", "ellipse", "hexagon", "component", "octagon"};
  const std::string name = dot_text(device.name);
  return fmt::format("\"{}\" [shape={}, label=\"{}{}{}\"];\n", name,
                     shapes[static_cast<std::size_t>(device.kind)], name, device.model.empty() ? "" : "\\n",
                     device.model);
}

}  // namespace

std::string to_string(DeviceKind kind) {
  constexpr std::array names = {"gpu", "pcie switch", "root complex", "nvswitch", "nic", "network switch"};
  return names[static_cast<std::size_t>(kind)];
}

std::string Cluster::kind(int gpu_device) const {
  const Device& device = devices[static_cast<std::size_t>(gpu_device)];
  if (!device.power_limit_watts) return device.model;
  return fmt::format("{} at {} W", device.model, *device.power_limit_watts);
}

std::string Cluster::kinds(const std::vector<int>& gpu_devices) const {
  std::vector<std::string> names;
  for (const int index : gpu_devices) {
    const std::string name = kind(index);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, " + "));
}

std::vector<int> Cluster::gpus() const {
  std::vector<int> all;
  for (const Node& node : nodes) all.insert(all.end(), node.gpus.begin(), node.gpus.end());
  return all;
}

Cluster read_cluster(const JsonValue& value) {
  const ClusterSpecification specification = read_cluster_specification(value);
  return Expansion(specification).expand(value.object().at("nodes"));
}

std::string to_dot(const Cluster& cluster) {
  std::string text = "graph cluster {\n";
  std::vector<std::string> inside(cluster.nodes.size());
  std::string outside;
  for (const Device& device : cluster.devices) {
    if (device.node < 0)
      outside += fmt::format("  {}", dot_vertex(device));
    else
      inside[static_cast<std::size_t>(device.node)] += fmt::format("    {}", dot_vertex(device));
  }
  for (std::size_t n = 0; n < cluster.nodes.size(); ++n)
    text += fmt::format("  subgraph \"cluster_{}\" {{\n    label=\"{}\";\n{}  }}\n", n,
                        dot_text(cluster.nodes[n].name), inside[n]);
  text += outside;
  for (const Link& link : cluster.links)
    text +=
        fmt::format("  \"{}\" -- \"{}\" [label=\"{} {:.1f} GB/s\"];\n",
                    dot_text(cluster.devices[static_cast<std::size_t>(link.from)].name),
                    dot_text(cluster.devices[static_cast<std::size_t>(link.to)].name), link.kind, link.gbps);
  return text + "}\n";
}

}  // namespace sextant
