#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/llm/memory.hpp"
#include "models/llm/weight_format.hpp"

namespace sextant {

/// out[m, n] = in[m, k] * weight[n, k]^T on one GPU.
struct GemmShape {
  std::string type;  ///< profile dtype
  std::int64_t n = 0;
  std::int64_t k = 0;
  bool operator==(const GemmShape&) const = default;
};

/// Attention of one layer on one GPU: its share of the heads.
struct AttentionShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t window = 0;  ///< 0: full
  std::string kv_type;      ///< bf16, fp8
  std::int64_t chunk = 0;   ///< tokens see their own chunk of so many; 0: everything before them
  bool operator==(const AttentionShape&) const = default;
};

/// The routed experts of one layer on one GPU, one fused operator: sorting tokens by expert, both GEMMs of
/// every expert met, the activation and the weighted sum. The router's GEMM is not in it. Sizes are the
/// layer's, before it is cut.
struct MoeShape {
  std::int64_t hidden = 0;        ///< of the experts' inputs: narrower than the layer's where they are latent
  std::int64_t intermediate = 0;  ///< of one expert
  std::int64_t experts = 0;
  std::int64_t topk = 0;             ///< experts each token takes
  std::int64_t tensor_parallel = 1;  ///< ways an expert's width is cut
  std::int64_t expert_parallel = 1;  ///< ways the experts are divided
  std::string type;                  ///< profile dtype
  bool gated = true;                 ///< three matrices an expert, else two
  bool operator==(const MoeShape&) const = default;

  std::int64_t local_experts() const { return experts / expert_parallel; }
  /// Of one expert, as far as this GPU holds it.
  double expert_weights() const {
    return (gated ? 3.0 : 2.0) * static_cast<double>(hidden) * static_cast<double>(intermediate) /
           static_cast<double>(tensor_parallel);
  }
};

/// Latent attention of one layer on one GPU, one operator: the projections into and out of the latent
/// vectors, norms and positions inside, attention itself. Prompts are expanded to keys and values of each
/// head; decodes work on the latent vectors, with those projections absorbed. The all-reduce is not in it.
struct LatentAttentionShape {
  std::int64_t heads = 0;  ///< on this GPU
  std::int64_t hidden = 0;
  std::int64_t query_rank = 0, kv_rank = 0, nope_dim = 0, rope_dim = 0,
               value_dim = 0;  ///< as LatentAttention
  std::string projections;     ///< profile dtype of the projections' weights
  std::string kv_type;         ///< bf16, fp8
  bool operator==(const LatentAttentionShape&) const = default;

  /// Of the projections that every pass streams once: all but the one between latent vector and heads.
  double shared_weights() const;
  /// Between latent vector and heads: expanded for prompts, absorbed for decodes.
  double latent_weights() const {
    return static_cast<double>(heads) * static_cast<double>(kv_rank) *
           static_cast<double>(nope_dim + value_dim);
  }
};

/// The convolution and scan of a state-space mixer (Mamba2) on one GPU: its share of heads and groups. The
/// projections around it are GEMMs.
struct StateSpaceShape {
  std::int64_t heads = 0, head_dim = 0, state = 0, groups = 0, conv_kernel = 0, chunk = 0;
  double state_bytes = 4;  ///< of one value of state
  bool operator==(const StateSpaceShape&) const = default;
};

/// A memory-bound operator: reads and writes so many bytes for each token.
struct ElementwiseShape {
  std::string op;  ///< rmsnorm, rope, activation, residual, routing, embedding, sampling
  double bytes_per_token = 0;
  bool operator==(const ElementwiseShape&) const = default;
};

/// A collective over the stage's tensor-parallel group, or over the GPUs that share the experts.
struct CollectiveShape {
  std::string op;              ///< all_reduce, all_gather, reduce_scatter
  double bytes_per_token = 0;  ///< as nccl-tests' size; where ranks share experts, for each token of any
  std::int64_t ranks = 0;      ///< 0: the tensor-parallel group
  bool operator==(const CollectiveShape&) const = default;
};

template <class Shape>
struct Counted {
  Shape shape;
  std::int64_t count = 1;
};

/// Everything one GPU does in one pass of its stage. "Per token" operators run at the pass's total token
/// count; "per sample" ones at the number of tokens sampled in it (the head needs one row per sequence that
/// yields a token).
struct StageOperators {
  std::vector<Counted<GemmShape>> gemms;
  std::vector<Counted<MoeShape>> moes;
  std::vector<Counted<AttentionShape>> attentions;
  std::vector<Counted<LatentAttentionShape>> latents;
  std::vector<Counted<StateSpaceShape>> state_spaces;
  std::vector<Counted<ElementwiseShape>> elementwise;
  std::vector<Counted<CollectiveShape>> collectives;
  std::vector<Counted<GemmShape>> sample_gemms;
  std::vector<Counted<ElementwiseShape>> sample_elementwise;
  std::vector<Counted<CollectiveShape>> sample_collectives;
  double hop_bytes_per_token =
      0;  ///< to the next stage: hidden state and residual, 2 x hidden x 2 B; 0 on the last
};

/// The operators of a stage; equal shapes are merged and counted. q, k, v are one GEMM, gate and up are one,
/// as serving engines fuse them.
StageOperators stage_operators(const Architecture&, const WeightFormat&, const KvFormat&, const StageShape&);

/// FLOPs of GEMMs, routed experts and latent projections per token (2 per weight that a token meets), for
/// reports.
double flops_per_token(const StageOperators&);

}  // namespace sextant
