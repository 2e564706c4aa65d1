#include "reports/explorer/point_cluster.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/base/error.hpp"
#include "models/hardware/catalogue.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

constexpr int most_cards = 8;  // beyond it a search is no longer done while a slider moves

int count_of(const Json& group) {
  return group.is_object() ? group.at("count").get<int>() : group.get<int>();
}

int cards_in(const Json& node) {
  int cards = 0;
  for (const Json& group : node.at("gpus")) cards += count_of(group);
  return cards;
}

int cards_in(const Json& node, const std::string& gpu) {
  const Json& gpus = node.at("gpus");
  return gpus.contains(gpu) ? count_of(gpus.at(gpu)) : 0;
}

bool has_nic(const Json& node) {
  return node.contains("nic") || (node.contains("nics") && !node.at("nics").empty());
}

void set_count(Json& node, const std::string& gpu, int count) {
  Json& gpus = node["gpus"];
  if (count == 0)
    gpus.erase(gpu);
  else if (gpus.contains(gpu) && gpus[gpu].is_object())
    gpus[gpu]["count"] = count;
  else
    gpus[gpu] = count;
}

std::string letters(std::size_t index) {  // as the cluster's expansion numbers its nodes
  std::string text;
  for (++index; index > 0; index = (index - 1) / 26)
    text.insert(text.begin(), static_cast<char>('a' + (index - 1) % 26));
  return text;
}

/// Every node by itself, under the name it has in the expanded cluster.
std::vector<Json> single_nodes(const Json& cluster) {
  std::vector<Json> nodes;
  for (const Json& given : cluster.at("nodes")) {
    const int count = given.value("count", 1);
    for (int copy = 0; copy < count; ++copy) {
      Json node = given;
      node.erase("count");
      std::string name = node.value("name", "");
      if (name.empty())
        name = fmt::format("node-{}", letters(nodes.size()));
      else if (count > 1)
        name = fmt::format("{}-{}", name, letters(static_cast<std::size_t>(copy)));
      node["name"] = name;
      nodes.push_back(std::move(node));
    }
  }
  return nodes;
}

/// Cards that a node of that type is filled up to: as many as the fullest of the cluster has; where nothing
/// joins nodes, as many as fit.
int width(const std::vector<Json>& nodes, const Json& node) {
  const std::string type = node.at("node").get<std::string>();
  const int fits = find_node_type(type).max_gpus;
  if (!has_nic(node)) return fits;
  int fullest = 1;
  for (const Json& other : nodes)
    if (other.at("node") == type) fullest = std::max(fullest, cards_in(other));
  return std::min(fits, fullest);
}

std::size_t last_with(const std::vector<Json>& nodes, const std::string& gpu) {
  for (std::size_t i = nodes.size(); i-- > 0;)
    if (cards_in(nodes[i], gpu) > 0) return i;
  throw InputError(fmt::format("cards.{}: found a card that the scenario does not have", gpu));
}

void set_cards(std::vector<Json>& nodes, const std::vector<Json>& base, const std::string& gpu, int wanted) {
  int have = 0;
  for (const Json& node : nodes) have += cards_in(node, gpu);
  for (std::size_t i = nodes.size(); i-- > 0 && have > wanted;) {
    const int here = cards_in(nodes[i], gpu), taken = std::min(here, have - wanted);
    set_count(nodes[i], gpu, here - taken);
    have -= taken;
  }
  for (std::size_t i = 0; i < nodes.size() && have < wanted; ++i) {
    const int here = cards_in(nodes[i], gpu);
    const int added = std::min(wanted - have, std::max(0, width(base, nodes[i]) - cards_in(nodes[i])));
    if (here == 0 || added == 0) continue;
    set_count(nodes[i], gpu, here + added);
    have += added;
  }
  const Json like = base[last_with(base, gpu)];
  const int each = width(base, like);
  for (int extra = 1; have < wanted; ++extra) {
    if (!has_nic(like))
      throw InputError(fmt::format("cards.{}: found {}, expected at most {}", gpu, wanted, have));
    Json node = like;
    const int added = std::min(each, wanted - have);
    node["gpus"] = Json::object({{gpu, like.at("gpus").at(gpu)}});
    node["name"] = fmt::format("added-{}-{}", gpu, extra);
    set_count(node, gpu, added);
    nodes.push_back(std::move(node));
    have += added;
  }
}

void set_cards(Json& cluster, const Json& cards) {
  const std::vector<Json> base = single_nodes(cluster);
  std::vector<Json> nodes = base;
  for (const auto& [gpu, wanted] : cards.items()) set_cards(nodes, base, gpu, wanted.get<int>());
  std::erase_if(nodes, [](const Json& node) { return cards_in(node) == 0; });
  if (nodes.empty()) throw InputError("cards: found none, expected at least one");
  cluster["nodes"] = nodes;
}

/// Sets a key of every group of that card.
void set_of_cards(Json& cluster, const std::string& gpu, const char* key, const Json& value) {
  for (Json& node : cluster["nodes"]) {
    if (!node["gpus"].contains(gpu)) continue;
    Json& group = node["gpus"][gpu];
    if (!group.is_object()) group = Json::object({{"count", group}});
    group[key] = value;
  }
}

