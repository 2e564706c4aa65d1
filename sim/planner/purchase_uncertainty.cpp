#include "sim/planner/purchase_uncertainty.hpp"

#include "sim/planner/choices.hpp"
#include "sim/planner/comparison.hpp"

namespace sextant {
namespace {

/// What the model's error does to a model on the best purchase; its candidate gets the intervals.
ErrorEffects effects_with_intervals(ModelAnswer& answer, const PlanOptions& options) {
  Candidate& candidate = answer.candidates.front();
  const Scenario answered = answered_scenario(answer.scenario, candidate);
  const Machine machine(answered.cluster, answered.engine.profile, options.find_profile);
  const SearchContext context{answered, machine, summarise_workload(answered.workload)};
  const PerturbedRuns runs =
      perturbed_runs(context, candidate.layout, scans_states(candidate), options, prefill_layout(candidate));
  candidate.intervals = metric_intervals(context, candidate, runs).intervals;
  return error_effects(context, candidate, Objective::throughput, runs, options);
}

}  // namespace

void add_uncertainty(const PurchaseQuestion& question, PurchasePlan& plan, const PlanOptions& options) {
  for (std::size_t m = 0; m < question.models.size(); ++m) {
    ModelAnswer& best = plan.best.models[m];
    const ErrorEffects of_best = effects_with_intervals(best, options);
    for (PurchaseAlternative& alternative : plan.alternatives) {
      const ModelAnswer& other = alternative.planned.models[m];
      const ErrorEffects of_other =
          plan_effects(other.scenario, other.best(), Objective::throughput, options);
      alternative.comparisons.push_back(compare_candidates({best.scenario, best.best(), of_best},
                                                           {other.scenario, other.best(), of_other},
                                                           Objective::throughput));
    }
  }
}

}  // namespace sextant
