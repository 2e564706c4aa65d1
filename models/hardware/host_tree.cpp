#include "models/hardware/host_tree.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "models/base/error.hpp"

namespace sextant {
namespace {

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

const std::string& model_of(const HostTree& tree, DeviceKind kind, const HostParts& parts) {
  static const std::string none;
  if (kind == DeviceKind::gpu) return parts.gpu;
  if (kind != DeviceKind::nic) return none;
  if (parts.nic.empty())
    throw InputError(
        fmt::format("{}: found network cards, expected the catalogue name of their model", tree.source));
  return parts.nic;
}

double uplink_gbps(const HostTree::Device& device, const Gpu& gpu, const HostParts& parts) {
  if (device.gbps > 0) return device.gbps;
  if (device.kind == DeviceKind::nic) {
    const Nic& nic = find_nic(parts.nic);
    return pcie_gbps(nic.pcie_generation, nic.pcie_lanes);
  }
  return gpu.host_gbps ? gpu.host_gbps->value : pcie_gbps(gpu.pcie_generation, gpu.pcie_lanes);
}

/// A GPU's NVLink rate is shared out by its number of links.
void add_nvlinks(const HostTree& tree, const Gpu& gpu, double latency_us, Cluster& cluster) {
  if (tree.nvlinks.empty()) return;
  if (!gpu.nvlink_gbps)
    throw InputError(
        fmt::format("{}: found nvlinks, expected a gpu that has them, not {}", tree.source, gpu.name));
  std::vector<int> links(tree.devices.size());
  for (const HostTree::Bundle& bundle : tree.nvlinks) {
    links[at(bundle.from)] += bundle.links;
    if (bundle.to >= 0) links[at(bundle.to)] += bundle.links;
  }
  int nvswitch = -1;
  for (const HostTree::Bundle& bundle : tree.nvlinks) {
    if (bundle.to < 0 && nvswitch < 0) {
      nvswitch = static_cast<int>(cluster.devices.size());
      cluster.devices.push_back({cluster.nodes.front().name + "/nvswitch", DeviceKind::nvswitch, 0, ""});
    }
    const double share = static_cast<double>(bundle.links) / links[at(bundle.from)];
    cluster.links.push_back({bundle.from, bundle.to < 0 ? nvswitch : bundle.to, "nvlink",
                             gpu.nvlink_gbps->value * share, latency_us});
  }
}

void check_names(const HostTree& tree) {
  std::set<std::string> names;
  for (const HostTree::Device& device : tree.devices)
    if (!names.insert(device.name).second)
      throw InputError(
          fmt::format("{}: found {} twice, expected every device once", tree.source, device.name));
}

}  // namespace

Cluster cluster_of(const HostTree& tree, const HostParts& parts) {
  check_names(tree);
  const Gpu& gpu = find_gpu(parts.gpu);
  const NodeType& type = find_node_type(parts.node_type);
  const double latency = type.link_latency_us.value;
  Cluster cluster;
  cluster.nodes.push_back({parts.node_name, parts.node_type, true, {}, {}});
  cluster.nodes.front().cpu = tree.cpu;
  std::vector<int> roots;
  for (std::size_t i = 0; i < tree.devices.size(); ++i) {
    const HostTree::Device& device = tree.devices[i];
    const int index = static_cast<int>(i);
    cluster.devices.push_back(
        {parts.node_name + "/" + device.name, device.kind, 0, model_of(tree, device.kind, parts)});
    if (device.kind == DeviceKind::gpu) cluster.nodes.front().gpus.push_back(index);
    if (device.kind == DeviceKind::nic) cluster.nodes.front().nics.push_back(index);
    if (device.parent >= 0) {
      cluster.links.push_back({index, device.parent, "pcie", uplink_gbps(device, gpu, parts), latency});
      continue;
    }
    for (const int root : roots) {
      if (!(parts.socket_gbps > 0))
        throw InputError(fmt::format(
            "{}: found several root complexes, expected what the link between them carries", tree.source));
      cluster.links.push_back({root, index, "socket", parts.socket_gbps, latency});
    }
    roots.push_back(index);
  }
  if (cluster.nodes.front().gpus.empty())
    throw InputError(fmt::format("{}: found no gpu, expected one", tree.source));
  add_nvlinks(tree, gpu, latency, cluster);
  return cluster;
}

}  // namespace sextant
