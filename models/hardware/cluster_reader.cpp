#include "models/hardware/cluster_reader.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr std::int64_t most_gpus = 100'000;  // beyond it the graph no longer fits a laptop

/// Looks a part up, so that an unknown name is reported at its place in the file.
template <class Part>
const Part* find_at(const JsonValue& value, const std::string& name,
                    const Part& (*find)(const std::string&)) {
  try {
    return &find(name);
  } catch (const InputError& error) {
    value.fail(error.what());
  }
}

/// A card's own limit in watts, or nullopt where it is the default.
std::optional<double> read_power_limit(const JsonValue& value, const Gpu& gpu) {
  if (!gpu.lowest_power_watts || !gpu.highest_power_watts)
    value.fail(fmt::format(
        "found a power limit, expected none: the limits that {} can be set to are not known", gpu.name));
  const double limit = value.number(), low = gpu.lowest_power_watts->value,
               high = gpu.highest_power_watts->value;
  if (limit < low || limit > high)
    value.fail(fmt::format("found {} W, expected {} to {} W for {}", limit, low, high, gpu.name));
  if (limit == gpu.power_watts->value) return std::nullopt;
  return limit;
}

/// 0.8 for all of `count` cards, or [1, 0.8], one for each.
std::vector<std::optional<double>> read_clocks(const JsonValue& value, std::size_t count) {
  constexpr Range relative{0.05, 1};
  const auto read = [&](const JsonValue& item) {
    const double clock = item.number(relative);
    return clock < 1 ? std::optional(clock) : std::nullopt;
  };
  if (!value.is_array()) return std::vector<std::optional<double>>(count, read(value));
  std::vector<std::optional<double>> clocks;
  for (const JsonValue& item : value.array()) clocks.push_back(read(item));
  if (clocks.size() != count)
    value.fail(fmt::format("found {} clocks, expected one for each of {} gpus", clocks.size(), count));
  return clocks;
}

/// "NAME": 2 or "NAME": {"count": 2, "power_limit_watts": 300, "clock": 0.8}.
void read_gpu_group(const JsonValue& value, const Gpu* gpu, NodeSpecification& node) {
  std::int64_t count = 0;
  std::optional<double> limit;
  std::vector<std::optional<double>> clocks;
  if (value.is_object()) {
    const JsonObject group = value.object();
    count = group.integer("count", {1, most_gpus});
    if (const auto watts = group.find("power_limit_watts")) limit = read_power_limit(*watts, *gpu);
    if (const auto clock = group.find("clock")) clocks = read_clocks(*clock, static_cast<std::size_t>(count));
    group.finish();
  } else {
    count = value.integer({1, most_gpus});
  }
  node.gpus.insert(node.gpus.end(), static_cast<std::size_t>(count), gpu);
  node.power_limits_watts.insert(node.power_limits_watts.end(), static_cast<std::size_t>(count), limit);
  clocks.resize(static_cast<std::size_t>(count));
  node.clocks.insert(node.clocks.end(), clocks.begin(), clocks.end());
}

void read_gpus(const JsonObject& object, NodeSpecification& node) {
  const JsonValue gpus = object.at("gpus");
  for (const auto& [name, value] : gpus.object().entries()) {
    const Gpu* gpu = find_at(value, name, find_gpu);
    const auto& accepted = node.type->form_factors;
    if (std::find(accepted.begin(), accepted.end(), gpu->form_factor) == accepted.end())
      value.fail(fmt::format("found a gpu of form factor {} in a node of type {}, expected form factor {}",
                             gpu->form_factor, node.type->name, fmt::join(accepted, " or ")));
    read_gpu_group(value, gpu, node);
  }
  const auto found = static_cast<int>(node.gpus.size());
  if (found < 1 || found > node.type->max_gpus)
    gpus.fail(fmt::format("found {} gpus, expected 1 to {} in a node of type {}", found, node.type->max_gpus,
                          node.type->name));
}

