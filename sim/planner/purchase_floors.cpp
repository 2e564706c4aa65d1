#include "sim/planner/purchase_floors.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"

namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
/// Sums in another order differ by less.
constexpr double rounding = 1 + 1e-9;

void lower(PartSeconds& least, const PartSeconds& other) {
  if (least.empty()) least.assign(other.size(), infinity);
  for (std::size_t p = 0; p < least.size(); ++p) least[p] = std::min(least[p], other[p]);
}

}  // namespace

/// Purchases of one class: so many cards of each kind, and at most so many in one node.
struct PurchaseFloors::Class {
  std::map<std::string, int> cards;  ///< by kind, as Cluster::kind names it
  int gpus = 0, widest = 0;

  std::string kinds() const {
    std::string name;
    for (const auto& [kind, unused] : cards) name += kind + ",";
    return name;
  }
  std::string name() const {
    std::string name = std::to_string(widest);
    for (const auto& [kind, count] : cards) name += fmt::format(",{} x {}", count, kind);
    return name;
  }
};

/// One model on cards of some kinds, with what no group of them can beat.
struct PurchaseFloors::Tables {
  /// Least seconds of a stage's parts at one degree on one kind of card: of an output token, of a decode
  /// pass, of the mean prompt's chunk and of the long prompt's.
  struct Floor {
    PartSeconds token, pass, prefill, chunk;
  };
  const ModelBound& model;
  Scenario scenario;
  Machine machine;
  SearchContext context;
  PromptDemand demand;
  CostTables costs;
  std::map<std::string, int> examples;                                    ///< a GPU of each kind
  std::map<std::tuple<std::string, int, bool>, std::vector<int>> groups;  ///< by kind, degree, across nodes
  std::map<std::tuple<std::string, int, bool, std::int64_t>, Floor> floors;

  Tables(const ModelBound& bound, Scenario given, const PurchaseEstimator& estimator)
      : model(bound),
        scenario(std::move(given)),
        machine(estimator.machine(scenario)),
        context{scenario, machine, bound.workload},
        demand(prompt_demand(bound.scenario)),
        costs(context) {
    for (const int gpu : scenario.cluster.gpus()) examples.try_emplace(scenario.cluster.kind(gpu), gpu);
  }

  std::int64_t chunk(double tokens) const {
    return std::clamp<std::int64_t>(std::llround(tokens), 1, scenario.engine.max_num_batched_tokens);
  }

  const std::vector<int>& groups_of(const std::string& kind, int tp, bool across, const GroupLinks& links) {
    const auto [place, is_new] = groups.try_emplace({kind, tp, across});
    if (!is_new) return place->second;
    const int gpu = examples.at(kind);
    const auto add = [&](const auto& make) {
      try {
        place->second.push_back(make());
      } catch (const InputError&) {
        // Without a profile of an operator or of the exchange there is no such group.
      }
    };
    if (tp == 1) add([&] { return costs.bare_group(gpu, 1); });
    for (const auto* some : {&links.inside, &links.across}) {
      if (tp == 1 || (across && some == &links.inside)) continue;
      for (const LinkProfile& link : some->at(tp)) add([&] { return costs.linked_group(gpu, tp, link); });
    }
    return place->second;
  }

  const Floor& floor(const std::string& kind, int tp, bool across, std::int64_t each,
                     const GroupLinks& links) {
    const auto [place, is_new] = floors.try_emplace({kind, tp, across, each});
    if (!is_new) return place->second;
    for (const int group : groups_of(kind, tp, across, links)) {
      lower(place->second.token, costs.least_seconds(group, each).front());
      lower(place->second.pass, costs.least_pass(group, each).front());
      lower(place->second.prefill, costs.chunk_parts(group, chunk(context.workload.prompt)).front());
      lower(place->second.chunk, costs.chunk_parts(group, chunk(static_cast<double>(demand.tokens))).front());
    }
    return place->second;
  }

  double whole(const PartSeconds& parts) const {
    return costs.parts_sum({parts}, {0, costs.layer_count()}, true, true);
  }

  /// Seconds of all layers cut into `pp` even stages: groups of one kind alone as far as its cards go, the
  /// rest at best as the other kind. Infinity where no group is possible.
  template <class Parts>
  double least(const Class& cards, int pp, int tp, const std::vector<const Floor*>& of_kinds,
               const Parts& parts) const {
    PartSeconds any;
    for (const Floor* floor : of_kinds)
      if (!parts(*floor).empty()) lower(any, parts(*floor));
    if (any.empty()) return infinity;
    const bool all_known = std::none_of(of_kinds.begin(), of_kinds.end(),
                                        [&](const Floor* floor) { return parts(*floor).empty(); });
    if (of_kinds.size() != 2 || !all_known || costs.kind_count() != 1) return whole(any);
    const int layers = costs.layer_count(), longest_stage = (layers + pp - 1) / pp;
    std::pair<double, int> fast{parts(*of_kinds[0])[0], cards.cards.begin()->second},
        slow{parts(*of_kinds[1])[0], cards.cards.rbegin()->second};
    if (slow.first < fast.first) std::swap(fast, slow);
    const int of_fast = std::min(layers, fast.second / tp * longest_stage);
    return any[1] + any[2] + of_fast * fast.first + (layers - of_fast) * slow.first;
  }
};

