#include "sim/planner/purchase.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "models/profile/power.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

template <class Parts>
const auto& at(const Parts& parts, int index) {
  return parts[static_cast<std::size_t>(index)];
}

/// Watts of a node's cards at their limits.
double card_watts(const PurchaseQuestion& question, const PurchasedNodes& nodes) {
  double watts = 0;
  for (const auto& [card, count] : nodes.cards) watts += at(question.gpus, card).watts * count;
  for (const auto& [name, count] : at(question.chassis, nodes.chassis).included_gpus)
    if (const auto& limit = find_gpu(name).power_watts) watts += limit->value * count;
  return watts;
}

bool takes_bought_nic(const PurchaseQuestion& question, const PurchasedNodes& nodes) {
  return at(question.chassis, nodes.chassis).included_nic == nullptr;
}

double nic_watts(const PurchaseQuestion& question, const Purchase& purchase, const PurchasedNodes& nodes) {
  if (purchase.nic < 0 || !takes_bought_nic(question, nodes)) return 0;
  return at(question.nics, purchase.nic).watts * purchase.nics_per_node;
}

/// Watts at the wall of everything but cards, which stays on whatever is served.
double standing_watts(const PurchaseQuestion& question, const Purchase& purchase) {
  double watts = purchase.network_switch < 0 ? 0 : at(question.switches, purchase.network_switch).watts;
  for (const PurchasedNodes& nodes : purchase.nodes) {
    const ChassisOffer& chassis = at(question.chassis, nodes.chassis);
    watts += nodes.count * (chassis.host_watts + nic_watts(question, purchase, nodes)) /
             chassis.power_supply_efficiency;
  }
  return watts;
}

/// Watts at the wall of all cards at their limits, and of direct current.
std::pair<double, double> limit_watts(const PurchaseQuestion& question, const Purchase& purchase) {
  double wall = 0, direct = 0;
  for (const PurchasedNodes& nodes : purchase.nodes) {
    const double watts = nodes.count * card_watts(question, nodes);
    direct += watts;
    wall += watts / at(question.chassis, nodes.chassis).power_supply_efficiency;
  }
  return {wall, direct};
}

/// Watts that waiting cards draw; those without a power model are taken to draw nothing.
double waiting_watts(const PurchaseQuestion& question, const Purchase& purchase) {
  double watts = 0;
  for (const auto& [name, count] : gpus_of(question, purchase))
    if (const auto power = find_power_model(name)) watts += power->static_watts.value * count;
  return watts;
}

PurchaseCost cost_of(const PurchaseQuestion& question, const Purchase& purchase, double usd, double gpu_watts,
                     double tokens_per_second) {
  constexpr double hours_per_year = 24 * 365.25;
  const PurchaseEconomics& economics = *question.economics;
  const auto [wall, direct] = limit_watts(question, purchase);
  const double loss = direct > 0 ? wall / direct : 1;
  PurchaseCost cost;
  const double standing = standing_watts(question, purchase);
  cost.serving_watts = standing + gpu_watts * loss;
  cost.mean_watts = economics.utilisation * cost.serving_watts +
                    (1 - economics.utilisation) * (standing + waiting_watts(question, purchase) * loss);
  const double hours = economics.years * hours_per_year;
  cost.electricity_usd = cost.mean_watts / 1000 * hours * economics.electricity_usd_per_kwh;
  cost.tco_usd = usd + cost.electricity_usd;
  cost.usd_per_million_output_tokens =
      cost.tco_usd / (tokens_per_second * economics.utilisation * hours * 3600) * 1e6;
  return cost;
}

/// Figures within one class of a percent count as equal; classes, unlike distances, make an order.
int percent_class(double value) {
  return value > 0 ? static_cast<int>(std::floor(std::log(value) / std::log(1.01))) : -100'000;
}

}  // namespace

int Purchase::node_count() const {
  int count = 0;
  for (const PurchasedNodes& n : nodes) count += n.count;
  return count;
}

