#include "models/llm/family.hpp"

namespace sextant {
namespace {

/// With use_sliding_window, layers from max_window_layers on slide (transformers' configuration_qwen2.py).
void add_qwen_layers(Architecture& architecture, const JsonObject& config,
                     const GroupedQueryAttention& attention) {
  const LayerKind full{attention, read_gated_mlp(config)};
  LayerKind sliding = full;
  int first_sliding = read_layer_count(config);
  const auto window = config.find("sliding_window");
  if (config.boolean_or("use_sliding_window", false) && window) {
    std::get<GroupedQueryAttention>(sliding.mixer).window = window->integer({1, 1 << 30});
    first_sliding = static_cast<int>(config.integer("max_window_layers", {0, 4096}));
  }
  for (int i = 0; i < read_layer_count(config); ++i)
    add_layer(architecture, i < first_sliding ? full : sliding);
}

}  // namespace

/// transformers' modeling_qwen2.py: biases on q, k and v, none on the output.
Architecture read_qwen2(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  attention.input_bias = true;
  add_qwen_layers(architecture, config, attention);
  return architecture;
}

/// transformers' modeling_qwen3.py: RMSNorm on each head of q and k; attention_bias covers all four
/// projections.
Architecture read_qwen3(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  attention.qk_norm = true;
  attention.input_bias = attention.output_bias = config.boolean_or("attention_bias", false);
  add_qwen_layers(architecture, config, attention);
  return architecture;
}

}  // namespace sextant
