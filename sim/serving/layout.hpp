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
  bool operator==(const StagePlacement&) const = default;
};

/// tp x pp x dp x ep, the layers of each stage and which GPUs they run on.
struct Layout {
  int tp = 1, pp = 1, dp = 1;
  std::vector<std::vector<StagePlacement>> replicas;  ///< [dp][pp]
  int ep =
      1;  ///< ways in which each tensor-parallel group divides the routed experts: 1 (cut in width) or tp

  /// How each stage is cut among its GPUs.
  LayerCut cut() const { return {tp, ep}; }

  /// "42/42/42"
  std::string split() const;
  /// "tp 1 x pp 3 x dp 1, layers 42/42/42", "tp 4 x pp 1 x dp 1, ep 4"
  std::string describe() const;
};

/// Layer counts of each stage as vLLM divides them when not told: as even as can be, the remainder on the
/// stages before the last (vllm/distributed/utils.py, get_pp_indices).
std::vector<int> even_split(int layers, int stages);

/// Consecutive ranges from layer counts.
std::vector<LayerRange> ranges(const std::vector<int>& counts);

}  // namespace sextant
