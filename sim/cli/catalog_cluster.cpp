#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "reports/number_text.hpp"
#include "reports/table.hpp"
#include "sim/cli/catalog_text.hpp"

namespace sextant {

std::string cluster_text(const Cluster& cluster, TextStyle style) {
  Table devices({{"device", Table::Align::left, true},
                 {"kind", Table::Align::left},
                 {"node", Table::Align::left},
                 {"model", Table::Align::left}});
  for (const Device& device : cluster.devices) {
    const bool in_node = device.node >= 0 && static_cast<std::size_t>(device.node) < cluster.nodes.size();
    devices.add({device.name, to_string(device.kind),
                 in_node ? cluster.nodes[static_cast<std::size_t>(device.node)].name : "",
                 device.power_limit_watts ? fmt::format("{} at {} W", device.model, *device.power_limit_watts)
                                          : device.model});
  }
  Table links({{"from", Table::Align::left, true},
               {"to", Table::Align::left, true},
               {"kind", Table::Align::left},
               {"GB/s\neach way"},
               {"latency\nus"}});
  for (const Link& link : cluster.links)
    links.add({cluster.devices.at(static_cast<std::size_t>(link.from)).name,
               cluster.devices.at(static_cast<std::size_t>(link.to)).name, link.kind, number_text(link.gbps),
               number_text(link.latency_us)});
  const Network& network = cluster.network;
  return paint("Devices", Tone::strong, style) + "\n" + devices.text(style) + "\n" +
         paint("Links", Tone::strong, style) + "\n" + links.text(style) + "\n" +
         fmt::format("  network: {}, GPUDirect {}, MTU {} bytes\n", printable(network.transport),
                     network.gpudirect ? "on" : "off", network.mtu);
}

std::string cluster_json(const Cluster& cluster) {
  using Json = nlohmann::ordered_json;
  Json json = {{"format", "sextant cluster"}, {"version", 1}};
  json["nodes"] = Json::array();
  for (const Node& node : cluster.nodes)
    json["nodes"].push_back({{"name", node.name}, {"type", node.type}, {"peer_to_peer", node.peer_to_peer}});
  json["devices"] = Json::array();
  for (const Device& device : cluster.devices) {
    json["devices"].push_back({{"name", device.name},
                               {"kind", to_string(device.kind)},
                               {"node", device.node},
                               {"model", device.model}});
    if (device.port_gbits) json["devices"].back()["port_gbits"] = *device.port_gbits;
  }
  json["links"] = Json::array();
  for (const Link& link : cluster.links)
    json["links"].push_back({{"from", cluster.devices.at(static_cast<std::size_t>(link.from)).name},
                             {"to", cluster.devices.at(static_cast<std::size_t>(link.to)).name},
                             {"kind", link.kind},
                             {"gbps", link.gbps},
                             {"latency_us", link.latency_us}});
  json["network"] = {{"transport", cluster.network.transport},
                     {"gpudirect", cluster.network.gpudirect},
                     {"mtu", cluster.network.mtu}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Cluster observed_cluster(const std::string& path, const HostParts& parts) {
  const std::string text = read_text_file(path);
  if (text.find("<system") != std::string::npos) return cluster_of(read_nccl_topology(text, path), parts);
  if (text.find('<') < text.find('{')) return cluster_of(read_hwloc_topology(text, path), parts);
  std::optional<JsonValue> line;
  for_each_line(path, [&](std::string_view words, std::size_t number) {
    if (!line && words.find("\"pairs\"") != std::string_view::npos)
      line = JsonValue::parse(words, fmt::format("{}:{}", path, number));
  });
  if (!line)
    throw InputError(
        fmt::format("{}: found no topology, expected one of NCCL, lstopo or sextant import topology", path));
  return cluster_of(read_topology_line(*line), parts);
}

}  // namespace sextant
