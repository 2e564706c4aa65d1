#include <fmt/core.h>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

constexpr Range sizes{1, 1 << 20};

/// nvidia's modeling_decilm.py, _ffn_mult_to_intermediate_size: two thirds of ffn_mult x hidden, rounded up
/// to a multiple of 256.
std::int64_t feed_forward_width(double multiplier, std::int64_t hidden) {
  constexpr std::int64_t multiple = 256;
  const auto width = static_cast<std::int64_t>(2 * multiplier * static_cast<double>(hidden) / 3);
  return (width + multiple - 1) / multiple * multiple;
}

TokenMixer read_mixer(const JsonObject& block, GroupedQueryAttention attention) {
  if (block.boolean_or("no_op", false)) return std::monostate{};
  if (block.boolean_or("replace_with_linear", false)) return SquareMatrix{};
  const JsonValue group = block.at("n_heads_in_group");
  const std::int64_t heads = group.integer(sizes);
  if (attention.heads % heads != 0)
    group.fail(fmt::format("found {}, expected a divisor of the {} attention heads", heads, attention.heads));
  attention.kv_heads = attention.heads / heads;
  if (const auto window = block.find("window_length")) attention.window = window->integer({1, 1 << 30});
  return attention;
}

FeedForward read_feed_forward(const JsonObject& block, std::int64_t hidden) {
  if (block.boolean_or("no_op", false)) return std::monostate{};
  if (block.boolean_or("replace_with_linear", false)) return SquareMatrix{};
  constexpr Range multipliers{0.001, 1000};
  return GatedMlp{feed_forward_width(block.number("ffn_mult", multipliers), hidden), false};
}

}  // namespace

/// nvidia's modeling_decilm.py (Llama Nemotron): Llama's layers, each with its own attention (or none, or one
/// matrix) and its own width.
Architecture read_nemotron_nas(const JsonObject& config) {
  Architecture architecture = read_model_sizes(config);
  GroupedQueryAttention attention;
  attention.heads = config.integer("num_attention_heads", sizes);
  attention.head_dim = config.integer_or("head_dim", architecture.hidden / attention.heads, sizes);
  attention.input_bias = attention.output_bias = config.boolean_or("attention_bias", false);
  const std::vector<JsonValue> blocks = config.at("block_configs").array();
  const int layers = read_layer_count(config);
  if (static_cast<int>(blocks.size()) != layers)
    config.at("block_configs").fail(fmt::format("found {} layers, expected {}", blocks.size(), layers));
  for (const JsonValue& block : blocks) {
    const JsonObject parts = block.object();
    add_layer(architecture, {read_mixer(parts.at("attention").object(), attention),
                             read_feed_forward(parts.at("ffn").object(), architecture.hidden)});
  }
  return architecture;
}

}  // namespace sextant