std::vector<BillLine> bill_of(const PurchaseQuestion& question, const Purchase& purchase) {
  std::vector<BillLine> bill;
  std::map<int, int> cards;
  int nics = 0;
  for (const PurchasedNodes& nodes : purchase.nodes) {
    const ChassisOffer& chassis = at(question.chassis, nodes.chassis);
    const auto same = std::find_if(bill.begin(), bill.end(),
                                   [&](const BillLine& line) { return line.part == chassis.name; });
    if (same != bill.end())
      same->count += nodes.count;
    else
      bill.push_back({chassis.name, nodes.count, chassis.price.usd, chassis.price.source});
    for (const auto& [card, count] : nodes.cards) cards[card] += count * nodes.count;
    if (purchase.nic >= 0 && takes_bought_nic(question, nodes)) nics += purchase.nics_per_node * nodes.count;
  }
  for (const auto& [card, count] : cards) {
    const GpuOffer& offer = at(question.gpus, card);
    std::string part = offer.gpu->name;
    if (offer.power_limit_watts) part += fmt::format(" at {} W", *offer.power_limit_watts);
    bill.push_back({part, count, offer.price.usd, offer.price.source});
  }
  if (nics > 0) {
    const NicOffer& offer = at(question.nics, purchase.nic);
    bill.push_back({offer.nic->name, nics, offer.price.usd, offer.price.source});
  }
  if (purchase.network_switch >= 0) {
    const SwitchOffer& offer = at(question.switches, purchase.network_switch);
    bill.push_back({offer.type->name, 1, offer.price.usd, offer.price.source});
  }
  return bill;
}

PurchaseTotals totals_of(const PurchaseQuestion& question, const Purchase& purchase) {
  PurchaseTotals totals;
  for (const BillLine& line : bill_of(question, purchase)) totals.usd += line.count * line.usd_each;
  for (const PurchasedNodes& nodes : purchase.nodes)
    totals.rack_units += nodes.count * at(question.chassis, nodes.chassis).rack_units;
  if (purchase.network_switch >= 0)
    totals.rack_units += at(question.switches, purchase.network_switch).rack_units;
  totals.peak_watts = standing_watts(question, purchase) + limit_watts(question, purchase).first;
  for (const auto& [unused, count] : gpus_of(question, purchase)) totals.gpus += count;
  return totals;
}

std::map<std::string, int> gpus_of(const PurchaseQuestion& question, const Purchase& purchase) {
  std::map<std::string, int> gpus;
  for (const PurchasedNodes& nodes : purchase.nodes) {
    for (const auto& [card, count] : nodes.cards)
      gpus[at(question.gpus, card).gpu->name] += count * nodes.count;
    for (const auto& [name, count] : at(question.chassis, nodes.chassis).included_gpus)
      gpus[name] += count * nodes.count;
  }
  return gpus;
}

std::string describe(const PurchaseQuestion& question, const Purchase& purchase) {
  std::string text;
  for (const PurchasedNodes& nodes : purchase.nodes) {
    std::string cards;
    const ChassisOffer& chassis = at(question.chassis, nodes.chassis);
    for (const auto& [card, count] : nodes.cards) {
      const GpuOffer& offer = at(question.gpus, card);
      cards += fmt::format("{}{} x {}", cards.empty() ? "" : " + ", count, offer.gpu->name);
      if (offer.power_limit_watts) cards += fmt::format(" at {} W", *offer.power_limit_watts);
    }
    for (const auto& [name, count] : chassis.included_gpus)
      cards += fmt::format("{}{} x {}", cards.empty() ? "" : " + ", count, name);
    text += fmt::format("{}{} x {} ({}{})", text.empty() ? "" : ", ", nodes.count, chassis.name, cards,
                        nodes.count > 1 ? " each" : "");
  }
  if (purchase.node_count() == 1) return text;
  if (purchase.nic >= 0)
    text += fmt::format(", {}{} a node",
                        purchase.nics_per_node > 1 ? fmt::format("{} x ", purchase.nics_per_node) : "",
                        at(question.nics, purchase.nic).nic->name);
  return text + ", " +
         (purchase.network_switch >= 0 ? at(question.switches, purchase.network_switch).type->name
                                       : "direct cable");
}

