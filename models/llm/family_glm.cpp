#include "models/llm/family.hpp"

namespace sextant {

/// transformers' modeling_glm4_moe.py: biases on q, k and v where attention_bias says so, none on the output;
/// the first first_k_dense_replace layers are dense.
Architecture read_glm4_moe(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  architecture.prediction_layers = read_prediction_layers(config, std::nullopt);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  attention.input_bias = config.boolean_or("attention_bias", false);
  attention.qk_norm = config.boolean_or("use_qk_norm", false);
  const GatedMlp dense = read_gated_mlp(config);
  const MixtureOfExperts experts = read_routed_experts(config);
  const std::int64_t first = config.integer_or("first_k_dense_replace", 1, {0, 4096});
  const int layers = read_layer_count(config);
  for (int i = 0; i < layers; ++i) {
    LayerKind kind{attention, dense};
    if (i >= first) kind.feed_forward = experts;
    add_layer(architecture, kind);
  }
  return architecture;
}

}  // namespace sextant