PurchaseFloors::PurchaseFloors(const PurchaseQuestion& question, const std::vector<ModelBound>& models,
                               const std::vector<Purchase>& purchases, const PurchaseEstimator& estimator)
    : question_(question), models_(models), estimator_(estimator) {
  int most = 1;
  for (const Purchase& purchase : purchases) most = std::max(most, totals_of(question, purchase).gpus);
  std::vector<int> degrees;
  for (int tp = 1; tp <= most; ++tp)
    if (std::any_of(models.begin(), models.end(),
                    [&](const ModelBound& m) { return !tensor_parallel_obstacle(m.scenario.model, tp); }))
      degrees.push_back(tp);
  for (const ModelBound& model : models) {
    const bool custom = find_engine_profile(model.scenario.engine.profile).custom_all_reduce;
    if (!links_.contains(custom)) links_[custom] = group_links(question, purchases, degrees, custom);
  }
}

PurchaseFloors::~PurchaseFloors() = default;

PurchaseFloors::Tables& PurchaseFloors::tables(std::size_t model, const Class& cards,
                                               const Purchase& purchase) {
  std::vector<std::unique_ptr<Tables>>& of_kinds = tables_[cards.kinds()];
  of_kinds.resize(models_.size());
  if (!of_kinds[model])
    of_kinds[model] = std::make_unique<Tables>(
        models_[model], estimator_.scenario(model, purchase, cluster_of(question_, purchase)), estimator_);
  return *of_kinds[model];
}

Outlook PurchaseFloors::best_case(const Purchase& purchase) {
  Class cards;
  for (const PurchasedNodes& bought : purchase.nodes) {
    const auto add = [&](const std::string& kind, int count) { cards.cards[kind] += count * bought.count; };
    int in_node = 0;
    for (const auto& [card, count] : bought.cards) {
      const GpuOffer& offer = question_.gpus[static_cast<std::size_t>(card)];
      add(offer.gpu->name +
              (offer.power_limit_watts ? fmt::format(" at {} W", *offer.power_limit_watts) : ""),
          count);
      in_node += count;
    }
    for (const auto& [name, count] :
         question_.chassis[static_cast<std::size_t>(bought.chassis)].included_gpus) {
      add(name, count);
      in_node += count;
    }
    cards.gpus += in_node * bought.count;
    cards.widest = std::max(cards.widest, in_node);
  }
  const auto [place, is_new] = known_.try_emplace(cards.name());
  if (!is_new) return place->second;
  Outlook all;
  all.fits = true;
  for (std::size_t m = 0; m < models_.size(); ++m) {
    Outlook one;
    try {
      one = best_case(tables(m, cards, purchase), cards);
    } catch (const InputError&) {
      one.meets_times = false;  // nothing is known of these cards: no estimate either
    }
    all.fits = all.fits && one.fits;
    all.meets_times = all.meets_times && one.meets_times;
    all.output_throughput += models_[m].model->share * one.output_throughput;
  }
  return place->second = all;
}

Outlook PurchaseFloors::best_case(Tables& tables, const Class& cards) {
  const Scenario& scenario = tables.scenario;
  const WorkloadSummary& load = tables.context.workload;
  CostTables& costs = tables.costs;
  const GroupLinks& links = links_.at(tables.machine.engine().custom_all_reduce);
  const double yield = scenario.engine.expected_tokens(), allowed = token_seconds_allowed(scenario);
  const double prompts = yield * costs.chunks_per_token();
  const int replicas = most_replicas(load);
  std::vector<double> room;  // of each card, largest first
  for (const auto& [kind, count] : cards.cards)
    room.insert(room.end(), static_cast<std::size_t>(count),
                scenario.cluster.gpu(tables.examples.at(kind)).memory_bytes.value *
                    scenario.engine.gpu_memory_utilization);
  std::sort(room.rbegin(), room.rend());
  Outlook best;
  best.meets_times = false;
  for (int tp = 1; tp <= cards.gpus; ++tp) {
    if (tensor_parallel_obstacle(scenario.model, tp)) continue;
    for (int pp = 1; pp * tp <= cards.gpus && pp <= costs.layer_count(); ++pp) {
      if (std::accumulate(room.begin(), room.begin() + tp * pp, 0.0) < tables.model.weight_bytes * 0.999)
        continue;
      const int dp = std::min(cards.gpus / (tp * pp), replicas);
      const double most = costs.most_running(dp);
      std::vector<const Tables::Floor*> floors;
      for (const auto& [kind, unused] : cards.cards)
        floors.push_back(
            &tables.floor(kind, tp, tp > cards.widest, CostTables::largest_batch(most, pp), links));
      const auto sum = [&](const auto& parts) { return tables.least(cards, pp, tp, floors, parts); };
      const double pass = sum([](const auto& f) -> const PartSeconds& { return f.pass; });
      if (pass == infinity) continue;
      const double prefill = prompts * sum([](const auto& f) -> const PartSeconds& { return f.prefill; });
      const double fixed = costs.host_seconds(1) + pass;
      const double around = most * yield / (fixed + prefill * std::max(1.0, most / pp));
      const double work = yield * pp / sum([](const auto& f) -> const PartSeconds& { return f.token; });
      double throughput = dp * std::min(around, work);
      if (load.concurrency <= 0) throughput = std::min(throughput, load.rate * load.output);
      // In a closed loop at least one request runs, and with it its share of the prompts.
      const double token = (fixed + (load.concurrency > 0 ? prefill : 0)) / yield;
      const double prompt = sum([](const auto& f) -> const PartSeconds& { return f.chunk; }) *
                            static_cast<double>(tables.demand.tokens) /
                            static_cast<double>(tables.chunk(static_cast<double>(tables.demand.tokens)));
      const bool in_time = token <= allowed * rounding &&
                           (tables.demand.tokens == 0 || prompt <= tables.demand.seconds_allowed * rounding);
      const Outlook look{true, in_time, throughput * rounding, {}};
      if (more_promising(look, best)) best = look;
    }
  }
  return best;
}

}  // namespace sextant
