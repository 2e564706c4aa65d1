#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

template <class Parts>
const auto& at(const Parts& parts, int index) {
  return parts[static_cast<std::size_t>(index)];
}

/// A network for several nodes: so many NICs of a kind in each, and a switch or a cable.
struct NetworkChoice {
  int nic = -1, per_node = 0, network_switch = -1;
};

/// Walks through all purchases within the bounds.
class Enumeration {
 public:
  Enumeration(const PurchaseQuestion& question, LeftOut& left_out,
              const std::function<std::optional<std::string>(const std::map<std::string, int>&)>& worthwhile)
      : question_(question), left_out_(left_out), worthwhile_(worthwhile) {}

  std::vector<Purchase> run() {
    list_nodes();
    list_networks();
    const CountRange& counts = question_.bounds.nodes;
    for (std::size_t a = 0; a < nodes_.size(); ++a) {
      for (int n = 1; n <= counts.most; ++n) {
        if (!try_nodes({counted(a, n)})) break;
        for (std::size_t b = a + 1; b < nodes_.size(); ++b)
          for (int m = 1; n + m <= counts.most; ++m)
            if (!try_nodes({counted(a, n), counted(b, m)})) break;
      }
    }
    std::vector<Purchase> purchases;
    for (auto& [unused, found] : cheapest_) purchases.push_back(std::move(found.second));
    return purchases;
  }

 private:
  static constexpr std::size_t most_purchases = 2'000'000;

  PurchasedNodes counted(std::size_t index, int count) const {
    PurchasedNodes nodes = nodes_[index];
    nodes.count = count;
    return nodes;
  }

  /// What a node's slots, lanes, power supplies and type have no room for.
  std::optional<std::string> obstacle(const PurchasedNodes& nodes, const NetworkChoice& network) const {
    const ChassisOffer& chassis = at(question_.chassis, nodes.chassis);
    if (!chassis.included_gpus.empty() && network.nic < 0) return std::nullopt;
    int slots = 0, lanes = 0, count = 0;
    double watts = chassis.host_watts;
    for (const auto& [card, number] : nodes.cards) {
      const GpuOffer& offer = at(question_.gpus, card);
      slots += offer.pcie_slots * number;
      lanes += offer.gpu->pcie_lanes * number;
      watts += offer.watts * number;
      count += number;
    }
    for (const auto& [name, number] : chassis.included_gpus)
      if (const auto& limit = find_gpu(name).power_watts) watts += limit->value * number;
    if (network.nic >= 0 && chassis.included_nic == nullptr) {
      const NicOffer& offer = at(question_.nics, network.nic);
      slots += offer.pcie_slots * network.per_node;
      lanes += offer.nic->pcie_lanes * network.per_node;
      watts += offer.watts * network.per_node;
    }
    if (count > chassis.type->max_gpus) return "more cards than the node type holds";
    if (slots > chassis.pcie_slots) return "PCIe slots";
    if (lanes > chassis.pcie_lanes) return "PCIe lanes";
    if (watts > chassis.power_supply_watts) return "power supplies of the chassis";
    return std::nullopt;
  }

  bool takes(const ChassisOffer& chassis, const GpuOffer& offer) const {
    const auto& factors = chassis.type->form_factors;
    return std::find(factors.begin(), factors.end(), offer.gpu->form_factor) != factors.end();
  }

  void add_node(const PurchasedNodes& nodes) {
    if (const auto reason = obstacle(nodes, {}))
      ++left_out_[*reason];
    else
      nodes_.push_back(nodes);
  }

  /// Every chassis with every number of one kind of card or of two.
  void list_nodes() {
    for (int c = 0; c < static_cast<int>(question_.chassis.size()); ++c) {
      const ChassisOffer& chassis = at(question_.chassis, c);
      if (!chassis.included_gpus.empty()) {
        nodes_.push_back({c, {}, 1});
        continue;
      }
      const int most = chassis.type->max_gpus, offers = static_cast<int>(question_.gpus.size());
      for (int g = 0; g < offers; ++g) {
        if (!takes(chassis, at(question_.gpus, g))) continue;
        for (int n = 1; n <= most; ++n) add_node({c, {{g, n}}, 1});
        for (int h = g + 1; h < offers; ++h) {
          // A node's cards are told apart by name alone.
          if (!takes(chassis, at(question_.gpus, h)) ||
              at(question_.gpus, g).gpu == at(question_.gpus, h).gpu)
            continue;
          for (int n = 1; n < most; ++n)
            for (int m = 1; n + m <= most; ++m) add_node({c, {{g, n}, {h, m}}, 1});
        }
      }
    }
  }

  void list_networks() {
    const int switches = static_cast<int>(question_.switches.size());
    networks_.push_back({});
    for (int s = 0; s < switches; ++s) networks_.push_back({-1, 0, s});
    for (int n = 0; n < static_cast<int>(question_.nics.size()); ++n)
      for (int k = 1; k <= at(question_.nics, n).most_per_node; ++k)
        for (int s = -1; s < switches; ++s) networks_.push_back({n, k, s});
  }

