#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/llm/weight_format.hpp"

namespace sextant {

/// One linear layer's weights as one GPU holds them.
struct Matrix {
  /// The GEMM that computes it together with its neighbours: qkv, output, gate_up, down, router. Routed
  /// experts and latent attention run as operators of their own instead.
  std::string fused;
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
  Part part = Part::mlp;
  std::int64_t count = 1;  ///< alike: as many as the GPU holds experts
};

/// Matrices so labelled are no GEMMs of their own: latent attention is one operator, projections and all.
inline constexpr auto latent_label = "latent";

/// What one layer consists of on each GPU of a tensor-parallel group; memory and operators both count from
/// here.
struct LayerParts {
  std::vector<Matrix> matrices;
  std::int64_t norm_weights = 0;
  std::int64_t biases = 0;         ///< and what else stays in 16 bit: sinks, convolutions
  std::int64_t absorbed_copy = 0;  ///< 16-bit copies of weights that engines keep beside the quantised ones
};

/// How a layer is cut among the GPUs of its stage.
struct LayerCut {
  std::int64_t tensor_parallel = 1;
  /// Ways in which routed experts are divided. Up to tensor_parallel, the ranks that share an expert cut its
  /// width; beyond, the experts are spread over replicas of the attention, each expert whole.
  std::int64_t expert_parallel = 1;
  /// Several data-parallel ranks have one set of routed experts among them.
  bool shares_experts() const { return expert_parallel > tensor_parallel; }
  /// How many.
  std::int64_t sharing_ranks() const { return shares_experts() ? expert_parallel / tensor_parallel : 1; }
};

/// One GPU's share of a layer. Throws InputError where the group cannot divide heads, width or experts
/// evenly.
LayerParts layer_parts(const LayerKind&, std::int64_t hidden, LayerCut);

/// How a model served in `format` stores this part: null where in 16 bit, as a router always is, and other
/// parts where a checkpoint published in that format leaves them out. Points into either argument.
const WeightFormat* part_format(const Architecture&, const WeightFormat& format, Part);

/// One GPU's share of the heads: key/value heads are replicated where there are fewer than GPUs.
/// Throws InputError where they cannot be divided evenly.
GroupedQueryAttention local_attention(const GroupedQueryAttention&, std::int64_t tensor_parallel);
/// One GPU's share of the heads; the latent vectors are computed on every GPU.
LatentAttention local_latent_attention(const LatentAttention&, std::int64_t tensor_parallel);
/// One GPU's share of heads and groups; groups are replicated where there are fewer than GPUs.
Mamba2 local_mamba(const Mamba2&, std::int64_t tensor_parallel);
/// One GPU's share of the width.
PlainMlp local_mlp(const PlainMlp&, std::int64_t tensor_parallel);
GatedMlp local_mlp(const GatedMlp&, std::int64_t tensor_parallel);
/// Ways in which the width of one routed expert is cut. Throws InputError where neither of tensor and expert
/// parallel divides the other.
std::int64_t expert_tensor_parallel(LayerCut);
/// One GPU's experts, their width and that of the shared expert; experts_per_token stays that of the layer.
MixtureOfExperts local_experts(const MixtureOfExperts&, LayerCut);

/// One GPU's rows of embedding and head: the vocabulary padded to a multiple of 64
/// (vllm/model_executor/layers/ vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE) and of the group.
std::int64_t local_vocabulary(const Architecture&, std::int64_t tensor_parallel);

}  // namespace sextant
