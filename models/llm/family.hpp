#pragma once
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"

namespace sextant {

/// Models whose config.json is read alike. A family is one reader in a file of its own and one line in
/// family.cpp.
struct ModelFamily {
  std::string name;                                ///< config.json's architectures[0]
  Architecture (*read)(const JsonObject& config);  ///< fills all but name and family
};

/// Every family that read_architecture knows.
std::vector<ModelFamily> families();

// One reader per family; each throws InputError naming the key.
Architecture read_llama(const JsonObject& config);
Architecture read_mistral(const JsonObject& config);
Architecture read_qwen2(const JsonObject& config);
Architecture read_qwen3(const JsonObject& config);

// Shared by the readers.

/// Sizes of the whole model, no layers yet.
Architecture read_model_sizes(const JsonObject& config);
/// num_hidden_layers.
int read_layer_count(const JsonObject& config);
/// Heads and their width; kv heads default to heads, head_dim to hidden_size / heads.
GroupedQueryAttention read_grouped_query_attention(const JsonObject& config);
/// intermediate_size; no bias.
GatedMlp read_gated_mlp(const JsonObject& config);
/// The same layer `count` times.
void add_uniform_layers(Architecture&, const LayerKind&, int count);
/// Adds one layer, reusing an equal kind.
void add_layer(Architecture&, const LayerKind&);

}  // namespace sextant
