#include "sim/scenario/uplink.hpp"

#include <algorithm>
#include <array>

#include "models/hardware/wire.hpp"
#include "sim/fabric/flow_schedule.hpp"

namespace sextant {
namespace {

constexpr double bits_per_byte = 8;
constexpr Range gigabits{1e-3, 1e6};

/// What the store's flows run over: its own line and one port or more of each node.
struct Ports {
  std::string name;
  std::vector<std::vector<double>> ports_gbits;  ///< by node
};

Ports management(const Cluster& cluster, const Uplink& uplink) {
  return {"management", std::vector<std::vector<double>>(cluster.nodes.size(), {uplink.management_gbits})};
}

Ports data(const Cluster& cluster) {
  Ports network{"data", {}};
  for (const Node& node : cluster.nodes) {
    network.ports_gbits.emplace_back();
    for (const int nic : node.nics) {
      const Device& device = cluster.devices[static_cast<std::size_t>(nic)];
      network.ports_gbits.back().push_back(
          device.port_gbits.value_or(find_nic(device.model).rate_gbits.value));
    }
  }
  return network;
}

/// Seconds until the last of `nodes` nodes has moved its bytes, over `connections` of each.
double seconds(const Ports& network, const Uplink& uplink, std::size_t nodes, double bytes_each, bool many,
               int mtu) {
  const double gbytes_per_gbit = wire_efficiency("tcp", mtu) / bits_per_byte;
  const double endless = 1e6;  // Gbit/s of a store that never holds anyone back
  std::vector<double> capacities = {(uplink.store_gbits > 0 ? uplink.store_gbits : endless) *
                                    gbytes_per_gbit};
  std::vector<ScheduledFlow> flows;
  for (std::size_t n = 0; n < nodes; ++n) {
    const std::vector<double>& ports = network.ports_gbits[n];
    const std::size_t used = many ? ports.size() : 1;
    const int each = many ? uplink.connections : 1;
    double gbits = 0;
    for (std::size_t p = 0; p < used; ++p) gbits += ports[p];
    for (std::size_t p = 0; p < used; ++p) {
      capacities.push_back(ports[p] * gbytes_per_gbit);
      const int link = static_cast<int>(capacities.size()) - 1;
      for (int c = 0; c < each; ++c) {
        ScheduledFlow flow{{}, {0, link}, bytes_each * ports[p] / gbits / each};
        if (uplink.connection_gbits > 0) flow.limit_gbps = uplink.connection_gbits * gbytes_per_gbit;
        flows.push_back(std::move(flow));
      }
    }
  }
  Time last;
  for (const Time end : run_schedule(FlowEngine(capacities), flows)) last = std::max(last, end);
  return last.seconds();
}

/// Seconds to bring a node's share from its memory to its GPUs, each over its own link to the host.
double to_gpus_seconds(const Cluster& cluster, double weight_bytes) {
  double longest = 0;
  const double each = weight_bytes / static_cast<double>(cluster.gpus().size());
  for (const Link& link : cluster.links)
    if (link.kind == "pcie" && cluster.devices[static_cast<std::size_t>(link.from)].kind == DeviceKind::gpu)
      longest = std::max(longest, each / (link.gbps * 1e9));
  return longest;
}

}  // namespace

Uplink read_uplink(const JsonValue& value) {
  const JsonObject object = value.object();
  Uplink uplink;
  uplink.management_gbits = object.number("management_gbits", gigabits);
  if (object.has("store_gbits")) uplink.store_gbits = object.number("store_gbits", gigabits);
  if (object.has("connection_gbits")) uplink.connection_gbits = object.number("connection_gbits", gigabits);
  uplink.connections = static_cast<int>(object.integer_or("connections", uplink.connections, {1, 1024}));
  if (object.has("within_seconds")) uplink.within_seconds = object.number("within_seconds", {1e-3, 1e9});
  object.finish();
  return uplink;
}

std::vector<UplinkTime> uplink_times(const Cluster& cluster, const Uplink& uplink, double weight_bytes) {
  struct Errand {
    const char* name;
    std::size_t nodes;
    double bytes_each, after_seconds;
  };
  const std::size_t nodes = cluster.nodes.size();
  const Errand errands[] = {{"weights to one node", 1, weight_bytes, 0},
                            {"weights to every node", nodes, weight_bytes, 0},
                            {"checkpoint from one node", 1, 2 * weight_bytes, 0},
                            {"cold start", nodes, weight_bytes, to_gpus_seconds(cluster, weight_bytes)}};
  std::vector<Ports> networks = {management(cluster, uplink)};
  const auto has_nics = [](const Node& node) { return !node.nics.empty(); };
  if (std::all_of(cluster.nodes.begin(), cluster.nodes.end(), has_nics)) networks.push_back(data(cluster));
  std::vector<UplinkTime> times;
  for (const Errand& errand : errands)
    for (const Ports& network : networks) {
      UplinkTime time{errand.name, network.name, errand.bytes_each * static_cast<double>(errand.nodes)};
      const auto take = [&](bool many) {
        return seconds(network, uplink, errand.nodes, errand.bytes_each, many, cluster.network.mtu) +
               errand.after_seconds;
      };
      time.one_connection_seconds = take(false);
      time.many_connections_seconds = take(true);
      times.push_back(std::move(time));
    }
  return times;
}

double needed_gbits(double bytes, double seconds, int mtu) {
  return bytes * bits_per_byte / 1e9 / seconds / wire_efficiency("tcp", mtu);
}

double usual_gbits(double needed) {
  constexpr std::array rates = {1.0, 10.0, 25.0, 40.0, 50.0, 100.0, 200.0, 400.0, 800.0};
  const auto enough = std::find_if(rates.begin(), rates.end(), [&](double rate) { return rate >= needed; });
  return enough == rates.end() ? 0 : *enough;
}

}  // namespace sextant
