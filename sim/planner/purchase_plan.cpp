#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

/// A purchase on its way to being planned.
struct Prospect {
  Purchase purchase;
  PurchaseTotals totals;
  PurchaseKind kind;
  double bound = 0;  ///< output tokens/s by the models' shares that it cannot exceed
  Outlook outlook;
};

/// What a buyer chooses between first: cards (or that they are mixed) and the number of nodes.
using Sort = std::pair<std::string, int>;

Sort sort_of(const PurchaseKind& kind) {
  return {kind.cards.find(" + ") == std::string::npos ? kind.cards : "mixed", kind.nodes};
}

class PurchaseSearch {
 public:
  PurchaseSearch(const PurchaseQuestion& question, const PlanOptions& options, const PurchaseLimits& limits)
      : question_(question), options_(options), limits_(limits), models_(model_bounds(question)) {
    options_.find_profile = remembering(options.find_profile);
    options_.intervals = false;
    options_.progress = nullptr;
    options_.needs_possible_slo = false;  // the nearest miss of all purchases is told, not of each
    options_.simulate_at_most = std::min(options.simulate_at_most, limits.layouts_simulated);
    report_ = options.progress;
  }

  PurchasePlan run() {
    std::vector<Prospect> prospects = affordable(limits_.prune);
    if (prospects.empty()) prospects = affordable(false);
    if (prospects.empty()) nothing_affordable();
    plan_.possible = static_cast<std::int64_t>(prospects.size());
    look_ahead(prospects);
    if (prospects.empty()) nothing_affordable();
    plan_promising(prospects);
    if (plan_.planned.empty()) nothing_affordable();
    std::stable_sort(plan_.planned.begin(), plan_.planned.end(),
                     [&](const auto& a, const auto& b) { return better_buy(question_.prefer, a, b); });
    plan_.best = plan_.planned.front();
    if (!plan_.best.meets_slo) nothing_meets();
    plan_.alternatives = alternatives_to(plan_.best, plan_.planned);
    if (!limits_.flips) return std::move(plan_);
    PlanOptions quiet = options_;
    for (std::size_t i = 0; i < plan_.alternatives.size(); ++i) {
      PurchaseAlternative& alternative = plan_.alternatives[i];
      alternative.flips = flips_to(question_, plan_.best, alternative.planned, quiet);
    }
    return std::move(plan_);
  }

 private:
  void stop_if_asked() const {
    if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
  }

  Prospect prospect(const Purchase& purchase) const {
    Prospect result{purchase, totals_of(question_, purchase), kind_of(question_, purchase), 0, {}};
    const auto gpus = gpus_of(question_, purchase);
    for (const ModelBound& model : models_)
      result.bound += model.model->share * throughput_bound(model, gpus);
    return result;
  }

  /// What the bounds allow; with `prune` without those that a roofline proves too slow for the SLO.
  std::vector<Prospect> affordable(bool prune) {
    plan_.left_out.clear();
    const auto worthwhile = [&](const std::map<std::string, int>& gpus) {
      auto reason = memory_obstacle(question_, models_, gpus);
      if (!reason && prune) reason = slo_obstacle(models_, gpus);
      return reason;
    };
    std::vector<Prospect> prospects;
    for (const Purchase& purchase : possible_purchases(question_, plan_.left_out, worthwhile))
      prospects.push_back(prospect(purchase));
    return prospects;
  }

  /// Keeps as many as may be estimated: of each sort (cards, or mixed, and nodes) in turn, and within a sort
  /// of each number of GPUs in turn, the highest bound and then the cheapest first.
  void thin_out(std::vector<Prospect>& prospects) {
    const auto most = static_cast<std::size_t>(limits_.most_estimated);
    if (prospects.size() <= most) return;
    const std::size_t all = prospects.size();
    std::stable_sort(prospects.begin(), prospects.end(), [](const Prospect& a, const Prospect& b) {
      return a.bound != b.bound ? a.bound > b.bound : a.totals.usd < b.totals.usd;
    });
    // How many of its number of GPUs stand before one in its sort decides first, then its place in the sort.
    std::map<std::pair<Sort, int>, int> of_number;
    std::map<Sort, std::map<int, std::vector<Prospect*>>> sorts;
    for (Prospect& p : prospects)
      sorts[sort_of(p.kind)][of_number[{sort_of(p.kind), p.totals.gpus}]++].push_back(&p);
    std::vector<std::vector<Prospect*>> lists;
    for (const auto& [unused, turns] : sorts) {
      std::vector<Prospect*>& list = lists.emplace_back();
      for (const auto& [unused_turn, found] : turns) list.insert(list.end(), found.begin(), found.end());
    }
    std::vector<Prospect> kept;
    for (std::size_t place = 0; kept.size() < most; ++place)
      for (std::vector<Prospect*>& list : lists)
        if (place < list.size() && kept.size() < most) kept.push_back(std::move(*list[place]));
    prospects = std::move(kept);
    plan_.left_out["not estimated: others of the same cards and nodes were"] +=
        static_cast<std::int64_t>(all - prospects.size());
  }