/// "NAME" or {"nic": "NAME", "count": 8, "port_gbits": 200}.
void read_nic_group(const JsonValue& value, NodeSpecification& node) {
  NicSpecification nic;
  std::int64_t count = 1;
  if (value.is_object()) {
    const JsonObject group = value.object();
    const JsonValue name = group.at("nic");
    nic.nic = find_at(name, name.text(), find_nic);
    count = group.integer_or("count", 1, {1, 1024});
    if (const auto rate = group.find("port_gbits")) {
      nic.port_gbits = rate->number({1e-3, 1e6});
      if (*nic.port_gbits > nic.nic->rate_gbits.value)
        rate->fail(fmt::format("found {} Gbit/s, expected at most the {} Gbit/s of {}", *nic.port_gbits,
                               nic.nic->rate_gbits.value, nic.nic->name));
    }
    group.finish();
  } else {
    nic.nic = find_at(value, value.text(), find_nic);
  }
  node.nics.insert(node.nics.end(), static_cast<std::size_t>(count), nic);
}

void read_nics(const JsonObject& object, NodeSpecification& node) {
  const auto one = object.find("nic"), several = object.find("nics");
  if (one && several) several->fail("found both 'nic' and 'nics', expected one of them");
  if (one) read_nic_group(*one, node);
  if (!several) return;
  for (const JsonValue& item : several->array()) read_nic_group(item, node);
}

/// {"switches": 4, "sockets": 2, "socket_gbps": 40, "cpu": "amd"}
PcieSpecification read_pcie(const JsonObject& object) {
  static const std::vector<std::string> vendors = {"amd", "intel", "other"};
  PcieSpecification pcie;
  pcie.switches = static_cast<int>(object.integer_or("switches", 0, {0, 64}));
  pcie.sockets = static_cast<int>(object.integer_or("sockets", 1, {1, 8}));
  if (pcie.sockets > 1)
    pcie.socket_gbps = object.number("socket_gbps", {1e-3, 1e5});
  else if (object.has("socket_gbps"))
    object.at("socket_gbps").fail("found a link between sockets, expected 'sockets' to be 2 or more with it");
  if (pcie.switches % pcie.sockets != 0)
    object.at("switches")
        .fail(
            fmt::format("found {} switches, expected a multiple of {} sockets", pcie.switches, pcie.sockets));
  if (object.has("cpu")) pcie.cpu = vendors[object.choice("cpu", vendors)];
  object.finish();
  return pcie;
}

NodeSpecification read_node(const JsonValue& value) {
  const JsonObject object = value.object();
  NodeSpecification node;
  const JsonValue type = object.at("node");
  node.type = find_at(type, type.text(), find_node_type);
  node.name = object.text_or("name", "");
  if (node.name.find('/') != std::string::npos)
    object.at("name").fail("found a '/', expected a name without");
  read_gpus(object, node);
  read_nics(object, node);
  node.peer_to_peer = object.boolean_or("peer_to_peer", node.type->peer_to_peer);
  if (const auto level = object.find("p2p_level")) node.p2p_level = read_path_level(*level);
  if (const auto pcie = object.find("pcie")) node.pcie = read_pcie(pcie->object());
  node.count = object.integer_or("count", 1, {1, most_gpus});
  object.finish();
  return node;
}

const Gpu* gpu_without_gpudirect(const std::vector<NodeSpecification>& nodes) {
  for (const NodeSpecification& node : nodes)
    for (const Gpu* gpu : node.gpus)
      if (!gpu->gpudirect_rdma) return gpu;
  return nullptr;
}