double rate_of(const Json& nic) {
  const std::string name = nic.is_object() ? nic.at("nic").get<std::string>() : nic.get<std::string>();
  const double own = find_nic(name).rate_gbits.value;
  return nic.is_object() && nic.contains("port_gbits") ? nic.at("port_gbits").get<double>() : own;
}

/// A card of the catalogue, which can be exchanged; not a network port that is part of a machine.
bool exchangeable(const Json& node) {
  const auto& accepted = find_node_type(node.at("node").get<std::string>()).form_factors;
  return std::find(accepted.begin(), accepted.end(), "soc") == accepted.end();
}

void set_rate(const Json& node, Json& nic, double gbits) {
  if (!nic.is_object()) nic = Json::object({{"nic", nic}});
  const double own = find_nic(nic.at("nic").get<std::string>()).rate_gbits.value;
  nic.erase("port_gbits");
  if (gbits < own) nic["port_gbits"] = gbits;
  if (gbits <= own || !exchangeable(node)) return;
  for (const Nic& other : hardware_catalogue().nics) {
    if (other.rate_gbits.value < gbits) continue;
    nic["nic"] = other.name;
    if (other.rate_gbits.value > gbits) nic["port_gbits"] = gbits;
    return;
  }
  throw InputError(
      fmt::format("network_gbits: found {}, expected the rate of a NIC in the catalogue", gbits));
}

template <class Do>
void for_each_nic(Json& node, const Do& act) {
  if (node.contains("nic")) act(node["nic"]);
  if (node.contains("nics"))
    for (Json& nic : node["nics"]) act(nic);
}

/// The one value that `get` gives for every group of that card; `unlike` where they differ.
template <class Get>
double common(const std::vector<Json>& nodes, const std::string& gpu, double unlike, const Get& get) {
  std::optional<double> value;
  for (const Json& node : nodes) {
    if (cards_in(node, gpu) == 0) continue;
    const double own = get(node.at("gpus").at(gpu));
    if (value && *value != own) return unlike;
    value = own;
  }
  return value.value_or(unlike);
}

CardControl control_of(const std::vector<Json>& nodes, const std::string& gpu, int all, bool alone) {
  CardControl control{gpu, 0, alone ? 1 : 0, 0};
  int room = 0;
  for (const Json& node : nodes) {
    const int here = cards_in(node, gpu);
    control.base += here;
    if (here > 0) room += std::max(0, width(nodes, node) - cards_in(node));
  }
  control.most = control.base + room;
  if (has_nic(nodes[last_with(nodes, gpu)])) control.most = most_cards;
  control.most = std::max(control.base, std::min(control.most, most_cards - all + control.base));
  const Gpu& card = find_gpu(gpu);
  // Clocks listed card by card hold for as many cards as there are.
  control.clock = common(nodes, gpu, 0, [](const Json& group) {
    if (!group.is_object() || !group.contains("clock")) return 1.0;
    return group.at("clock").is_number() ? group.at("clock").get<double>() : 0.0;
  });
  if (control.clock == 0) control.least = control.most = control.base;
  if (card.power_watts && card.lowest_power_watts && card.highest_power_watts)
    control.watts = common(nodes, gpu, 0, [&](const Json& group) {
      return group.is_object() ? group.value("power_limit_watts", card.power_watts->value)
                               : card.power_watts->value;
    });
  return control;
}

}  // namespace

std::vector<CardControl> card_controls(const Json& cluster) {
  const std::vector<Json> nodes = single_nodes(cluster);
  std::vector<std::string> names;
  int all = 0;
  for (const Json& node : nodes) {
    all += cards_in(node);
    for (const auto& [gpu, group] : node.at("gpus").items())
      if (std::find(names.begin(), names.end(), gpu) == names.end()) names.push_back(gpu);
  }
  std::vector<CardControl> controls;
  for (const std::string& gpu : names) controls.push_back(control_of(nodes, gpu, all, names.size() == 1));
  return controls;
}

double network_gbits(const Json& cluster) {
  double slowest = 0;
  Json copy = cluster;
  for (Json& node : copy["nodes"])
    for_each_nic(node, [&](const Json& nic) {
      slowest = slowest == 0 ? rate_of(nic) : std::min(slowest, rate_of(nic));
    });
  return slowest;
}

Json at_point(const Json& cluster, const Json& point) {
  Json changed = cluster;
  if (point.contains("cards")) set_cards(changed, point.at("cards"));
  for (const auto& [key, name] : {std::pair{"watts", "power_limit_watts"}, std::pair{"clock", "clock"}})
    if (point.contains(key))
      for (const auto& [gpu, value] : point.at(key).items()) set_of_cards(changed, gpu, name, value);
  if (point.contains("network_gbits"))
    for (Json& node : changed["nodes"])
      for_each_nic(node, [&](Json& nic) { set_rate(node, nic, point.at("network_gbits").get<double>()); });
  return changed;
}

}  // namespace sextant
