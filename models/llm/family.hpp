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
Architecture read_mixtral(const JsonObject& config);
Architecture read_qwen3_moe(const JsonObject& config);
Architecture read_llama4(const JsonObject& config);
Architecture read_gpt_oss(const JsonObject& config);
Architecture read_deepseek(const JsonObject& config);
Architecture read_glm4_moe(const JsonObject& config);
Architecture read_gemma3(const JsonObject& config);
Architecture read_nemotron_nas(const JsonObject& config);
Architecture read_nemotron_h(const JsonObject& config);

// Shared by the readers.

/// Sizes of the whole model, no layers yet.
Architecture read_model_sizes(const JsonObject& config);
/// The longest context in tokens as vLLM derives it: max_position_embeddings and what rope_parameters or
/// rope_scaling make of it. Throws InputError for an unknown rope type and where its factor is missing.
std::int64_t read_longest_context(const JsonObject& config);
/// num_hidden_layers.
int read_layer_count(const JsonObject& config);
/// Heads and their width; kv heads default to heads, head_dim to hidden_size / heads.
GroupedQueryAttention read_grouped_query_attention(const JsonObject& config);
/// intermediate_size; no bias.
GatedMlp read_gated_mlp(const JsonObject& config);
/// Counts of experts and of those each token takes, under the family's keys. Throws InputError where a token
/// would take more than there are.
MixtureOfExperts read_experts(const JsonObject& config, const std::string& count_key,
                              const std::string& intermediate_key);
/// The experts of families that write n_routed_experts, n_shared_experts and moe_intermediate_size: the
/// shared ones are one as wide as all of them; routed ones have a bias that balances their load, unless
/// topk_method is another than noaux_tc.
MixtureOfExperts read_routed_experts(const JsonObject& config);
/// For each layer of a `layer_types` list whether it is "full_attention" rather than "sliding_attention".
/// Throws InputError for other types, naming these, and unless there is one for each layer.
std::vector<bool> read_full_attention(const JsonValue& types, int layers);
/// num_nextn_predict_layers, of families that engines draft with such layers of; `absent` where it is not
/// said.
std::optional<std::int64_t> read_prediction_layers(const JsonObject& config,
                                                   std::optional<std::int64_t> absent);
/// quantization_config (compressed-tensors or mxfp4); nullopt where there is none. Throws InputError for a
/// method or a scheme that no weight format stands for, and where it leaves only some layers of a part in 16
/// bit.
std::optional<Quantisation> read_quantisation(const JsonObject& config);
/// The same of Model Optimizer's keys, in the config.json or in a file beside it. Throws InputError.
std::optional<Quantisation> read_model_optimizer(const JsonObject& object, const JsonObject& config);
/// The same layer `count` times.
void add_uniform_layers(Architecture&, const LayerKind&, int count);
/// Adds one layer, reusing an equal kind.
void add_layer(Architecture&, const LayerKind&);

}  // namespace sextant