/// {"nodes_per_leaf": 32, "rails": 8, "spines": 16, "spines_of": "rail", "uplink_gbits": 400,
/// "oversubscription": 2}
LeafSpineSpecification read_leaf_spine(const JsonObject& object) {
  LeafSpineSpecification fabric;
  fabric.nodes_per_leaf = static_cast<int>(object.integer("nodes_per_leaf", {1, most_gpus}));
  fabric.rails = static_cast<int>(object.integer_or("rails", 1, {1, 64}));
  fabric.spines = static_cast<int>(object.integer("spines", {1, 4096}));
  if (object.has("spines_of")) fabric.spines_of_rail = object.choice("spines_of", {"all", "rail"}) == 1;
  fabric.uplink_gbits = object.number("uplink_gbits", {1e-3, 1e6});
  fabric.oversubscription = object.number_or("oversubscription", 1, {0.1, 1000});
  if (const auto name = object.find("leaf")) fabric.leaf = find_at(*name, name->text(), find_switch);
  if (const auto name = object.find("spine")) fabric.spine = find_at(*name, name->text(), find_switch);
  object.finish();
  return fabric;
}

void read_network(const JsonObject& object, ClusterSpecification& cluster) {
  static const std::vector<std::string> transports = {"roce", "ib", "tcp"};
  if (object.has("transport")) cluster.network.transport = transports[object.choice("transport", transports)];
  const bool tcp = cluster.network.transport == "tcp";
  const Gpu* incapable = gpu_without_gpudirect(cluster.nodes);
  cluster.network.gpudirect = object.boolean_or("gpudirect", !tcp && incapable == nullptr);
  if (cluster.network.gpudirect && incapable)
    object.at("gpudirect")
        .fail(fmt::format("found true, expected false: {} has no gpudirect rdma", incapable->name));
  if (cluster.network.gpudirect && tcp) object.at("gpudirect").fail("found true, expected false over tcp");
  cluster.network.mtu = static_cast<int>(object.integer_or("mtu", cluster.network.mtu, {256, 65536}));
  if (const auto name = object.find("switch"))
    cluster.network_switch = find_at(*name, name->text(), find_switch);
  cluster.network.cross_nic =
      static_cast<int>(object.integer_or("cross_nic", cluster.network.cross_nic, {0, 2}));
  if (const auto level = object.find("gdr_level")) cluster.network.gdr_level = read_path_level(*level);
  cluster.network.pxn = object.boolean_or("pxn", cluster.network.pxn);
  if (const auto congestion = object.find("congestion"))
    cluster.network.congestion = read_congestion(*congestion, cluster.network.transport);
  if (const auto fabric = object.find("leaf_spine")) {
    if (cluster.network_switch) fabric->fail("found 'switch' beside it, expected one of them");
    cluster.leaf_spine = read_leaf_spine(fabric->object());
  }
  object.finish();
}

void check_size(const JsonValue& nodes, const ClusterSpecification& cluster) {
  std::int64_t node_count = 0, gpu_count = 0;
  for (const NodeSpecification& node : cluster.nodes) {
    node_count += node.count;
    gpu_count += node.count * static_cast<std::int64_t>(node.gpus.size());
  }
  if (node_count == 0) nodes.fail("found no node, expected at least one");
  if (gpu_count > most_gpus)
    nodes.fail(fmt::format("found {} gpus, expected at most {}", gpu_count, most_gpus));
  if (node_count == 1) return;
  const std::vector<JsonValue> items = nodes.array();
  for (std::size_t i = 0; i < items.size(); ++i)
    if (cluster.nodes[i].nics.empty())
      items[i].fail(fmt::format("found no nic, expected 'nic' or 'nics' in each of {} nodes", node_count));
}

}  // namespace

ClusterSpecification read_cluster_specification(const JsonValue& value) {
  const JsonObject object = value.object();
  ClusterSpecification cluster;
  const JsonValue nodes = object.at("nodes");
  for (const JsonValue& item : nodes.array()) cluster.nodes.push_back(read_node(item));
  check_size(nodes, cluster);
  if (const auto network = object.find("network"))
    read_network(network->object(), cluster);
  else
    cluster.network.gpudirect = gpu_without_gpudirect(cluster.nodes) == nullptr;
  object.has("lost");  // read once the devices have names
  object.finish();
  return cluster;
}

}  // namespace sextant
