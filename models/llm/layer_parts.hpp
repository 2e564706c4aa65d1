#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"

namespace sextant {

/// One linear layer's weights as one GPU holds them.
struct Matrix {
  std::string fused;  ///< the GEMM that computes it together with its neighbours: qkv, output, gate_up, down
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
};

/// What one layer consists of on each GPU of a tensor-parallel group; memory and operators both count from
/// here.
struct LayerParts {
  std::vector<Matrix> matrices;
  std::int64_t norm_weights = 0;
  std::int64_t biases = 0;
};

/// One GPU's share of a layer. Throws InputError where the group cannot divide heads or width evenly.
LayerParts layer_parts(const LayerKind&, std::int64_t hidden, std::int64_t tensor_parallel);

/// One GPU's share of the heads: key/value heads are replicated where there are fewer than GPUs.
/// Throws InputError where they cannot be divided evenly.
GroupedQueryAttention local_attention(const GroupedQueryAttention&, std::int64_t tensor_parallel);
/// One GPU's share of the width.
GatedMlp local_mlp(const GatedMlp&, std::int64_t tensor_parallel);

/// One GPU's rows of embedding and head: the vocabulary padded to a multiple of 64
/// (vllm/model_executor/layers/ vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE) and of the group.
std::int64_t local_vocabulary(const Architecture&, std::int64_t tensor_parallel);

}  // namespace sextant
