#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/llm/kv_pool.hpp"
#include "models/llm/weight_format.hpp"
#include "models/profile/engine_profile.hpp"

namespace sextant {

/// The part of a model that one pipeline stage holds, cut `tensor_parallel` ways.
struct StageShape {
  LayerRange layers;
  std::int64_t tensor_parallel = 1;
  bool first = true;                 ///< holds the embedding
  bool last = true;                  ///< holds the final norm and the head
  std::int64_t expert_parallel = 1;  ///< see LayerCut
  bool operator==(const StageShape&) const = default;
};

/// Bytes of weights on each GPU of a stage.
struct StageWeights {
  double embedding = 0;
  double head = 0;     ///< a tied head costs again only where the embedding is on another stage
  double layers = 0;   ///< linear layers with their scales and zeros
  double norms = 0;    ///< norms and biases
  double encoder = 0;  ///< of pictures or sound, beside the language model
  double copies = 0;   ///< 16-bit copies of quantised weights that engines keep: latent attention's, absorbed
  double total() const { return embedding + head + layers + norms + encoder + copies; }
};

/// Weights of one stage, per GPU. Query heads and MLP are cut tp ways, routed experts divided and cut as
/// LayerCut says; KV heads are replicated where kv_heads < tp; embedding and head are cut along the
/// vocabulary, padded to a multiple of 64 and of tp, as vLLM does.
StageWeights stage_weights(const Architecture&, const WeightFormat&, const StageShape&);

/// Bytes that one cached token takes on each GPU of the stage (keys and values of its layers).
double kv_bytes_per_token(const Architecture&, const KvFormat&, const StageShape&);

/// What one sequence keeps in the caches of each GPU of a stage.
struct SequenceCache {
  /// Layers that slide: of each sequence they need the last `window` tokens only.
  struct Window {
    std::int64_t tokens = 0;
    double bytes_per_token = 0;
  };
  double bytes_per_token = 0;   ///< of layers that keep every token
  std::vector<Window> windows;  ///< one for each length of window
  double state = 0;             ///< constant, whatever the length: state-space mixers

  /// All of it, of a sequence of so many tokens.
  double bytes(std::int64_t tokens) const;
};
SequenceCache sequence_cache(const Architecture&, const KvFormat&, const StageShape&);

/// Bytes of the table of cosines and sines of every position that each GPU holds: max_position x head_dim
/// 16-bit values (vllm/model_executor/layers/rotary_embedding/base.py), 2.7 GB for ten million positions.
double position_table_bytes(const Architecture&);

/// The largest batch dimensions an engine must have room for.
struct BatchLimits {
  std::int64_t max_batched_tokens = 8192;
  std::int64_t max_sequences = 256;
};

/// Peak bytes of activations in one pass: the widest moment of a layer, plus the logits on the last stage.
double activation_peak_bytes(const Architecture&, const StageShape&, const BatchLimits&);

/// Where one GPU's memory goes; all in bytes, all explicit.
struct MemoryBudget {
  double device = 0;  ///< what the driver reports
  double usable = 0;  ///< device * gpu_memory_utilization
  double weights = 0;
  double activations = 0;
  double context = 0;             ///< CUDA context and loaded kernels
  double communication = 0;       ///< NCCL buffers, all communicators of this GPU
  double engine = 0;              ///< CUDA graphs, workspaces, the table of positions
  double kv_bytes_per_token = 0;  ///< where every layer keeps every token
  SequenceCache sequence;         ///< what one sequence keeps, each layer for itself
  KvPool pool;                    ///< how layers share what is left
  double block_bytes = 0;         ///< of one of its blocks
  std::int64_t sequences = 0;     ///< that may run at once
  double kv_share = 1;            ///< of what is left, KV takes so much
  double for_kv() const {
    return kv_share * (usable - weights - activations - context - communication - engine);
  }
  bool fits() const { return for_kv() > 0; }
  /// Whole blocks that fit. 0 also where sequences keep states and fewer blocks fit than may run at once:
  /// vLLM then refuses to start ("max_num_seqs exceeds available Mamba cache blocks").
  std::int64_t kv_blocks() const;
};

/// `communicators`: NCCL groups this GPU belongs to (tensor-parallel group of > 1 ranks, each pipeline
/// neighbour).
MemoryBudget memory_budget(const Architecture&, const WeightFormat&, const KvFormat&, const StageShape&,
                           const BatchLimits&, const EngineMemory&, double device_bytes,
                           double gpu_memory_utilization, int communicators, const KvPool& = {});

}  // namespace sextant
