#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/hardware/cluster.hpp"

namespace sextant {
namespace {

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

/// Old indices to new ones; -1 where nothing is left.
std::vector<int> renumbered(const std::vector<char>& gone) {
  std::vector<int> numbers;
  int next = 0;
  for (const char is_gone : gone) numbers.push_back(is_gone != 0 ? -1 : next++);
  return numbers;
}

void renumber(std::vector<int>& devices, const std::vector<int>& numbers) {
  std::erase_if(devices, [&](int device) { return numbers[at(device)] < 0; });
  for (int& device : devices) device = numbers[at(device)];
}

/// The parts that are lost, slow down, or send.
bool can_be_named(DeviceKind kind) {
  return kind == DeviceKind::gpu || kind == DeviceKind::nic || kind == DeviceKind::network_switch;
}

/// The first names, and how many more there are: a cluster of a rack has hundreds.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 16;
  const std::size_t shown = std::min(most, names.size());
  const std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  return names.size() > shown ? fmt::format("{} and {} more", text, names.size() - shown) : text;
}

}  // namespace

int find_device(const Cluster& cluster, const JsonValue& value) {
  const std::string name = value.text();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < cluster.devices.size(); ++i) {
    if (cluster.devices[i].name == name) return static_cast<int>(i);
    if (can_be_named(cluster.devices[i].kind)) names.push_back(cluster.devices[i].name);
  }
  value.fail(fmt::format("found no device '{}' in the cluster, expected one of {}{}", name, listed(names),
                         did_you_mean(name, names)));
}

Cluster without_devices(const Cluster& cluster, const std::vector<int>& lost) {
  std::vector<char> gone(cluster.devices.size()), node_gone;
  for (const int device : lost) gone[at(device)] = 1;
  for (const Node& node : cluster.nodes)
    node_gone.push_back(
        std::all_of(node.gpus.begin(), node.gpus.end(), [&](int g) { return gone[at(g)] != 0; }));
  for (std::size_t i = 0; i < gone.size(); ++i)
    if (const int node = cluster.devices[i].node; node >= 0 && node_gone[at(node)] != 0) gone[i] = 1;

  const std::vector<int> numbers = renumbered(gone), node_numbers = renumbered(node_gone);
  Cluster left;
  left.network = cluster.network;
  for (std::size_t i = 0; i < gone.size(); ++i) {
    if (gone[i] != 0) continue;
    left.devices.push_back(cluster.devices[i]);
    if (int& node = left.devices.back().node; node >= 0) node = node_numbers[at(node)];
  }
  for (std::size_t n = 0; n < node_gone.size(); ++n) {
    if (node_gone[n] != 0) continue;
    left.nodes.push_back(cluster.nodes[n]);
    renumber(left.nodes.back().gpus, numbers);
    renumber(left.nodes.back().nics, numbers);
  }
  for (Link link : cluster.links) {
    link.from = numbers[at(link.from)];
    link.to = numbers[at(link.to)];
    if (link.from >= 0 && link.to >= 0) left.links.push_back(link);
  }
  for (BackgroundFlow flow : cluster.background) {
    flow.from = numbers[at(flow.from)];
    flow.to = numbers[at(flow.to)];
    if (flow.from >= 0 && flow.to >= 0) left.background.push_back(flow);
  }
  return left;
}

std::vector<int> read_lost_devices(const JsonValue& value, const Cluster& cluster) {
  std::vector<int> lost;
  for (const JsonValue& item : value.array()) {
    lost.push_back(find_device(cluster, item));
    const DeviceKind kind = cluster.devices[at(lost.back())].kind;
    if (!can_be_named(kind))
      item.fail(fmt::format("found a {}, expected a gpu, a nic or a network switch", to_string(kind)));
  }
  if (without_devices(cluster, lost).gpus().empty())
    value.fail("found every gpu in it, expected one to be left");
  return lost;
}

std::vector<BackgroundFlow> read_background(const JsonValue& value, const Cluster& cluster) {
  std::vector<BackgroundFlow> flows;
  for (const JsonValue& item : value.array()) {
    const JsonObject object = item.object();
    BackgroundFlow flow;
    const auto end = [&](const char* key) {
      const JsonValue name = object.at(key);
      const int device = find_device(cluster, name);
      const DeviceKind kind = cluster.devices[at(device)].kind;
      if (kind != DeviceKind::gpu && kind != DeviceKind::nic)
        name.fail(fmt::format("found a {}, expected a gpu or a nic", to_string(kind)));
      return device;
    };
    flow.from = end("from");
    flow.to = end("to");
    if (cluster.devices[at(flow.from)].kind != cluster.devices[at(flow.to)].kind)
      item.fail("found a gpu and a nic, expected two of one kind: a nic stands for its node's host memory");
    if (flow.from == flow.to) item.fail("found one device at both ends, expected two");
    constexpr double gbit_per_gb = 8;
    flow.gbps = object.number_or("gbits", 0, {1e-6, 1e6}) / gbit_per_gb;
    flow.what = object.text_or("what", flow.what);
    object.finish();
    flows.push_back(std::move(flow));
  }
  return flows;
}

}  // namespace sextant
