#include "models/llm/family.hpp"

namespace sextant {

/// transformers' modeling_mistral.py: no biases; every layer slides where sliding_window is not null.
Architecture read_mistral(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  if (const auto window = config.find("sliding_window")) attention.window = window->integer({1, 1 << 30});
  add_uniform_layers(architecture, {attention, read_gated_mlp(config)}, read_layer_count(config));
  return architecture;
}

}  // namespace sextant
