#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/cost/cost.hpp"
#include "models/llm/memory.hpp"
#include "models/profile/engine_profile.hpp"
#include "sim/fabric/route.hpp"
#include "sim/serving/drafter.hpp"
#include "sim/serving/engine_options.hpp"
#include "sim/serving/layout.hpp"
#include "sim/serving/pipeline_model.hpp"

namespace sextant {

/// A model as it is served: what it is and how its weights and cache are stored.
struct ServedModel {
  Architecture architecture;
  WeightFormat weights;
  KvFormat kv;
  std::optional<Drafter> drafter = {};  ///< beside it, where it decodes speculatively
};

/// The machine room of a plan: everything a replica's times follow from, looked up once and shared by
/// threads.
class Machine {
 public:
  /// Finds the profile of every kind of GPU in the cluster. Throws InputError for one that has none.
  /// A cluster that a fault has struck `may_be_split`.
  Machine(const Cluster&, const std::string& engine_profile,
          const GpuProfileFinder& find_profile = find_gpu_profile, bool may_be_split = false);
  const Topology& topology() const { return topology_; }
  const Cluster& cluster() const { return topology_.cluster(); }
  const EngineProfile& engine() const { return engine_; }
  /// What a tensor-parallel group's collectives cost with the engine's own kernels, if it has any.
  LinkProfile group_link(const std::vector<int>& gpus) const;
  /// The GPU profile of a device.
  const std::shared_ptr<const GpuProfile>& profile(int device) const;

 private:
  Topology topology_;
  EngineProfile engine_;
  std::map<std::string, std::shared_ptr<const GpuProfile>> profiles_;
};

/// What a tensor-parallel group's collectives cost: the profile of the slowest route among its GPUs, with
/// curves of NCCL's model for a group size that nobody measured; several GPUs on each of several nodes: the
/// network's profile with curves of exactly that group.
LinkProfile group_link(const Topology&, const std::vector<int>& gpus);

/// Memory of one stage on its tightest GPU.
struct StageMemory {
  StageShape shape;
  StageWeights weights;
  MemoryBudget budget;
  int device = -1;  ///< the tightest GPU
};

/// Memory of every stage of a replica. Does not throw where it does not fit: budget.fits() tells.
std::vector<StageMemory> replica_memory(const ServedModel&, const EngineOptions&, const EngineProfile&,
                                        const Cluster&, const std::vector<StagePlacement>&, LayerCut);

/// How the replica's layers share its KV blocks.
KvPool replica_pool(const ServedModel&, const EngineOptions&, std::int64_t tensor_parallel);

/// KV blocks of the replica that requests can have: those of its tightest stage, as vLLM takes the minimum
/// over workers, less those the engine keeps.
std::int64_t kv_blocks(const std::vector<StageMemory>&, const EngineOptions&);

/// Tokens missing to the next captured CUDA graph; 0 beyond the largest.
std::int64_t graph_padding(const std::vector<std::int64_t>& sizes, std::int64_t tokens);
/// A sampled token's id on its way back to the first stage.
inline constexpr double bytes_per_token_id = 4;

/// The engine's sampler at work on the model's logits on that GPU; null where it has none or every request is
/// greedy and without penalties.
std::shared_ptr<const SamplerWork> sampler_work(const ServedModel&, const EngineProfile&, const Gpu&);

/// A pass of decodes alone: so many with so many tokens cached on average, those speculated included.
PassShape decode_pass(const EngineOptions&, std::int64_t batch, double context);

/// The times of one replica from profiles: stages by operator, hops by route, host time by engine. The
/// drafter's passes follow those of the last stage: one over all tokens of the batch, then one for each
/// further token it drafts, over the batch's requests (vllm/v1/spec_decode/eagle.py, propose).
class ReplicaModel final : public PipelineModel {
 public:
  ReplicaModel(const ServedModel&, const Machine&, const std::vector<StagePlacement>&, LayerCut,
               CostLevel level = {});

  int stages() const override { return static_cast<int>(stages_.size()); }
  PassTime pass(int stage, const PassShape&) const override;
  /// Where every rank's tokens fit a captured CUDA graph, all are padded to the largest one's, and the
  /// experts compute the padding too; else each brings what it has. An idle rank computes one token
  /// (vllm/v1/worker/dp_utils.py, coordinate_batch_across_dp; GPUModelRunner._dummy_run).
  PassTime pass_together(std::span<const PassShape> ranks) const override;
  Time hop(int stage, std::int64_t tokens) const override;
  Time host(std::int64_t requests) const override;
  Time front_end(std::int64_t prompt_tokens) const override;
  HostCopy host_copy(std::int64_t tokens) const override;

  /// Seconds of a pass by operator family, for explanations.
  FamilySeconds families(int stage, const PassShape&) const;
  /// Share of the pass that streams from memory, of the group's first kind of GPU.
  double memory_bound_share(int stage, const PassShape&) const;
  /// The route from `stage` to the next (the last: back to the first); same_gpu for a single stage.
  const Route& route(int stage) const { return stages_[static_cast<std::size_t>(stage)].next; }
  double beside_hop(int stage, bool prompts) const override;
  double hop_bytes(int stage, std::int64_t tokens) const override;
  Grade grade() const;
  bool extrapolated() const;

 private:
  struct Stage {
    std::vector<StageCost>
        costs;  // one for each kind of GPU in the tensor-parallel group; the slowest sets the pace
    std::vector<QueryTile> mixed_tiles;  // of each of `costs`
    Route next;
    double beside_prompts = 1, beside_decodes = 1;  // of a pass while the message to `next` is under way
    double hop_bytes_per_token = 0;
  };
  FamilySeconds draft(std::size_t kind, const PassShape&) const;
  FamilySeconds padded_families(int stage, const PassShape&) const;

  std::vector<Stage> stages_;
  double host_seconds_per_token_ = 0;   ///< of keys and values, over the slowest GPU's link to its host
  double kv_bytes_per_token_ = 0;       ///< on all GPUs
  std::vector<StageCost> draft_costs_;  // of each of the last stage's costs; empty: nothing drafts
  std::int64_t draft_passes_ = 0;
  EngineProfile engine_;
  CostLevel level_;
};

}  // namespace sextant
