#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/choices.hpp"
#include "sim/planner/pools.hpp"

namespace sextant {
namespace {

/// Half of what the estimate says a layout can serve: requests/s, or by Little's law requests at once.
double first_guess(const SearchContext& context, const EstimatedLayout& layout, bool closed) {
  const double capacity = closed ? layout.output_throughput * layout.token_seconds
                                 : layout.output_throughput / context.workload.output;
  return std::max(capacity / 2, 1e-6);
}

/// Whether one run meets every bound.
bool meets(const std::vector<ServiceLevel>& slo, const ServingMetrics& run) {
  Candidate judged;
  judged.metrics = run;
  Scenario bounds;
  bounds.slo = slo;
  judge_slo(bounds, judged);
  return judged.meets_slo && !run.overloaded;
}

/// The highest load between half and twice `near` at which one run meets the SLO, to 1 %.
double highest_load_once(const SearchContext& context, const Candidate& candidate, const CostLevel& level,
                         const PlanOptions& options) {
  constexpr double within = 1.01;
  const Scenario& scenario = context.scenario;
  const PreparedRun prepared = prepare_run(context, candidate.layout, prefill_layout(candidate), level);
  double low = candidate.simulated_load / 2, high = candidate.simulated_load * 2;
  while (high > low * within) {
    const double middle = std::sqrt(low * high);
    const ServingMetrics run =
        prepared.simulate(context, at_load(scenario.workload, middle),
                          {false, options.replication, scenario.goodput, options.stop, scenario.router});
    (meets(scenario.slo, run) ? low : high) = middle;
  }
  return low;
}

}  // namespace

std::vector<double> perturbed_loads(const SearchContext& context, const Candidate& candidate,
                                    const std::vector<Perturbation>& perturbations,
                                    const PlanOptions& options) {
  std::vector<CostLevel> levels;
  for (const Perturbation& perturbation : perturbations) {
    levels.push_back(perturbation.slow);
    levels.push_back(perturbation.fast);
  }
  levels.emplace_back();
  std::vector<double> loads(levels.size());
  run_parallel(static_cast<int>(levels.size()), options.threads, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    loads[at] = highest_load_once(context, candidate, levels[at], options);
  });
  return loads;
}

Candidate candidate_at_highest_load(const SearchContext& context, const EstimatedLayout& layout,
                                    std::optional<double> to_beat, const PlanOptions& options) {
  const Scenario& scenario = context.scenario;
  LoadSearchOptions search;
  search.threads = options.threads;
  search.whole_numbers = scenario.workload.arrival == Workload::Arrival::concurrency;
  if (search.whole_numbers) search.most = static_cast<double>(scenario.workload.num_prompts);
  // A replica's models keep what they have worked out for the next load, but threads must not share them.
  std::vector<PreparedRun> prepared(static_cast<std::size_t>(search.most_replications));
  const RunAtLoad run = [&](double load, std::uint64_t replication) {
    PreparedRun& own = prepared[replication];
    if (own.setups.empty()) own = prepare_run(context, layout.layout, layout.prefill);
    return own.simulate(context, at_load(scenario.workload, load),
                        {options.step_by_step, replication, scenario.goodput, options.stop, scenario.router});
  };
  LoadSearch found = find_highest_load(scenario.slo, run, first_guess(context, layout, search.whole_numbers),
                                       to_beat, search);

  const double load = found.highest > 0 ? found.highest : found.probes.back().load;
  const Scenario loaded = at_load(scenario, load);
  PlanOptions once = options;
  once.observer = nullptr;
  Candidate candidate =
      simulate_candidate({loaded, context.machine, summarise_workload(loaded.workload)}, layout, once);
  // The replications have judged, not this one run.
  candidate.meets_slo = found.highest > 0;
  candidate.missed.clear();
  if (!candidate.meets_slo) candidate.missed.push_back(found.stopped);
  candidate.simulated_load = load;
  candidate.load = std::move(found);
  return candidate;
}

}  // namespace sextant
