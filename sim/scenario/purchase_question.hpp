#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/hardware/catalogue.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {

/// What one piece costs, and who says so.
struct PartPrice {
  double usd = 0;
  std::string source;  ///< "the scenario", or the catalogue's date and source
};

/// A host on offer, with all it needs but cards, NICs and switches.
struct ChassisOffer {
  std::string name;  ///< the user's word for it
  const NodeType* type = nullptr;
  PartPrice price;
  double rack_units = 0;
  int pcie_slots = 0;                  ///< slot widths behind the brackets: a double-width card takes two
  int pcie_lanes = 0;                  ///< that the processors give to slots
  double power_supply_watts = 0;       ///< of direct current, redundancy taken off
  double power_supply_efficiency = 1;  ///< direct current over what the wall gives
  double host_watts = 0;               ///< processors, memory, disks and fans under load
  std::map<std::string, int> included_gpus;  ///< sold with it: GPU and count; such a host takes no other
  const Nic* included_nic = nullptr;
  std::string pcie;  ///< the cluster's "pcie" of such a node, as JSON; empty: not said
};

/// A card on offer, by itself.
struct GpuOffer {
  const Gpu* gpu = nullptr;
  PartPrice price;
  int pcie_slots = 2;
  double watts = 0;                         ///< its limit
  std::optional<double> power_limit_watts;  ///< where it is not the default
};

/// A network card on offer, cable and transceiver included.
struct NicOffer {
  const Nic* nic = nullptr;
  PartPrice price;
  int pcie_slots = 1;
  double watts = 0;
  int most_per_node = 1;
};

/// A switch on offer.
struct SwitchOffer {
  const Switch* type = nullptr;
  PartPrice price;
  std::vector<SwitchPort> ports;
  double rack_units = 1;
  double watts = 0;

  /// NIC ports of that rate which it connects; a port that splits serves several slower ones.
  int ports_for(double gbits) const;
};

/// Least and most of something.
struct CountRange {
  int least = 1, most = 1;
  bool contains(int count) const { return count >= least && count <= most; }
};

/// What a purchase must keep within.
struct PurchaseBounds {
  double usd = 0;
  std::optional<double> watts;  ///< at the wall, everything at its limit
  std::optional<double> rack_units;
  CountRange nodes{1, 16};
  CountRange gpus{1, 128};
  double kv_tokens = 0;  ///< each model, over all its replicas, must be able to cache so many
};

/// What the best purchase has more of (or less), among those that serve every model within the SLO.
enum class PurchasePreference {
  throughput,  ///< output tokens/s for the money there is; where a percent decides nothing, the cheaper
  cost,        ///< least USD per million output tokens
  price,       ///< least USD to buy
};
std::string to_string(PurchasePreference);

/// Running costs of a purchase; nullopt members were not said, and what rests on them is not shown.
struct PurchaseEconomics {
  double years = 3;
  double electricity_usd_per_kwh = 0;
  double utilisation = 1;  ///< share of the time it serves the workload
};

/// One model to serve with the hardware.
struct PurchaseModel {
  std::string name;
  double share = 1;      ///< of the serving time; all shares sum to 1
  std::string document;  ///< the scenario of this model alone, without cluster, as JSON
};

/// A scenario whose cluster is to be bought: parts on offer, bounds, and one or several models which the
/// hardware serves one at a time, each within the SLO.
struct PurchaseQuestion {
  std::string name, description, file;
  std::vector<ChassisOffer> chassis;
  std::vector<GpuOffer> gpus;
  std::vector<NicOffer> nics;
  std::vector<SwitchOffer> switches;
  std::string network;  ///< the cluster's "network" as JSON, without switch; empty: not said
  PurchaseBounds bounds;
  PurchasePreference prefer = PurchasePreference::throughput;
  std::optional<PurchaseEconomics> economics;
  std::vector<PurchaseModel> models;
};

/// Whether the document's cluster is to be bought: it has "choose-from".
bool asks_for_purchase(const JsonValue& document);

/// Reads such a scenario; strict (scenarios/README.md has the keys). Throws InputError, also for a part
/// without a price that the catalogue has none for either, a card that fits no chassis, a NIC without a port
/// on any switch, and bounds that contradict each other.
PurchaseQuestion read_purchase_question(const JsonValue& document);

/// The scenario of one model on a cluster given as JSON. Throws InputError as read_scenario.
Scenario purchase_scenario(const PurchaseQuestion&, const PurchaseModel&, const std::string& cluster);

/// The parts of "choose-from", for the reader of the whole question.
void read_offers(const JsonValue& choose_from, PurchaseQuestion&);

}  // namespace sextant
