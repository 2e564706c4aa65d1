#include "sim/scenario/faults.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"

namespace sextant {
namespace {

const std::vector<std::string> kinds = {"gpu-lost",  "gpu-slow",    "link-lost",
                                        "link-slow", "switch-lost", "node-lost"};

/// The kind of device that a fault strikes.
DeviceKind struck(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::link_lost:
    case Fault::Kind::link_slow:
      return DeviceKind::nic;
    case Fault::Kind::switch_lost:
      return DeviceKind::network_switch;
    default:
      return DeviceKind::gpu;
  }
}

std::vector<int> gpus_of_node(const JsonValue& where, const Cluster& cluster) {
  std::vector<std::string> names;
  for (const Node& node : cluster.nodes) {
    if (node.name == where.text()) return node.gpus;
    names.push_back(node.name);
  }
  where.fail(fmt::format("found no node '{}'{}", where.text(), did_you_mean(where.text(), names)));
}

Fault read_fault(const JsonValue& value, const Cluster& cluster) {
  const JsonObject object = value.object();
  Fault fault;
  fault.kind = static_cast<Fault::Kind>(object.choice("what", kinds));
  fault.at_s = object.number("at_s", {0, 1e9});
  fault.for_s = object.number_or("for_s", 0, {1e-3, 1e9});
  const JsonValue where = object.at("where");
  fault.where = where.text();
  if (fault.kind == Fault::Kind::node_lost) {
    fault.devices = gpus_of_node(where, cluster);
  } else {
    fault.devices = {find_device(cluster, where)};
    const DeviceKind found = cluster.devices[static_cast<std::size_t>(fault.devices.front())].kind;
    if (found != struck(fault.kind))
      where.fail(fmt::format("found a {}, expected a {}{}", to_string(found), to_string(struck(fault.kind)),
                             struck(fault.kind) == DeviceKind::nic ? ", whose cable it is" : ""));
  }
  const bool slow = fault.kind == Fault::Kind::gpu_slow || fault.kind == Fault::Kind::link_slow;
  if (slow)
    fault.to = object.number("to", {0.05, 1});
  else if (object.has("to"))
    object.at("to").fail("found it where all is lost, expected it with gpu-slow or link-slow");
  object.finish();
  return fault;
}

bool is_network_link(const Cluster& cluster, const Link& link) {
  return cluster.devices[static_cast<std::size_t>(link.from)].node !=
         cluster.devices[static_cast<std::size_t>(link.to)].node;
}

}  // namespace

std::vector<Fault> read_faults(const JsonValue& value, const Cluster& cluster) {
  std::vector<Fault> faults;
  for (const JsonValue& item : value.array()) faults.push_back(read_fault(item, cluster));
  return faults;
}

Cluster cluster_at(const Cluster& cluster, const std::vector<Fault>& faults, double seconds) {
  Cluster now = cluster;
  std::vector<int> lost;
  for (const Fault& fault : faults) {
    if (!fault.active_at(seconds)) continue;
    const int device = fault.devices.front();
    const auto is_cable = [&](const Link& link) {
      return (link.from == device || link.to == device) && is_network_link(cluster, link);
    };
    switch (fault.kind) {
      case Fault::Kind::gpu_slow: {
        std::optional<double>& clock = now.devices[static_cast<std::size_t>(device)].clock;
        clock = std::min(clock.value_or(1), fault.to);
        break;
      }
      case Fault::Kind::link_slow:
        for (Link& link : now.links)
          if (is_cable(link)) link.share = std::min(link.share, fault.to);
        break;
      case Fault::Kind::link_lost:
        std::erase_if(now.links, is_cable);
        break;
      default:
        lost.insert(lost.end(), fault.devices.begin(), fault.devices.end());
    }
  }
  return lost.empty() ? now : without_devices(now, lost);
}

}  // namespace sextant