  /// Networks for these nodes. False where still more of the last nodes could not be bought either.
  bool try_nodes(const std::vector<PurchasedNodes>& nodes) {
    Purchase purchase;
    purchase.nodes = nodes;
    std::map<int, int> cards;
    for (const PurchasedNodes& n : nodes)
      for (const auto& [card, unused] : n.cards) cards[card] += 1;
    if (cards.size() > 2) return false;
    const PurchaseTotals totals = totals_of(question_, purchase);
    if (totals.usd > question_.bounds.usd) return refuse("the budget in USD");
    if (question_.bounds.watts && totals.peak_watts > *question_.bounds.watts)
      return refuse("watts at the wall");
    if (question_.bounds.rack_units && totals.rack_units > *question_.bounds.rack_units)
      return refuse("rack units");
    if (totals.gpus > question_.bounds.gpus.most) return refuse("the number of gpus");
    if (!question_.bounds.nodes.contains(purchase.node_count()) ||
        !question_.bounds.gpus.contains(totals.gpus))
      return refuse("too few nodes or gpus"), true;
    if (worthwhile_)
      if (const auto reason = worthwhile_(gpus_of(question_, purchase))) return refuse(*reason), true;
    if (purchase.node_count() == 1)
      add(purchase);
    else
      for (const NetworkChoice& network : networks_) try_network(purchase, network);
    return true;
  }

  bool refuse(const std::string& reason) {
    ++left_out_[reason];
    return false;
  }

  void try_network(Purchase purchase, const NetworkChoice& network) {
    double gbits = 0;
    int ports = 0;
    bool bare = false, all_included = true;
    for (const PurchasedNodes& nodes : purchase.nodes) {
      const Nic* included = at(question_.chassis, nodes.chassis).included_nic;
      const Nic* nic = included != nullptr ? included
                       : network.nic >= 0  ? at(question_.nics, network.nic).nic
                                           : nullptr;
      bare = bare || nic == nullptr;
      all_included = all_included && included != nullptr;
      if (nic == nullptr) continue;
      gbits = std::max(gbits, nic->rate_gbits.value / nic->ports);
      ports += nodes.count * nic->ports * (included != nullptr ? 1 : network.per_node);
    }
    // Nodes without a NIC form no cluster; bought NICs where every node has its own are another purchase's.
    if (bare || (all_included && network.nic >= 0)) return;
    purchase.nic = network.nic;
    purchase.nics_per_node = network.per_node;
    purchase.network_switch = network.network_switch;
    for (const PurchasedNodes& nodes : purchase.nodes)
      if (const auto reason = obstacle(nodes, network)) return void(++left_out_[*reason]);
    if (network.network_switch < 0 && purchase.node_count() > 2) {
      if (question_.switches.empty()) ++left_out_["no switch for three nodes or more"];
      return;
    }
    if (network.network_switch >= 0 &&
        at(question_.switches, network.network_switch).ports_for(gbits) < ports)
      return void(++left_out_["ports of the switch"]);
    add(purchase);
  }

  void add(const Purchase& purchase) {
    const PurchaseTotals totals = totals_of(question_, purchase);
    const PurchaseBounds& bounds = question_.bounds;
    if (totals.usd > bounds.usd) return void(++left_out_["the budget in USD"]);
    if (bounds.watts && totals.peak_watts > *bounds.watts) return void(++left_out_["watts at the wall"]);
    if (bounds.rack_units && totals.rack_units > *bounds.rack_units) return void(++left_out_["rack units"]);
    // A switch changes what nodes see by its delay alone; cheaper then means better.
    const auto [place, is_new] = cheapest_.try_emplace(cluster_of(question_, purchase), totals.usd, purchase);
    if (is_new) {
      if (cheapest_.size() > most_purchases)
        throw InputError(
            fmt::format("{}: cluster: found more than {} purchases within the budget, expected fewer: bound "
                        "nodes or gpus",
                        question_.file, most_purchases));
      return;
    }
    ++left_out_["dearer than another that performs alike"];
    if (totals.usd < place->second.first) place->second = {totals.usd, purchase};
  }

  const PurchaseQuestion& question_;
  LeftOut& left_out_;
  const std::function<std::optional<std::string>(const std::map<std::string, int>&)>& worthwhile_;
  std::vector<PurchasedNodes> nodes_;
  std::vector<NetworkChoice> networks_;
  std::map<std::string, std::pair<double, Purchase>> cheapest_;  // by cluster
};

}  // namespace

std::vector<Purchase> possible_purchases(
    const PurchaseQuestion& question, LeftOut& left_out,
    const std::function<std::optional<std::string>(const std::map<std::string, int>&)>& worthwhile) {
  return Enumeration(question, left_out, worthwhile).run();
}

}  // namespace sextant
