#include "models/llm/family.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace sextant {
namespace {

// Far above anything published, far below what overflows a 64-bit count of weights.
constexpr Range sizes{1, 1 << 20};
constexpr Range vocabularies{1, 1 << 24};
constexpr Range layer_counts{1, 4096};

}  // namespace

std::vector<ModelFamily> families() {
  return {
      {"LlamaForCausalLM", read_llama},
      {"MistralForCausalLM", read_mistral},
      {"Qwen2ForCausalLM", read_qwen2},
      {"Qwen3ForCausalLM", read_qwen3},
      {"MixtralForCausalLM", read_mixtral},
      {"Qwen3MoeForCausalLM", read_qwen3_moe},
      {"Llama4ForConditionalGeneration", read_llama4},
      {"GptOssForCausalLM", read_gpt_oss},
      {"DeepseekV2ForCausalLM", read_deepseek},
      {"DeepseekV3ForCausalLM", read_deepseek},
      {"Glm4MoeForCausalLM", read_glm4_moe},
      {"Gemma3ForCausalLM", read_gemma3},
      {"Gemma3ForConditionalGeneration", read_gemma3},
      {"DeciLMForCausalLM", read_nemotron_nas},
      {"NemotronHForCausalLM", read_nemotron_h},
  };
}

Architecture read_model_sizes(const JsonObject& config) {
  Architecture architecture;
  architecture.hidden = config.integer("hidden_size", sizes);
  architecture.vocabulary = config.integer("vocab_size", vocabularies);
  architecture.max_position = read_longest_context(config);
  architecture.tied_embedding = config.boolean_or("tie_word_embeddings", false);
  return architecture;
}

int read_layer_count(const JsonObject& config) {
  return static_cast<int>(config.integer("num_hidden_layers", layer_counts));
}

GroupedQueryAttention read_grouped_query_attention(const JsonObject& config) {
  GroupedQueryAttention attention;
  attention.heads = config.integer("num_attention_heads", sizes);
  attention.kv_heads = config.integer_or("num_key_value_heads", attention.heads, sizes);
  if (attention.heads % attention.kv_heads != 0)
    config.at("num_key_value_heads")
        .fail(fmt::format("found {}, expected a divisor of the {} attention heads", attention.kv_heads,
                          attention.heads));
  if (const auto head_dim = config.find("head_dim")) {
    attention.head_dim = head_dim->integer(sizes);
    return attention;
  }
  const std::int64_t hidden = config.integer("hidden_size", sizes);
  if (hidden % attention.heads != 0)
    config.at("hidden_size")
        .fail(fmt::format("found {}, expected a multiple of the {} attention heads, or the key 'head_dim'",
                          hidden, attention.heads));
  attention.head_dim = hidden / attention.heads;
  return attention;
}

GatedMlp read_gated_mlp(const JsonObject& config) {
  return {config.integer("intermediate_size", sizes), false};
}

MixtureOfExperts read_experts(const JsonObject& config, const std::string& count_key,
                              const std::string& intermediate_key) {
  MixtureOfExperts moe;
  moe.experts = config.integer(count_key, sizes);
  moe.experts_per_token = config.integer("num_experts_per_tok", sizes);
  if (moe.experts_per_token > moe.experts)
    config.at("num_experts_per_tok")
        .fail(fmt::format("found {}, expected at most the {} experts", moe.experts_per_token, moe.experts));
  moe.intermediate = config.integer(intermediate_key, sizes);
  return moe;
}

MixtureOfExperts read_routed_experts(const JsonObject& config) {
  MixtureOfExperts moe = read_experts(config, "n_routed_experts", "moe_intermediate_size");
  moe.router_bias = config.text_or("topk_method", "noaux_tc") == "noaux_tc";
  moe.shared_intermediate = config.integer_or("n_shared_experts", 0, {0, 4096}) * moe.intermediate;
  return moe;
}

std::optional<std::int64_t> read_prediction_layers(const JsonObject& config,
                                                   std::optional<std::int64_t> absent) {
  const auto layers = config.find("num_nextn_predict_layers");
  return layers ? layers->integer({0, 4096}) : absent;
}

std::vector<bool> read_full_attention(const JsonValue& types, int layers) {
  const std::vector<JsonValue> listed = types.array();
  if (static_cast<int>(listed.size()) != layers)
    types.fail(fmt::format("found {} layers, expected {}", listed.size(), layers));
  std::vector<bool> full;
  for (const JsonValue& type : listed) {
    const std::string name = type.text();
    if (name != "sliding_attention" && name != "full_attention")
      type.fail(fmt::format("found \"{}\", expected \"sliding_attention\" or \"full_attention\"", name));
    full.push_back(name == "full_attention");
  }
  return full;
}

void add_layer(Architecture& architecture, const LayerKind& kind) {
  const auto found = std::find(architecture.kinds.begin(), architecture.kinds.end(), kind);
  architecture.layers.push_back(static_cast<int>(found - architecture.kinds.begin()));
  if (found == architecture.kinds.end()) architecture.kinds.push_back(kind);
}

void add_uniform_layers(Architecture& architecture, const LayerKind& kind, int count) {
  for (int i = 0; i < count; ++i) add_layer(architecture, kind);
}

}  // namespace sextant
