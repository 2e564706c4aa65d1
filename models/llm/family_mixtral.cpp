#include "models/llm/family.hpp"

namespace sextant {

/// transformers' modeling_mixtral.py: no biases; every layer has experts, as wide as intermediate_size each.
Architecture read_mixtral(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  if (const auto window = config.find("sliding_window")) attention.window = window->integer({1, 1 << 30});
  const MixtureOfExperts experts = read_experts(config, "num_local_experts", "intermediate_size");
  add_uniform_layers(architecture, {attention, experts}, read_layer_count(config));
  return architecture;
}

}  // namespace sextant
