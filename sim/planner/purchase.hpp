#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {

/// Equal nodes of a purchase.
struct PurchasedNodes {
  int chassis = 0;  ///< index in PurchaseQuestion::chassis
  std::map<int, int>
      cards;  ///< index in PurchaseQuestion::gpus, and how many; empty where the chassis has its own
  int count = 1;
  bool operator==(const PurchasedNodes&) const = default;
};

/// What is bought: at most two kinds of node and two kinds of card, one kind of NIC, one switch.
struct Purchase {
  std::vector<PurchasedNodes> nodes;
  int nic = -1;  ///< index in PurchaseQuestion::nics; -1: none bought
  int nics_per_node = 0;
  int network_switch = -1;  ///< index in PurchaseQuestion::switches; -1: none, two nodes are cabled directly

  int node_count() const;
};

/// A line of the bill of materials.
struct BillLine {
  std::string part;
  int count = 0;
  double usd_each = 0;
  std::string price_source;
};

/// What follows from a purchase by adding up.
struct PurchaseTotals {
  double usd = 0;
  double peak_watts = 0;  ///< at the wall, every card at its limit
  double rack_units = 0;
  int gpus = 0;
};

PurchaseTotals totals_of(const PurchaseQuestion&, const Purchase&);
std::vector<BillLine> bill_of(const PurchaseQuestion&, const Purchase&);
/// Its GPUs by catalogue name, over all nodes.
std::map<std::string, int> gpus_of(const PurchaseQuestion&, const Purchase&);
/// "2 x quiet box (4 x rtx-pro-6000-max-q each), connectx-7-400, direct cable"
std::string describe(const PurchaseQuestion&, const Purchase&);
/// The "cluster" of a scenario that it makes, as JSON; equal for purchases that perform alike.
std::string cluster_of(const PurchaseQuestion&, const Purchase&);

/// In what a purchase differs from another in kind rather than in number.
struct PurchaseKind {
  std::string cards;  ///< its card names, joined; two names: mixed
  int nodes = 0;
  double gbits = 0;  ///< of a node's network; 0: a single node
  bool operator==(const PurchaseKind&) const = default;
  auto operator<=>(const PurchaseKind&) const = default;
};
PurchaseKind kind_of(const PurchaseQuestion&, const Purchase&);

/// Why so many purchases were left out.
using LeftOut = std::map<std::string, std::int64_t>;

/// Every purchase within the bounds that adding up can check (price, watts, rack units, slots, lanes, power
/// supplies, ports); the others are counted in `left_out`. Where nodes or cards only ever add to a price that
/// is already too high, larger ones are not visited and count as one. `worthwhile` may refuse nodes and
/// cards, with a reason, before networks are chosen for them. Of purchases that perform alike only the
/// cheapest stays.
std::vector<Purchase> possible_purchases(
    const PurchaseQuestion&, LeftOut& left_out,
    const std::function<std::optional<std::string>(const std::map<std::string, int>& gpus)>& worthwhile = {});

/// What running a purchase costs; watts are at the wall.
struct PurchaseCost {
  double mean_watts = 0;       ///< over the years, at the utilisation
  double serving_watts = 0;    ///< while it serves, by the models' shares
  double electricity_usd = 0;  ///< over the years
  double tco_usd = 0;          ///< price and electricity
  double usd_per_million_output_tokens = 0;
};

/// How a purchase serves one of the models.
struct ModelAnswer {
  std::string model;
  Scenario scenario;                                    ///< of this model on the purchase's cluster
  std::vector<Candidate> candidates;                    ///< its best layouts, best first; never empty
  double gpu_watts = 0;                                 ///< of all GPUs while it serves, idle ones included
  std::optional<double> usd_per_million_output_tokens;  ///< if it served this model alone
  const Candidate& best() const { return candidates.front(); }
};

/// A purchase whose models were planned and simulated.
struct PlannedPurchase {
  Purchase purchase;
  PurchaseTotals totals;
  PurchaseKind kind;
  std::vector<ModelAnswer> models;
  bool meets_slo = false;            ///< every model does, starts and rejects nothing
  bool within_bounds = true;         ///< false only where a sensitivity moved a price
  double output_throughput = 0;      ///< tokens/s, over the models by their shares of time
  std::optional<PurchaseCost> cost;  ///< nullopt without economics
};

/// Adds up what a planned purchase gives and costs from its models' answers.
void settle(const PurchaseQuestion&, PlannedPurchase&);

/// Whether `a` is the better buy: within bounds, then meeting the SLO, then by the preference; throughputs
/// and costs within a percent of each other count as equal and the smaller price decides.
bool better_buy(PurchasePreference, const PlannedPurchase& a, const PlannedPurchase& b);

/// The input that, moved to `at`, makes an alternative the better buy.
struct Flip {
  std::string input;  ///< "price of rtx-pro-6000-workstation (USD)"
  double base = 0;
  std::optional<double> at;  ///< nullopt: not within [lowest, highest]
  double lowest = 0, highest = 0;
  bool simulated = false;  ///< else it follows by adding up
};

/// Another purchase that differs in kind from the best and from the other alternatives.
struct PurchaseAlternative {
  PlannedPurchase planned;
  std::vector<std::string> differs;  ///< "other cards", "3 nodes instead of 1", ..
  std::vector<Flip> flips;           ///< inputs that were tried, those that flip first
  /// For each model, how sure it is that the best purchase serves it better, and what would settle it.
  std::vector<LayoutComparison> comparisons;
};

struct PurchaseLimits {
  int most_planned = 12;      ///< of the purchases, those that are planned and simulated
  int layouts_simulated = 6;  ///< of each planned model
  int layouts_kept = 3;       ///< of each planned model, for the sensitivities
  bool prune = true;          ///< leave out what a bound proves worse; false only to test the bounds
  bool flips = true;
  bool intervals = true;  ///< of each model on the best purchase, and how sure its choice is
};

/// The answer to a purchase question.
struct PurchasePlan {
  PlannedPurchase best;
  std::vector<PurchaseAlternative> alternatives;  ///< at most three
  std::vector<PlannedPurchase> planned;           ///< all that were simulated, best first
  LeftOut left_out;
  std::int64_t possible = 0;  ///< purchases within the bounds that perform differently
  bool interrupted = false;   ///< stopped: the best of those planned until then, perhaps without flips
  int estimated = 0;          ///< of them; every other one's best case comes behind those simulated
};

/// Enumerates, bounds, estimates, simulates the most promising, ranks. Throws InfeasibleError where nothing
/// within the bounds holds the models (naming the smallest purchase that does) or meets the SLO (naming what
/// bounds it and the nearest). Stopped, it returns the best so far, marked as interrupted, or throws
/// Interrupted where no purchase was planned yet.
PurchasePlan plan_purchase(const PurchaseQuestion&, const PlanOptions& = {}, const PurchaseLimits& = {});

}  // namespace sextant
