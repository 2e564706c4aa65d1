#include "models/hardware/cluster.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "models/base/error.hpp"
#include "models/hardware/cluster_reader.hpp"

namespace sextant {
namespace {

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
  return fmt::format("\"{}\" [shape={}, label=\"{}{}{}{}\"{}];\n", name,
                     shapes[static_cast<std::size_t>(device.kind)], name, device.model.empty() ? "" : "\\n",
                     device.model,
                     device.port_gbits ? fmt::format("\\nport at {} Gbit/s", *device.port_gbits) : "",
                     device.port_gbits ? ", color=red" : "");
}

}  // namespace

std::string to_string(DeviceKind kind) {
  constexpr std::array names = {"gpu", "pcie switch", "root complex", "nvswitch", "nic", "network switch"};
  return names[static_cast<std::size_t>(kind)];
}

namespace {

constexpr std::array path_levels = {"LOC", "PIX", "PXB", "PHB", "SYS"};

}  // namespace

std::string to_string(PathLevel level) {
  return path_levels[static_cast<std::size_t>(level)];
}

PathLevel read_path_level(const JsonValue& value) {
  const std::string word = value.text();
  const auto found = std::find(path_levels.begin(), path_levels.end(), word);
  if (found == path_levels.end())
    value.fail(fmt::format("found \"{}\", expected one of {}", word, fmt::join(path_levels, ", ")));
  return static_cast<PathLevel>(found - path_levels.begin());
}

PathLevel Node::peer_level() const {
  constexpr std::size_t few_gpus = 2;  // NVIDIA/nccl src/graph/paths.cc: AMD hosts of two GPUs at most
  if (p2p_level) return *p2p_level;
  if (!peer_to_peer) return PathLevel::loc;
  if (cpu.empty()) return PathLevel::sys;
  return cpu == "amd" && gpus.size() <= few_gpus ? PathLevel::sys : PathLevel::pxb;
}

std::string Cluster::kind(int gpu_device) const {
  const Device& device = devices[static_cast<std::size_t>(gpu_device)];
  std::string name = device.model;
  if (device.power_limit_watts) name += fmt::format(" at {} W", *device.power_limit_watts);
  if (device.clock) name += fmt::format(" at {:.4g} % clock", 100 * *device.clock);
  return name;
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
  Cluster cluster = expand_cluster(specification, value);
  const auto lost = value.object().find("lost");
  return lost ? without_devices(cluster, read_lost_devices(*lost, cluster)) : cluster;
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
  std::map<std::string, std::string> racks;
  for (std::size_t n = 0; n < cluster.nodes.size(); ++n)
    racks[cluster.nodes[n].rack] += fmt::format("  subgraph \"cluster_{}\" {{\n    label=\"{}\";\n{}  }}\n",
                                                n, dot_text(cluster.nodes[n].name), inside[n]);
  for (const auto& [rack, nodes] : racks)
    text += rack.empty()
                ? nodes
                : fmt::format("  subgraph \"cluster_{0}\" {{\n    label=\"{0}\";\n{1}  }}\n", rack, nodes);
  text += outside;
  for (const Link& link : cluster.links)
    text +=
        fmt::format("  \"{}\" -- \"{}\" [label=\"{} {:.1f} GB/s\"];\n",
                    dot_text(cluster.devices[static_cast<std::size_t>(link.from)].name),
                    dot_text(cluster.devices[static_cast<std::size_t>(link.to)].name), link.kind, link.gbps);
  return text + "}\n";
}

}  // namespace sextant
