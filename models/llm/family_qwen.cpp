#include <set>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

/// With use_sliding_window, layers from max_window_layers on slide (transformers' configuration_qwen2.py).
/// `feed_forward(i)` is that of layer i.
template <class FeedForwardOf>
void add_qwen_layers(Architecture& architecture, const JsonObject& config,
                     const GroupedQueryAttention& attention, const FeedForwardOf& feed_forward) {
  GroupedQueryAttention sliding = attention;
  const int layers = read_layer_count(config);
  int first_sliding = layers;
  const auto window = config.find("sliding_window");
  if (config.boolean_or("use_sliding_window", false) && window) {
    sliding.window = window->integer({1, 1 << 30});
    first_sliding = static_cast<int>(config.integer("max_window_layers", {0, 4096}));
  }
  for (int i = 0; i < layers; ++i)
    add_layer(architecture, {i < first_sliding ? attention : sliding, feed_forward(i)});
}

GroupedQueryAttention read_qwen3_attention(const JsonObject& config) {
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  attention.qk_norm = true;
  attention.input_bias = attention.output_bias = config.boolean_or("attention_bias", false);
  return attention;
}

}  // namespace

/// transformers' modeling_qwen2.py: biases on q, k and v, none on the output.
Architecture read_qwen2(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  attention.input_bias = true;
  const GatedMlp mlp = read_gated_mlp(config);
  add_qwen_layers(architecture, config, attention, [&](int) -> FeedForward { return mlp; });
  return architecture;
}

/// transformers' modeling_qwen3.py: RMSNorm on each head of q and k; attention_bias covers all four
/// projections.
Architecture read_qwen3(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  const GatedMlp mlp = read_gated_mlp(config);
  add_qwen_layers(architecture, config, read_qwen3_attention(config),
                  [&](int) -> FeedForward { return mlp; });
  return architecture;
}

/// transformers' modeling_qwen3_moe.py: Qwen3's attention; every decoder_sparse_step-th layer that
/// mlp_only_layers does not name has experts.
Architecture read_qwen3_moe(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  const MixtureOfExperts experts = read_experts(config, "num_experts", "moe_intermediate_size");
  const GatedMlp mlp = read_gated_mlp(config);
  const std::int64_t step = config.integer_or("decoder_sparse_step", 1, {1, 4096});
  std::set<std::int64_t> dense;
  if (const auto listed = config.find("mlp_only_layers"))
    for (const JsonValue& item : listed->array())
      dense.insert(item.integer({0, static_cast<double>(read_layer_count(config) - 1)}));
  add_qwen_layers(architecture, config, read_qwen3_attention(config), [&](int i) -> FeedForward {
    if (dense.contains(i) || (i + 1) % step != 0) return mlp;
    return experts;
  });
  return architecture;
}

}  // namespace sextant
