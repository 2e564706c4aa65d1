#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/planner/fault_epochs.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {

/// What the workload asks for on average; estimates work with these, simulations with the requests
/// themselves.
struct WorkloadSummary {
  double prompt = 0;       ///< tokens, mean
  double output = 0;       ///< tokens, mean
  double concurrency = 0;  ///< requests at once (closed loop); 0: open loop
  double rate = 0;         ///< requests/s (open loop); 0: closed loop; infinity: all at once
  /// A request's mean cached tokens while it decodes.
  double context() const { return prompt + output / 2; }
};

/// Draws the first requests of the workload (2,000 at most) and averages.
WorkloadSummary summarise_workload(const Workload&);

/// GPUs that form one tensor-parallel group, before they are given a stage.
struct GpuGroup {
  std::vector<int> gpus;
  std::string kind;  ///< groups of one kind are interchangeable: node and GPU models
};

/// What a search works on; the referenced objects outlive it.
struct SearchContext {
  const Scenario& scenario;
  const Machine& machine;
  WorkloadSummary workload;
  std::vector<FaultEpoch> epochs = {};  ///< of the scenario's faults
  /// What the layouts looked for do: prefill ones compute prompts alone, whatever their requests then ask
  /// for.
  ReplicaRole role = ReplicaRole::whole;
};

/// A layout that fits in memory, with what the estimate says of it at the workload's demand.
struct EstimatedLayout {
  Layout layout;
  std::int64_t kv_blocks = 0;
  double output_throughput = 0;     ///< tokens/s
  double token_seconds = 0;         ///< between two tokens of one request
  std::optional<Layout> prefill{};  ///< prefill and decode apart: `layout` then decodes
};

struct SearchResult {
  std::vector<EstimatedLayout> layouts;  ///< best estimate first
  std::vector<Rejection> rejections;
  SearchProof proof;
};

/// What a caller may want of a search besides its result.
struct SearchOptions {
  const std::atomic<bool>* stop = nullptr;  ///< once set, the best found so far is the result
  /// Called now and then: branches settled and all known so far, and the best estimate up to now.
  std::function<void(std::int64_t done, std::int64_t total, const EstimatedLayout* best)> progress;
  /// Hears of every branch that a bound settles; without it only examples are kept.
  std::function<void(const PrunedBranch&)> pruned;
  /// Partial pipelines that branch and bound may look at. Beyond, the result is what was found, and its proof
  /// says how far from the bound that is.
  std::int64_t most_steps = 300'000;
  /// 0: stop before branch and bound, with the layouts that the rules of placement and split suggest.
  bool prove = true;
};

/// Every tp x pp x dp x ep the cluster can hold with the placements and splits worth trying; then branch and
/// bound over all placements, splits and mixtures of unlike replicas, which finds a better one or proves that
/// there is none.
SearchResult search_layouts(const SearchContext&, const SearchOptions& = {});

/// Output tokens/s that no layout of this cluster can exceed by the estimate: every GPU at its best tensor
/// parallel degree, kept busy, with no exchange between GPUs; and no more than the demand. 0 where all memory
/// together cannot hold the weights. Milliseconds where the sorts of GPUs are few; throws InputError where a
/// profile lacks an operator.
double throughput_bound(const SearchContext&);

/// Whether `a` is the better answer: the higher throughput in classes of a percent, within a class the
/// shorter time between tokens (the demand of an open loop caps throughputs).
bool better_estimate(const EstimatedLayout& a, const EstimatedLayout& b);
/// The class of a percent that a throughput is in.
double throughput_grade(double output_throughput);

/// The one layout of a fixed deployment. Throws InputError if its GPUs or layers do not exist or do not add
/// up.
Layout fixed_layout(const Scenario&, const FixedDeployment&);

// ---- the parts of the search, each its own file
// ------------------------------------------------------------------

/// Why a model cannot be cut `tp` ways, in words; nullopt if it can.
std::optional<std::string> tensor_parallel_obstacle(const ServedModel&, int tp);
/// The same where the group divides the experts too, each whole.
std::optional<std::string> cut_obstacle(const ServedModel&, LayerCut);

/// Ways for a tensor-parallel group to divide the experts that are worth trying: 1, and tp where the model
/// has experts.
std::vector<int> expert_degrees(const ServedModel&, int tp);

/// Names a pipeline up to the exchange of equal nodes: two with one signature do the same.
std::string signature(const Cluster&, const std::vector<GpuGroup>& pipeline);

/// The cluster's GPUs in groups of `tp`, inside nodes as far as possible. Empty if there are too few GPUs.
std::vector<GpuGroup> gpu_groups(const Cluster&, int tp);

/// The distinct orders in which `stages` of the groups can form a pipeline (interchangeable groups count
/// once); at most `most` of them, those with the fewest changes of node first.
std::vector<std::vector<GpuGroup>> pipelines(const Cluster&, const std::vector<GpuGroup>&, int stages,
                                             std::size_t most);

/// Seconds of work that one mean request gives a group that holds the whole model (whether it can or not), at
/// the pace of its slowest GPU; infinity where a profile lacks an operator.
double group_seconds(const SearchContext&, const GpuGroup&, LayerCut);

/// Layer counts worth trying on a pipeline: vLLM's even split, and every split on the Pareto front of
/// (slowest stage, KV tokens) around the one that balances the stages' work. Those that leave no KV room
/// anywhere are left out.
std::vector<std::vector<int>> splits_worth_trying(const SearchContext&, const std::vector<GpuGroup>& pipeline,
                                                  LayerCut);

/// Why the stage that lacks most memory does not fit: "stage 0 needs 108.6 GB of weights, the GPU has 102.6".
Rejection memory_rejection(const Layout&, const std::vector<StageMemory>&);

/// Analytic output tokens/s of a layout: the slowest of stage work, pipeline latency and demand.
EstimatedLayout estimate(const SearchContext&, const Layout&);

/// Memory of the replica that has least room; tells whether a layout fits.
std::vector<StageMemory> tightest_replica(const SearchContext&, const Layout&);

}  // namespace sextant