std::string cluster_of(const PurchaseQuestion& question, const Purchase& purchase) {
  Json nodes = Json::array();
  for (const PurchasedNodes& bought : purchase.nodes) {
    const ChassisOffer& chassis = at(question.chassis, bought.chassis);
    Json node = {{"node", chassis.type->name}, {"count", bought.count}, {"gpus", Json::object()}};
    for (const auto& [card, count] : bought.cards) {
      const GpuOffer& offer = at(question.gpus, card);
      if (offer.power_limit_watts)
        node["gpus"][offer.gpu->name] = {{"count", count}, {"power_limit_watts", *offer.power_limit_watts}};
      else
        node["gpus"][offer.gpu->name] = count;
    }
    for (const auto& [name, count] : chassis.included_gpus) node["gpus"][name] = count;
    if (chassis.included_nic != nullptr)
      node["nic"] = chassis.included_nic->name;
    else if (purchase.nic >= 0)
      node["nics"] = Json::array(
          {{{"nic", at(question.nics, purchase.nic).nic->name}, {"count", purchase.nics_per_node}}});
    if (!chassis.pcie.empty()) node["pcie"] = Json::parse(chassis.pcie);
    nodes.push_back(node);
  }
  Json cluster = {{"nodes", nodes}};
  if (!question.network.empty()) cluster["network"] = Json::parse(question.network);
  if (purchase.network_switch >= 0)
    cluster["network"]["switch"] = at(question.switches, purchase.network_switch).type->name;
  return cluster.dump();
}

PurchaseKind kind_of(const PurchaseQuestion& question, const Purchase& purchase) {
  PurchaseKind kind;
  for (const auto& [name, unused] : gpus_of(question, purchase))
    kind.cards += (kind.cards.empty() ? "" : " + ") + name;
  kind.nodes = purchase.node_count();
  if (kind.nodes == 1) return kind;
  if (purchase.nic >= 0)
    kind.gbits = at(question.nics, purchase.nic).nic->rate_gbits.value * purchase.nics_per_node;
  else if (const Nic* nic = at(question.chassis, purchase.nodes.front().chassis).included_nic)
    kind.gbits = nic->rate_gbits.value;
  return kind;
}

void settle(const PurchaseQuestion& question, PlannedPurchase& planned) {
  planned.meets_slo = true;
  planned.output_throughput = 0;
  double gpu_watts = 0;
  for (std::size_t i = 0; i < planned.models.size(); ++i) {
    ModelAnswer& answer = planned.models[i];
    const Candidate& best = answer.best();
    const double share = question.models[i].share, rate = best.metrics.output_throughput;
    planned.meets_slo = planned.meets_slo && best.meets_slo && best.startable && best.metrics.rejected == 0;
    planned.output_throughput += share * rate;
    // What the layout leaves out waits; without a power model every card counts with its limit.
    const double limits = limit_watts(question, planned.purchase).second;
    answer.gpu_watts = limits;
    if (best.energy) {
      const int used = best.layout.tp * best.layout.pp * best.layout.dp;
      const double spare = 1 - static_cast<double>(used) / std::max(1, planned.totals.gpus);
      answer.gpu_watts =
          std::min(limits, best.energy->gpu_watts + spare * waiting_watts(question, planned.purchase));
    }
    gpu_watts += share * answer.gpu_watts;
    if (question.economics && rate > 0)
      answer.usd_per_million_output_tokens =
          cost_of(question, planned.purchase, planned.totals.usd, answer.gpu_watts, rate)
              .usd_per_million_output_tokens;
  }
  if (question.economics && planned.output_throughput > 0)
    planned.cost =
        cost_of(question, planned.purchase, planned.totals.usd, gpu_watts, planned.output_throughput);
}

bool better_buy(PurchasePreference preference, const PlannedPurchase& a, const PlannedPurchase& b) {
  if (a.within_bounds != b.within_bounds) return a.within_bounds;
  if (a.meets_slo != b.meets_slo) return a.meets_slo;
  const auto cost = [](const PlannedPurchase& p) {
    return p.cost ? p.cost->usd_per_million_output_tokens : p.totals.usd;
  };
  const auto total = [](const PlannedPurchase& p) { return p.cost ? p.cost->tco_usd : p.totals.usd; };
  switch (preference) {
    case PurchasePreference::throughput:
      if (const int class_a = percent_class(a.output_throughput),
          class_b = percent_class(b.output_throughput);
          class_a != class_b)
        return class_a > class_b;
      return total(a) < total(b);
    case PurchasePreference::cost:
      if (const int class_a = percent_class(cost(a)), class_b = percent_class(cost(b)); class_a != class_b)
        return class_a < class_b;
      return a.totals.usd < b.totals.usd;
    case PurchasePreference::price:
      if (a.totals.usd != b.totals.usd) return a.totals.usd < b.totals.usd;
      return a.output_throughput > b.output_throughput;
  }
  return false;
}

}  // namespace sextant
