#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "models/base/error.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {
namespace {

constexpr Range usd_range{0, 1e9};
constexpr Range watt_range{0, 1e6};

template <class Part>
const Part* part_at(const JsonValue& value, const Part& (*find)(const std::string&)) {
  try {
    return &find(value.text());
  } catch (const InputError& error) {
    value.fail(error.what());
  }
}

/// The user's price; else the catalogue's first in USD, which is the one trusted most; else it is asked for.
PartPrice read_price(const JsonObject& object, const std::string& part, const std::vector<Price>& known) {
  if (const auto price = object.find("price")) return {price->number(usd_range), "the scenario"};
  for (const Price& price : known)
    if (price.currency == "USD")
      return {price.amount, fmt::format("catalogue, {}: {}", price.date, price.source)};
  throw InputError(
      fmt::format("{}.price: missing; expected what one {} costs you in USD: the catalogue has no price that "
                  "can be trusted",
                  object.value().where(), part));
}

void read_included(const JsonValue& value, ChassisOffer& chassis) {
  const JsonObject object = value.object();
  const JsonValue gpus = object.at("gpus");
  int count = 0;
  for (const auto& [name, number] : gpus.object().entries()) {
    try {
      find_gpu(name);
    } catch (const InputError& error) {
      number.fail(error.what());
    }
    chassis.included_gpus[name] = static_cast<int>(number.integer({1, 1024}));
    count += chassis.included_gpus[name];
  }
  if (count < 1 || count > chassis.type->max_gpus)
    gpus.fail(fmt::format("found {} gpus, expected 1 to {} in a node of type {}", count,
                          chassis.type->max_gpus, chassis.type->name));
  if (const auto nic = object.find("nic")) chassis.included_nic = part_at(*nic, find_nic);
  object.finish();
}

ChassisOffer read_chassis(const JsonObject& object) {
  ChassisOffer chassis;
  chassis.name = object.text("chassis");
  chassis.type = part_at(object.at("node"), find_node_type);
  chassis.price = read_price(object, chassis.name, {});
  chassis.rack_units = object.number_or("rack_units", 0, {0, 100});
  chassis.power_supply_watts = object.number("power_supply_watts", {1, 1e6});
  chassis.power_supply_efficiency = object.number("power_supply_efficiency", {0.3, 1});
  chassis.host_watts = object.number("host_watts", watt_range);
  if (chassis.host_watts >= chassis.power_supply_watts)
    object.at("host_watts")
        .fail(fmt::format("found {} W, expected less than the {} W of the power supplies", chassis.host_watts,
                          chassis.power_supply_watts));
  if (const auto included = object.find("includes")) read_included(*included, chassis);
  const bool takes_cards = chassis.included_gpus.empty();
  chassis.pcie_slots = static_cast<int>(takes_cards ? object.integer("pcie_slots", {1, 256})
                                                    : object.integer_or("pcie_slots", 0, {0, 256}));
  chassis.pcie_lanes = static_cast<int>(takes_cards ? object.integer("pcie_lanes", {1, 4096})
                                                    : object.integer_or("pcie_lanes", 0, {0, 4096}));
  if (const auto pcie = object.find("pcie")) chassis.pcie = pcie->dump();
  object.finish();
  return chassis;
}

GpuOffer read_gpu_offer(const JsonObject& object) {
  GpuOffer offer;
  offer.gpu = part_at(object.at("gpu"), find_gpu);
  offer.price = read_price(object, offer.gpu->name, offer.gpu->prices);
  offer.pcie_slots = static_cast<int>(object.integer_or("pcie_slots", 2, {1, 8}));
  const auto limit = object.find("power_limit_watts");
  if (limit) offer.power_limit_watts = limit->number({1, 1e5});
  if (offer.gpu->power_watts)
    offer.watts = offer.power_limit_watts.value_or(offer.gpu->power_watts->value);
  else if (limit)
    offer.watts = *offer.power_limit_watts;
  else
    throw InputError(
        fmt::format("{}.power_limit_watts: missing; expected the limit of {}, which the "
                    "catalogue does not know",
                    object.value().where(), offer.gpu->name));
  object.finish();
  return offer;
}

NicOffer read_nic_offer(const JsonObject& object) {
  NicOffer offer;
  offer.nic = part_at(object.at("nic"), find_nic);
  offer.price = read_price(object, offer.nic->name, offer.nic->prices);
  offer.pcie_slots = static_cast<int>(object.integer_or("pcie_slots", 1, {1, 8}));
  offer.watts = object.number("watts", watt_range);
  offer.most_per_node = static_cast<int>(object.integer_or("most_per_node", 1, {1, 16}));
  object.finish();
  return offer;
}

SwitchOffer read_switch_offer(const JsonObject& object) {
  SwitchOffer offer;
  offer.type = part_at(object.at("switch"), find_switch);
  offer.price = read_price(object, offer.type->name, offer.type->prices);
  offer.rack_units = object.number_or("rack_units", 1, {0, 100});
  if (const auto watts = object.find("watts"))
    offer.watts = watts->number(watt_range);
  else if (offer.type->power_watts)
    offer.watts = offer.type->power_watts->value;
  else
    throw InputError(
        fmt::format("{}.watts: missing; expected the watts of {}, which the catalogue does not "
                    "know",
                    object.value().where(), offer.type->name));
  if (const auto ports = object.find("ports")) {
    for (const JsonValue& item : ports->array()) {
      const JsonObject port = item.object();
      offer.ports.push_back({port.number("gbits", {1, 1e5}),
                             static_cast<int>(port.integer("count", {1, 1024})),
                             static_cast<int>(port.integer_or("splits", 1, {1, 8}))});
      port.finish();
    }
  } else {
    offer.ports = offer.type->ports;
  }
  if (offer.ports.empty())
    throw InputError(
        fmt::format("{}.ports: missing; expected the ports of {}, which the catalogue does not "
                    "know",
                    object.value().where(), offer.type->name));
  object.finish();
  return offer;
}

/// Why a card cannot stand in a chassis even alone; empty where it can.
std::string misfit(const GpuOffer& card, const ChassisOffer& chassis) {
  if (!chassis.included_gpus.empty()) return "comes with its own GPUs";
  const auto& factors = chassis.type->form_factors;
  if (std::find(factors.begin(), factors.end(), card.gpu->form_factor) == factors.end())
    return fmt::format("takes form factor {}, not {}", fmt::join(factors, " or "), card.gpu->form_factor);
  if (card.pcie_slots > chassis.pcie_slots)
    return fmt::format("has {} slots, the card takes {}", chassis.pcie_slots, card.pcie_slots);
  if (card.gpu->pcie_lanes > chassis.pcie_lanes)
    return fmt::format("has {} lanes, the card takes {}", chassis.pcie_lanes, card.gpu->pcie_lanes);
  if (card.watts + chassis.host_watts > chassis.power_supply_watts)
    return fmt::format("supplies {} W, card and host take {}", chassis.power_supply_watts,
                       card.watts + chassis.host_watts);
  return {};
}

void check_card(const JsonValue& where, const GpuOffer& card, const PurchaseQuestion& question) {
  std::string reasons;
  for (const ChassisOffer& chassis : question.chassis) {
    const std::string reason = misfit(card, chassis);
    if (reason.empty()) return;
    reasons += fmt::format("{}{} {}", reasons.empty() ? "" : "; ", chassis.name, reason);
  }
  where.fail(fmt::format("{} fits no chassis: {}", card.gpu->name, reasons));
}

void check_nic(const JsonValue& where, const Nic& nic, const PurchaseQuestion& question) {
  if (question.switches.empty()) return;
  const double gbits = nic.rate_gbits.value / nic.ports;
  std::string names;
  for (const SwitchOffer& offer : question.switches) {
    if (offer.ports_for(gbits) > 0) return;
    names += (names.empty() ? "" : ", ") + offer.type->name;
  }
  where.fail(fmt::format("found {} with ports of {} Gbit/s, expected a port for it on a switch: {} has none",
                         nic.name, gbits, names));
}

}  // namespace

