#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/profile/gpu_profile.hpp"
#include "sim/planner/energy.hpp"
#include "sim/planner/load_search.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/serving/run_observer.hpp"

namespace sextant {

struct ErrorEffects;

/// A layout that cannot be, and why: "tp 3: 128 attention heads are not divisible by 3".
struct Rejection {
  std::string layout;          ///< "tp 3" or "pp 2"
  std::string reason;          ///< in words
  double shortfall_bytes = 0;  ///< where memory is why: how much is missing on the worst GPU
};

/// A branch of the search of which no layout can be the best, and the proof: what bounds it, the value of the
/// bound, and what it had to beat.
struct PrunedBranch {
  std::string branch;        ///< in words
  std::string bound;         ///< memory, roofline, link, token time, dominated
  double value = 0;          ///< output tokens/s that nothing in the branch exceeds
  double had_to_beat = 0;    ///< output tokens/s of the best layout known then
  double token_seconds = 0;  ///< least of anything in the branch; decides where value and had_to_beat tie
};

/// How far a search got.
struct SearchProof {
  bool complete = false;  ///< nothing is better than the first layout: equals exhaustive search
  bool interrupted = false;
  double bound = 0;                            ///< output tokens/s that no layout exceeds
  std::int64_t estimates = 0;                  ///< replicas worked out
  std::int64_t steps = 0;                      ///< partial pipelines looked at
  std::map<std::string, std::int64_t> pruned;  ///< branches by bound
  std::vector<PrunedBranch> examples;          ///< of each bound the one that came nearest
};

/// One stage of a candidate, for the reader of a plan.
struct StageReport {
  LayerRange layers;
  std::vector<std::string> gpus;  ///< device names
  std::string gpu;                ///< catalogue name; several joined by " + " in a mixed group
  StageMemory memory;
  std::int64_t kv_tokens = 0;
  double decode_pass_ms = 0;      ///< at the run's mean batch and context
  FamilySeconds decode_families;  ///< of that pass
  double chunk_pass_ms = 0;  ///< a prefill chunk of max_num_batched_tokens (or the mean prompt if shorter)
  std::string hop;           ///< route to the next stage; empty on the last
  double decode_hop_ms = 0, chunk_hop_ms = 0;
  double decode_hop_bytes = 0, chunk_hop_bytes = 0;
  StageShares shares;
};

/// 90 % interval of a headline number: the model's error alone, with the same requests.
struct Interval {
  double low = 0, nominal = 0, high = 0;
};

/// A layout that fits, simulated.
struct Candidate {
  Layout layout;
  std::vector<StageReport> stages;  ///< of the first replica
  std::int64_t kv_tokens = 0;       ///< that one replica can cache
  std::int64_t decode_batch = 0;    ///< the batch and context the reports' passes are taken at
  std::int64_t decode_context = 0;
  std::int64_t chunk_tokens = 0;
  double estimate = 0;  ///< analytic output tokens/s that ordered the candidates
  bool simulated = false;
  bool startable =
      true;  ///< false: vLLM refuses to start it, as max_model_len tokens do not fit in its KV cache
  ServingMetrics metrics;
  bool meets_slo = true;
  std::vector<std::string> missed;            ///< "p99_ttft_ms is 3120, bound <=2000"
  std::map<std::string, Interval> intervals;  ///< by metric name; for the best candidate
  Grade grade = Grade::assumed;
  bool extrapolated = false;  ///< some pass of the run lay outside what was fitted
  std::optional<double> usd_per_million_output_tokens;
  std::optional<Energy> energy;  ///< nullopt: nothing is known of some GPU's power
  /// Where prefill and decode are apart: layout, stages, KV room and shares of the prefill pool; this
  /// candidate's own are the decode pool's, its metrics those of the run.
  std::shared_ptr<const Candidate> prefill{};
  std::size_t choice = 0;   ///< of the scenario's search.choices
  std::string choice_name;  ///< "weights fp8, max_num_seqs 512"; empty where there is nothing to choose
  std::optional<LoadSearch> load;  ///< where the highest load is looked for
  double simulated_load = 0;       ///< what `metrics` are at, then
  bool on_front = false;           ///< no other is at least as good in every measure of the front
};

/// What became of one combination of formats and engine options.
struct ChoiceResult {
  std::string name;
  std::optional<std::size_t> best;  ///< of `candidates`; nullopt: none
  std::string reason;               ///< why there is none
};

/// The candidates that no other beats in every measure.
struct ParetoFront {
  std::vector<std::string> measures;    ///< "output_throughput", "p99_tpot_ms", …
  std::vector<std::size_t> candidates;  ///< by the first measure, best first
};

/// How much of the uncertainty of a comparison comes from one operator family.
struct UncertaintyPart {
  std::string family;
  double share = 0;  ///< of the variance of ln(metric of a / metric of b)
};

/// Whether one layout beats another, as sure as the profiles are (compare in comparison.hpp).
struct LayoutComparison {
  std::string a, b;
  std::string metric;                  ///< what decides between them
  double probability = 0.5;            ///< that a beats b
  std::vector<UncertaintyPart> parts;  ///< largest first; empty where nothing is uncertain
  std::string settled_by;              ///< the measurement that narrows the largest part: a line to run
};

/// The answer to a scenario.
struct Plan {
  std::string scenario;
  std::vector<Candidate> candidates;  ///< best first; only simulated ones
  int considered = 0;                 ///< layouts (with split and placement) that fit and were estimated
  std::vector<Rejection> rejections;
  std::vector<std::string> reasons;  ///< why the best is best, what limits it, in sentences
  SearchProof proof;                 ///< of a search: how it was settled that nothing is better
  bool interrupted = false;          ///< the best found when it was stopped; candidates may be none
  Objective objective = Objective::throughput;
  std::vector<ChoiceResult> choices;  ///< where the search had formats or engine options to choose from
  std::optional<ParetoFront> front;   ///< of the objective pareto
  std::optional<LayoutComparison>
      runner_up;  ///< the best against the next other layout, with options.intervals
  std::shared_ptr<const ErrorEffects> effects;  ///< of the best, for comparisons with other plans
};

/// One variant beside the base.
struct VariantResult {
  std::string name;
  std::vector<std::string> changes;  ///< "cluster.nodes[*].nic = connectx-7-400"
  std::optional<Plan> plan;          ///< nullopt: no layout fits
  std::string infeasible;            ///< why, then
  std::string verdict;               ///< what it moves and whether that is worth anything
  std::optional<LayoutComparison>
      comparison;  ///< with the base, of the same workload, with options.intervals
};

struct PlanOptions {
  int threads = 0;            ///< 0: as many as there are cores
  int simulate_at_most = 24;  ///< candidates that go from the estimate to the event simulation
  bool intervals = true;
  /// Throws InfeasibleError, with what bounds it, for an SLO that no load can meet; else such a plan has
  /// candidates that miss it.
  bool needs_possible_slo = true;
  bool step_by_step = false;
  std::uint64_t replication = 0;      ///< which independent repetition of the workload
  std::optional<std::uint64_t> seed;  ///< replaces the workload's
  const std::atomic<bool>* stop = nullptr;
  std::vector<double> percentiles;  ///< of each latency, in [0, 100], besides those always there
  /// Once stopped, make_plan returns the best found so far, marked as interrupted, instead of throwing.
  bool best_so_far = false;
  std::function<void(std::int64_t done, std::int64_t total)> search_progress;  ///< of the search before
  RunObserver* observer = nullptr;  ///< of a fixed deployment's run (one at a time); outlives it
  std::function<void(int done, int total)> progress;  ///< called between simulations
  /// Where profiles come from; a caller of many plans keeps what it has read. Called from the caller's
  /// thread.
  GpuProfileFinder find_profile = find_gpu_profile;
};

/// Searches (or takes the fixed) deployment, simulates, ranks, explains. Throws InfeasibleError, with the
/// smallest shortfall, if nothing fits, and if what fits serves no request.
Plan make_plan(const Scenario&, const PlanOptions& = {});

/// Plans every variant of the document and says what each moves against `base`.
std::vector<VariantResult> plan_variants(const JsonValue& document, const Scenario&, const Plan& base,
                                         const PlanOptions& = {});

}  // namespace sextant
