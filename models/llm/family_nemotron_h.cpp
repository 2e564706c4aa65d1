#include <fmt/core.h>

#include <array>
#include <string_view>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

constexpr Range sizes{1, 1 << 20};

enum class Block : char { mamba = 'M', experts = 'E', attention = '*', mlp = '-' };

constexpr std::array<std::pair<std::string_view, Block>, 4> block_names = {
    {{"mamba", Block::mamba}, {"moe", Block::experts}, {"attention", Block::attention}, {"mlp", Block::mlp}}};

Block block_of(const JsonValue& value, const std::string& name, int layer) {
  for (const auto& [word, block] : block_names)
    if (name == word || (name.size() == 1 && name.front() == static_cast<char>(block))) return block;
  value.fail(
      fmt::format("found the unknown layer type \"{}\" at layer {}, expected M (mamba), E (moe), * "
                  "(attention) or - (mlp)",
                  name, layer));
}

/// hybrid_override_pattern, one letter a layer, or layers_block_type, a list of words.
std::vector<Block> read_blocks(const JsonObject& config) {
  std::vector<Block> blocks;
  const auto listed = config.find("layers_block_type");
  const JsonValue value = listed ? *listed : config.at("hybrid_override_pattern");
  if (listed)
    for (const JsonValue& item : listed->array())
      blocks.push_back(block_of(item, item.text(), static_cast<int>(blocks.size())));
  else
    for (const char letter : value.text())
      blocks.push_back(block_of(value, std::string(1, letter), static_cast<int>(blocks.size())));
  if (const auto count = config.find("num_hidden_layers")) {
    const int layers = read_layer_count(config);
    if (static_cast<int>(blocks.size()) != layers)
      value.fail(fmt::format("found {} layers, expected {}", blocks.size(), layers));
  }
  return blocks;
}

Mamba2 read_mamba(const JsonObject& config) {
  Mamba2 mamba;
  mamba.heads = config.integer("mamba_num_heads", sizes);
  mamba.head_dim = config.integer("mamba_head_dim", sizes);
  mamba.state = config.integer("ssm_state_size", sizes);
  mamba.groups = config.integer("n_groups", sizes);
  mamba.conv_kernel = config.integer("conv_kernel", sizes);
  mamba.chunk = config.integer("chunk_size", sizes);
  mamba.conv_bias = config.boolean_or("use_conv_bias", true);
  mamba.projection_bias = config.boolean_or("mamba_proj_bias", false);
  if (mamba.heads % mamba.groups != 0)
    config.at("n_groups")
        .fail(fmt::format("found {}, expected a divisor of the {} heads of the state-space mixer",
                          mamba.groups, mamba.heads));
  // Absent, vLLM keeps the state in the model's own 16 bit (mamba_ssm_cache_dtype "auto").
  const std::string type = config.text_or("mamba_ssm_cache_dtype", "auto");
  if (type != "float32" && type != "float16" && type != "bfloat16" && type != "auto")
    config.at("mamba_ssm_cache_dtype")
        .fail(fmt::format("found \"{}\", expected float32, float16, bfloat16 or auto", type));
  mamba.state_bytes = type == "float32" ? 4 : 2;
  return mamba;
}

MixtureOfExperts read_latent_experts(const JsonObject& config) {
  MixtureOfExperts moe = read_routed_experts(config);
  moe.gated = false;
  if (const auto latent = config.find("moe_latent_size")) moe.latent = latent->integer(sizes);
  if (moe.shared_intermediate > 0)
    moe.shared_intermediate =
        config.integer_or("moe_shared_expert_intermediate_size", moe.shared_intermediate, sizes);
  return moe;
}

}  // namespace

/// nvidia's modeling_nemotron_h.py (Nemotron-H, Nemotron 3): every layer is one block with one norm; MLPs and
/// experts have no gate (relu squared), attention no positions.
Architecture read_nemotron_h(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  architecture.prediction_layers = read_prediction_layers(config, 0);
  GroupedQueryAttention attention = read_grouped_query_attention(config);
  attention.input_bias = attention.output_bias = config.boolean_or("attention_bias", false);
  attention.rotary = false;
  for (const Block block : read_blocks(config)) {
    LayerKind kind;
    if (block == Block::attention) kind.mixer = attention;
    if (block == Block::mamba) kind.mixer = read_mamba(config);
    if (block == Block::experts) kind.feed_forward = read_latent_experts(config);
    if (block == Block::mlp)
      kind.feed_forward =
          PlainMlp{config.integer("intermediate_size", sizes), config.boolean_or("mlp_bias", false)};
    add_layer(architecture, kind);
  }
  return architecture;
}

}  // namespace sextant