  double money(const Prospect& p) const {
    return question_.prefer == PurchasePreference::price
               ? p.totals.usd
               : p.totals.usd / std::max(1e-9, p.outlook.output_throughput);
  }

  /// Whether an estimate makes `a` more promising than `b`.
  bool more_promising(const Prospect& a, const Prospect& b) const {
    if (a.outlook.fits != b.outlook.fits) return a.outlook.fits;
    if (a.outlook.meets_times != b.outlook.meets_times) return a.outlook.meets_times;
    if (question_.prefer != PurchasePreference::throughput && money(a) != money(b))
      return money(a) < money(b);
    if (a.outlook.output_throughput != b.outlook.output_throughput)
      return a.outlook.output_throughput > b.outlook.output_throughput;
    return a.totals.usd < b.totals.usd;
  }

  void progress(int done, int total) const {
    if (report_) report_(done, total);
  }

  /// Estimates each prospect and puts the most promising first. What fits no even layout stays, last: uneven
  /// layers may hold it.
  void look_ahead(std::vector<Prospect>& prospects) {
    thin_out(prospects);
    const int count = static_cast<int>(prospects.size());
    std::atomic<int> done{0};
    run_parallel(count, options_.threads, [&](int i) {
      stop_if_asked();
      Prospect& p = prospects[static_cast<std::size_t>(i)];
      p.outlook = outlook_of(question_, p.purchase, options_.find_profile);
      progress(++done, count + limits_.most_planned);
    });
    estimated_ = count;
    std::stable_sort(prospects.begin(), prospects.end(),
                     [&](const Prospect& a, const Prospect& b) { return more_promising(a, b); });
    // The first of each sort come before the second of any: sorts are what a buyer chooses between. Two
    // thirds of what may be simulated is theirs.
    std::set<Sort> sorts;
    int firsts = 0;
    std::stable_partition(prospects.begin(), prospects.end(), [&](const Prospect& p) {
      return firsts < limits_.most_planned * 2 / 3 && sorts.insert(sort_of(p.kind)).second && ++firsts > 0;
    });
  }

  /// Plans prospects, a few at a time (a fixed number, so that threads change nothing); between them leaves
  /// out those whose bound is below what is already reached.
  void plan_promising(std::vector<Prospect>& prospects) {
    constexpr std::size_t wave = 4;
    std::set<PurchaseKind> kinds;
    std::size_t next = 0;
    int planned = 0;
    while (next < prospects.size() && planned < limits_.most_planned) {
      std::vector<const Prospect*> chosen;
      for (; next < prospects.size() && chosen.size() < wave && planned < limits_.most_planned; ++next) {
        const Prospect& p = prospects[next];
        if (limits_.prune && !kinds.insert(p.kind).second && cannot_win(p)) {
          ++plan_.left_out["its roofline stays below what another reaches"];
          continue;
        }
        chosen.push_back(&p);
        ++planned;
      }
      plan_wave(chosen, planned);
    }
    if (next < prospects.size())
      plan_.left_out["estimated and less promising than those simulated"] +=
          static_cast<std::int64_t>(prospects.size() - next);
  }

  bool cannot_win(const Prospect& p) const {
    return question_.prefer == PurchasePreference::throughput && p.bound < reached_;
  }

  void plan_wave(const std::vector<const Prospect*>& chosen, int planned) {
    const std::size_t models = question_.models.size();
    std::vector<ModelPlan> plans(chosen.size() * models);
    PlanOptions one = options_;
    one.threads = 1;
    run_parallel(static_cast<int>(plans.size()), options_.threads, [&](int i) {
      const auto at = static_cast<std::size_t>(i);
      plans[at] =
          plan_model(question_, question_.models[at % models], chosen[at / models]->purchase, one, limits_);
    });
    for (std::size_t c = 0; c < chosen.size(); ++c) {
      PlannedPurchase result;
      result.purchase = chosen[c]->purchase;
      result.totals = chosen[c]->totals;
      result.kind = chosen[c]->kind;
      std::string failure;
      for (std::size_t m = 0; m < models; ++m) {
        ModelPlan& plan = plans[c * models + m];
        if (plan.answer)
          result.models.push_back(std::move(*plan.answer));
        else if (failure.empty())
          failure = plan.failure;
      }
      if (!failure.empty()) {
        ++plan_.left_out[failure];
        continue;
      }
      settle(question_, result);
      if (result.meets_slo) reached_ = std::max(reached_, result.output_throughput);
      plan_.planned.push_back(std::move(result));
    }
    progress(estimated_ + planned, estimated_ + limits_.most_planned);
  }

