#pragma once
#include "sim/planner/operators_used.hpp"
#include "sim/planner/plan.hpp"
#include "sim/planner/search.hpp"
#include "sim/serving/simulation.hpp"

namespace sextant {

/// The replicas of a layout, ready to simulate; every family of costs at `level`.
std::vector<ReplicaSetup> replica_setups(const SearchContext&, const Layout&, CostLevel level = {});

/// Tokens that requests of the workload's mean length have in so many blocks.
std::int64_t cached_tokens(const SearchContext&, const KvPool&, std::int64_t blocks);

/// Whether one request of max_model_len fits in the blocks and the engine's own: vLLM refuses to start
/// otherwise (check_enough_kv_cache_memory).
bool holds_longest(const EngineOptions&, const KvPool&, std::int64_t blocks);

/// Fills in the stages of a candidate whose layout, metrics, decode batch and chunk are known.
void report_stages(const SearchContext&, Candidate&);

/// Simulates a layout and reports its stages. Throws Interrupted if stopped.
Candidate simulate_candidate(const SearchContext&, const EstimatedLayout&, const PlanOptions&);

/// The highest load of a layout (the context's workload asks for it) and its run there. With `to_beat`, a
/// layout that does not sustain that load is left there. A layout that sustains nothing misses the SLO.
Candidate candidate_at_highest_load(const SearchContext&, const EstimatedLayout&,
                                    std::optional<double> to_beat, const PlanOptions&);

/// 90 % intervals of the named metrics, and in a sentence what they come from.
struct MetricIntervals {
  std::map<std::string, Interval> intervals;
  std::string cause;
};

/// Whether `a` ranks before `b` by throughput (objective.hpp).
bool ranks_before(const Candidate& a, const Candidate& b);

/// Holds the run of a candidate against the scenario's SLO. A rejected request misses any SLO, as does a
/// bounded metric that has no sample.
void judge_slo(const Scenario&, Candidate&);

/// The interval around `nominal` of independent effects, each given by the metric's values at its two ends:
/// logarithms of ratios add in quadrature, so that a low end stays above 0 as long as each effect alone does.
Interval combined_interval(double nominal, const std::vector<std::pair<double, double>>& ends);

/// One operator family (the last one: every time, for what no operator covers) at either end of its interval.
struct Perturbation {
  std::string family;
  CostLevel slow, fast;
};

/// Without `scans` the state-space family, which a model without such layers does not have, is left out.
std::vector<Perturbation> family_perturbations(bool scans);

/// The candidate's highest load at the slow and the fast end of each perturbation, and at last as it is: by
/// one replication each, to 1 %, between half and twice the load found.
std::vector<double> perturbed_loads(const SearchContext&, const Candidate&, const std::vector<Perturbation>&,
                                    const PlanOptions&);

/// The named metrics of runs in which one operator family (the last pair: every time, for what no operator
/// covers) is taken at the slow, then at the fast end of its interval, with the same requests.
struct PerturbedRuns {
  std::vector<std::string> families;
  std::vector<std::vector<std::pair<std::string, double>>> metrics;  ///< two for each family: slow, fast
};

/// The same for a layout (and the prefill pool beside it), of every family_perturbations(scans).
PerturbedRuns perturbed_runs(const SearchContext&, const Layout&, bool scans, const PlanOptions&,
                             const std::optional<Layout>& prefill = std::nullopt);

/// One run for each operator family at either end of its interval, with the same requests; families are
/// independent of each other, so their effects are combined as above, and a structural term for what the
/// model leaves out joins them. They hold the model's error alone: another seed's requests are not in them.
MetricIntervals metric_intervals(const SearchContext&, const Candidate&, const PlanOptions&);
/// The same from runs that were made before.
MetricIntervals metric_intervals(const SearchContext&, const Candidate&, const PerturbedRuns&);

/// The prefill pool's layout, where prefill and decode are apart.
std::optional<Layout> prefill_layout(const Candidate&);

/// Whether some stage has state-space layers.
bool scans_states(const Candidate&);

/// Why the first candidate is first, what limits it, and what would not help; in sentences.
std::vector<std::string> explain(const SearchContext&, const Plan&);

/// How the search was settled, by which rule the best placement goes, and what its unevenness gains; in
/// sentences.
std::vector<std::string> explain_search(const SearchContext&, const Plan&);

/// Runs `task(i)` for i in [0, count) on `threads` threads; the first exception is rethrown when all have
/// ended.
void run_parallel(int count, int threads, const std::function<void(int)>& task);

}  // namespace sextant
