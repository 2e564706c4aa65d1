#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/purchase_floors.hpp"
#include "sim/planner/purchase_uncertainty.hpp"

namespace sextant {
namespace {

class PurchaseSearch {
 public:
  PurchaseSearch(const PurchaseQuestion& question, const PlanOptions& options, const PurchaseLimits& limits)
      : question_(question),
        options_(options),
        limits_(limits),
        models_(model_bounds(question)),
        estimator_(question, models_, remembering(options.find_profile)) {
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
    try {
      plan_promising(prospects);
    } catch (const Interrupted&) {
      if (plan_.planned.empty()) throw;
      plan_.interrupted = true;
    }
    if (plan_.planned.empty()) nothing_affordable();
    std::stable_sort(plan_.planned.begin(), plan_.planned.end(),
                     [&](const auto& a, const auto& b) { return better_buy(question_.prefer, a, b); });
    plan_.best = plan_.planned.front();
    if (!plan_.best.meets_slo && !plan_.interrupted) nothing_meets();
    plan_.alternatives = alternatives_to(plan_.best, plan_.planned);
    if (!plan_.interrupted) examine_alternatives();
    return std::move(plan_);
  }

 private:
  void stop_if_asked() const {
    if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
  }

  /// How sure the choice is and what would flip it, as far as there is time.
  void examine_alternatives() {
    try {
      if (limits_.intervals) add_uncertainty(question_, plan_, options_);
      progress(limits_.most_planned + 1, steps());
      if (limits_.flips) find_flips(question_, plan_, options_);
    } catch (const Interrupted&) {
      plan_.interrupted = true;
    }
  }

  /// Purchases to plan, and the two parts of what follows.
  int steps() const { return limits_.most_planned + 1 + (limits_.flips ? 1 : 0); }

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

  void progress(int done, int total) const {
    if (report_) report_(done, total);
  }

  /// Plans prospects, a few at a time (a fixed number, so that threads change nothing); between them leaves
  /// out those whose bound is below what is already reached.
  void plan_promising(std::vector<Prospect>& prospects) {
    constexpr std::size_t wave = 4;
    std::unique_ptr<PurchaseFloors> floors;
    if (limits_.prune) {
      std::vector<Purchase> purchases;
      for (const Prospect& p : prospects) purchases.push_back(p.purchase);
      floors = std::make_unique<PurchaseFloors>(question_, models_, purchases, estimator_);
    }
    PurchaseOrder order(question_.prefer, prospects, estimator_, floors.get(), options_,
                        limits_.most_planned);
    std::set<PurchaseKind> kinds;
    int planned = 0;
    for (bool more = true; more && planned < limits_.most_planned;) {
      std::vector<const Prospect*> chosen;
      while (chosen.size() < wave && planned < limits_.most_planned) {
        const Prospect* p = order.next();
        more = p != nullptr;
        if (!more) break;
        if (limits_.prune && !kinds.insert(p->kind).second && cannot_win(*p)) {
          ++plan_.left_out["its roofline stays below what another reaches"];
          continue;
        }
        chosen.push_back(p);
        ++planned;
      }
      plan_wave(chosen, planned);
    }
    plan_.estimated = order.estimated();
    order.tell_rest(plan_.left_out);
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
      try {
        plans[at] =
            plan_model(question_, question_.models[at % models], chosen[at / models]->purchase, one, limits_);
      } catch (const Interrupted&) {
        // What was planned before is kept.
        plans[at].failure = stopped;
      }
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
        if (failure != stopped) ++plan_.left_out[failure];
        continue;
      }
      settle(question_, result);
      if (result.meets_slo) reached_ = std::max(reached_, result.output_throughput);
      plan_.planned.push_back(std::move(result));
    }
    progress(planned, steps());
    stop_if_asked();
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
        prospects[i].outlook = estimator_.look(prospects[i].purchase);
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

  static constexpr const char* stopped = "stopped";
  const PurchaseQuestion& question_;
  PlanOptions options_;
  const PurchaseLimits limits_;
  const std::vector<ModelBound> models_;
  const PurchaseEstimator estimator_;
  std::function<void(int, int)> report_;
  PurchasePlan plan_;
  double reached_ = 0;
};

}  // namespace

PurchasePlan plan_purchase(const PurchaseQuestion& question, const PlanOptions& options,
                           const PurchaseLimits& limits) {
  return PurchaseSearch(question, options, limits).run();
}

}  // namespace sextant