int SwitchOffer::ports_for(double gbits) const {
  int count = 0;
  for (const SwitchPort& port : ports)
    count += port.count * std::min(port.splits, static_cast<int>(port.gbits / gbits));
  return count;
}

void read_offers(const JsonValue& choose_from, PurchaseQuestion& question) {
  std::vector<std::pair<JsonValue, std::size_t>> cards, nics;
  std::set<std::string> names;
  for (const JsonValue& item : choose_from.array()) {
    const JsonObject object = item.object();
    if (object.has("chassis")) {
      question.chassis.push_back(read_chassis(object));
      if (!names.insert(question.chassis.back().name).second)
        item.fail(
            fmt::format("found the chassis '{}' twice, expected each once", question.chassis.back().name));
    } else if (object.has("gpu")) {
      cards.emplace_back(item, question.gpus.size());
      question.gpus.push_back(read_gpu_offer(object));
    } else if (object.has("nic")) {
      nics.emplace_back(item, question.nics.size());
      question.nics.push_back(read_nic_offer(object));
    } else if (object.has("switch")) {
      question.switches.push_back(read_switch_offer(object));
    } else {
      item.fail("found none of its names, expected 'chassis', 'gpu', 'nic' or 'switch'");
    }
  }
  if (question.chassis.empty()) choose_from.fail("found no chassis, expected at least one to put cards into");
  for (const auto& [where, index] : cards) check_card(where, question.gpus[index], question);
  for (const auto& [where, index] : nics) check_nic(where, *question.nics[index].nic, question);
  const bool complete = std::any_of(question.chassis.begin(), question.chassis.end(),
                                    [](const ChassisOffer& c) { return !c.included_gpus.empty(); });
  if (question.gpus.empty() && !complete)
    choose_from.fail("found no gpu, expected at least one, or a chassis that includes some");
}

}  // namespace sextant
