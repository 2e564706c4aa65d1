#include "models/llm/family.hpp"

namespace sextant {

/// transformers' modeling_llama.py; attention_bias covers all four projections there.
Architecture read_llama(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  attention.input_bias = attention.output_bias = config.boolean_or("attention_bias", false);
  GatedMlp mlp = read_gated_mlp(config);
  mlp.bias = config.boolean_or("mlp_bias", false);
  add_uniform_layers(architecture, {attention, mlp}, read_layer_count(config));
  return architecture;
}

}  // namespace sextant
