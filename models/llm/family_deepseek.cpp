#include <fmt/core.h>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

constexpr Range sizes{1, 1 << 20};

LatentAttention read_latent_attention(const JsonObject& config) {
  LatentAttention attention;
  attention.heads = config.integer("num_attention_heads", sizes);
  if (const auto rank = config.find("q_lora_rank")) attention.query_rank = rank->integer(sizes);
  attention.kv_rank = config.integer("kv_lora_rank", sizes);
  attention.nope_dim = config.integer("qk_nope_head_dim", sizes);
  attention.rope_dim = config.integer("qk_rope_head_dim", sizes);
  attention.value_dim = config.integer("v_head_dim", sizes);
  return attention;
}

}  // namespace

/// transformers' modeling_deepseek_v3.py: latent attention; the first layers are dense, then every
/// moe_layer_freq-th has experts, of which n_shared_experts see every token as one of their summed width.
Architecture read_deepseek(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  architecture.prediction_layers = read_prediction_layers(config, std::nullopt);
  const LatentAttention attention = read_latent_attention(config);
  const GatedMlp dense = read_gated_mlp(config);
  const int layers = read_layer_count(config);
  const MixtureOfExperts experts = read_routed_experts(config);
  const std::int64_t first = config.integer_or("first_k_dense_replace", 0, {0, 4096});
  const std::int64_t step = config.integer_or("moe_layer_freq", 1, {1, 4096});
  if (first > layers)
    config.at("first_k_dense_replace")
        .fail(fmt::format("found {}, expected at most the {} layers", first, layers));
  for (int i = 0; i < layers; ++i) {
    LayerKind kind{attention, dense};
    if (i >= first && i % step == 0) kind.feed_forward = experts;
    add_layer(architecture, kind);
  }
  return architecture;
}

}  // namespace sextant
