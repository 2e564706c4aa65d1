#pragma once
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/llm/layer_parts.hpp"

namespace sextant {

/// One pipeline stage of one replica: its layers and the GPUs (device indices) of its tensor-parallel group.
struct StagePlacement {
  LayerRange layers;
  std::vector<int> gpus;
  /// Where data-parallel ranks share experts: the GPUs of all of them, each with its part of the experts.
  std::vector<int> expert_gpus = {};
  bool operator==(const StagePlacement&) const = default;
};

/// Ways a replica's layers are cut: the size of its stages' groups.
int tensor_parallel(const std::vector<StagePlacement>& replica);

/// tp x pp x dp x ep, the layers of each stage and which GPUs they run on. Replicas need not be alike: tp and
/// pp are then the first one's; where ep is above 1, each one's group divides the experts among itself.
struct Layout {
  int tp = 1, pp = 1, dp = 1;
  std::vector<std::vector<StagePlacement>> replicas;  ///< [dp][pp]
  int ep = 1;  ///< ways in which each tensor-parallel group divides the routed experts: 1 (cut in width) or
               ///< tp; above tp, so many GPUs of ep / tp replicas, ranks of one server, which step together

  /// How each stage is cut among its GPUs.
  LayerCut cut(const std::vector<StagePlacement>& replica) const;
  /// Whether replicas are ranks of one server that have one set of experts, and so step together.
  bool shares_experts() const { return sharing_ranks() > 1; }
  int sharing_ranks() const;

  /// "42/42/42"
  std::string split() const;
  /// Whether all replicas have the same tp and pp.
  bool alike() const;
  /// "tp 1 x pp 3 x dp 1, layers 42/42/42", "tp 4 x pp 1 x dp 1, ep 4"; of unlike replicas each sort by
  /// itself: "tp 8 x pp 1 x dp 2 + tp 4 x pp 2 x dp 1, layers 41/39".
  std::string describe() const;
};

/// Layer counts of each stage as vLLM divides them when not told: as even as can be, the remainder on the
/// stages before the last (vllm/distributed/utils.py, get_pp_indices).
std::vector<int> even_split(int layers, int stages);

/// Consecutive ranges from layer counts.
std::vector<LayerRange> ranges(const std::vector<int>& counts);

}  // namespace sextant
