#include "models/llm/family.hpp"

namespace sextant {

/// transformers' modeling_gpt_oss.py: biases on all four projections, the router and every expert; an
/// attention sink per head; layer_types says which layers slide.
Architecture read_gpt_oss(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention full = read_grouped_query_attention(config);
  full.input_bias = full.output_bias = config.boolean_or("attention_bias", true);
  full.sinks = true;
  GroupedQueryAttention sliding = full;
  sliding.window = config.integer("sliding_window", {1, 1 << 30});
  MixtureOfExperts experts = read_experts(config, "num_local_experts", "intermediate_size");
  experts.router_bias = experts.expert_bias = true;
  for (const bool whole : read_full_attention(config.at("layer_types"), read_layer_count(config)))
    add_layer(architecture, {whole ? full : sliding, experts});
  return architecture;
}

}  // namespace sextant