  /// The cheapest purchase that holds every model, if more money may be spent; nothing where that is not
  /// enough.
  std::optional<Prospect> smallest_that_holds() const {
    PurchaseQuestion richer = question_;
    LeftOut unused;
    const auto worthwhile = [&](const std::map<std::string, int>& gpus) {
      return memory_obstacle(question_, models_, gpus);
    };
    richer.bounds.usd = std::max(1000.0, question_.bounds.usd);
    for (int doubling = 0; doubling < 12; ++doubling, richer.bounds.usd *= 2) {
      std::vector<Prospect> prospects;
      for (const Purchase& purchase : possible_purchases(richer, unused, worthwhile))
        prospects.push_back(prospect(purchase));
      std::stable_sort(prospects.begin(), prospects.end(),
                       [](const Prospect& a, const Prospect& b) { return a.totals.usd < b.totals.usd; });
      constexpr std::size_t enough = 300;
      for (std::size_t i = 0; i < std::min(enough, prospects.size()); ++i) {
        stop_if_asked();
        prospects[i].outlook = outlook_of(question_, prospects[i].purchase, options_.find_profile);
        if (prospects[i].outlook.fits) return prospects[i];
      }
      if (!prospects.empty() && doubling > 2) break;
    }
    return std::nullopt;
  }

  [[noreturn]] void nothing_affordable() const {
    if (const auto smallest = smallest_that_holds(); smallest && smallest->totals.usd > question_.bounds.usd)
      throw InfeasibleError(fmt::format(
          "{}: cluster.budget.usd is {:.0f}: the smallest purchase that holds every model costs {:.0f}: {}",
          question_.name, question_.bounds.usd, smallest->totals.usd,
          describe(question_, smallest->purchase)));
    std::string reasons;
    for (const auto& [reason, count] : plan_.left_out)
      reasons += fmt::format("{}{} ({})", reasons.empty() ? "" : "; ", reason, count);
    throw InfeasibleError(fmt::format("{}: no purchase within the bounds holds every model; left out for: {}",
                                      question_.name, reasons.empty() ? "nothing fits together" : reasons));
  }

  /// How far the worst bounded metric is beyond its bound; a purchase that turns requests away is farther.
  static double distance(const PlannedPurchase& planned) {
    double worst = 1;
    for (const ModelAnswer& answer : planned.models) {
      const Candidate& best = answer.best();
      if (!best.startable || best.metrics.rejected > 0) return std::numeric_limits<double>::infinity();
      const auto metrics = named_metrics(best.metrics);
      for (const ServiceLevel& level : answer.scenario.slo)
        for (const auto& [name, value] : metrics)
          if (name == level.metric)
            worst = std::max(worst, level.at_most ? value / level.bound : level.bound / value);
    }
    return worst;
  }

  [[noreturn]] void nothing_meets() const {
    const PlannedPurchase* nearest = &plan_.planned.front();
    for (const PlannedPurchase& planned : plan_.planned)
      if (distance(planned) < distance(*nearest)) nearest = &planned;
    std::string missed;
    for (const ModelAnswer& answer : nearest->models)
      for (const std::string& text : answer.best().missed)
        missed += fmt::format("{}{}: {}", missed.empty() ? "" : "; ", answer.model, text);
    std::string floor;
    const auto gpus = gpus_of(question_, nearest->purchase);
    for (const ModelBound& model : models_)
      floor += fmt::format("{}{:.1f} ms for {}", floor.empty() ? "" : " and ", token_ms_bound(model, gpus),
                           model.model->name);
    throw InfeasibleError(fmt::format(
        "{}: no purchase within the budget meets the slo; nearest is {} for {:.0f} USD: {} (reading the "
        "weights "
        "once a token takes at least {} there)",
        question_.name, describe(question_, nearest->purchase), nearest->totals.usd, missed, floor));
  }

  const PurchaseQuestion& question_;
  PlanOptions options_;
  const PurchaseLimits limits_;
  const std::vector<ModelBound> models_;
  std::function<void(int, int)> report_;
  PurchasePlan plan_;
  double reached_ = 0;
  int estimated_ = 0;
};

}  // namespace

PurchasePlan plan_purchase(const PurchaseQuestion& question, const PlanOptions& options,
                           const PurchaseLimits& limits) {
  return PurchaseSearch(question, options, limits).run();
}

}  // namespace sextant
