#pragma once
#include "sim/planner/candidate.hpp"

namespace sextant {

/// The replicas of one or two pools and the fabric that they share, ready to simulate.
struct PreparedRun {
  std::vector<ReplicaSetup> setups;
  std::shared_ptr<const ServingFabric> fabric;
  ServingMetrics simulate(const SearchContext&, SimulationOptions) const;
  /// The same under another workload than the context's.
  ServingMetrics simulate(const SearchContext&, const Workload&, SimulationOptions) const;
};

/// `main` alone, or with a prefill pool in front of it; every family of costs at `level`.
PreparedRun prepare_run(const SearchContext&, const Layout& main, const std::optional<Layout>& prefill,
                        CostLevel level = {});

/// The two pools of a scenario that has both. A pool without a placement takes the first GPUs, node by node,
/// that the other leaves. Throws InputError where they share a GPU or one finds too few; puts a rejection
/// where one has no room for KV.
EstimatedLayout pools_layout(const SearchContext&, std::vector<Rejection>&);

/// Both pools with what they carry together at the context's demand.
EstimatedLayout pools_estimate(const SearchContext&, const Layout& prefill, const Layout& decode);

/// Fills in candidate.prefill, and what the two pools have in common with one: grade, whether they start.
void report_prefill_pool(const SearchContext&, const Layout& prefill, Candidate&);

/// The weakest grade of the replicas of either kind.
Grade model_grade(const std::vector<ReplicaSetup>&);

/// Both pools' GPUs; prompts draw power in one and tokens in the other.
std::optional<Energy> energy_of_pools(const SearchContext&, const Candidate&);

/// What the pools do and what goes between them, in sentences.
void explain_pools(const SearchContext&, const Candidate&, std::vector<std::string>& reasons);

/// Where one pool and two were both tried: the best of either, and what two pools gain and give up, in a
/// sentence.
void explain_disaggregation(const Plan&, std::vector<std::string>& reasons);

}  // namespace sextant
