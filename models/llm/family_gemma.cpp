#include <fmt/core.h>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

constexpr Range sizes{1, 1 << 20};

/// SigLIP tower and projector as in transformers' modeling_siglip.py and modeling_gemma3.py: biases on every
/// linear layer, two LayerNorms a layer and one after, one position for each patch; a norm and one matrix
/// without bias lead to the language model.
Encoder read_encoder(const JsonObject& vision, std::int64_t text_hidden) {
  const std::int64_t hidden = vision.integer("hidden_size", sizes),
                     width = vision.integer("intermediate_size", sizes),
                     layers = vision.integer("num_hidden_layers", {1, 4096}),
                     patch = vision.integer("patch_size", sizes),
                     patches = vision.integer("image_size", sizes) / patch,
                     colours = vision.integer_or("num_channels", 3, sizes);
  Encoder encoder;
  encoder.cut = layers * (4 * hidden * hidden + 2 * hidden * width) + colours * patch * patch * hidden +
                hidden * text_hidden;
  encoder.whole = layers * (4 * hidden + hidden + width + 4 * hidden) + hidden + patches * patches * hidden +
                  2 * hidden + hidden;
  return encoder;
}

/// True for each layer that sees the whole context: as layer_types lists them, or every
/// sliding_window_pattern-th.
std::vector<bool> read_full_layers(const JsonObject& text, int layers) {
  std::vector<bool> full;
  if (const auto types = text.find("layer_types")) return read_full_attention(*types, layers);
  const std::int64_t pattern = text.integer_or("sliding_window_pattern", 6, {1, 4096});
  for (int i = 0; i < layers; ++i) full.push_back((i + 1) % pattern == 0);
  return full;
}

}  // namespace

/// transformers' modeling_gemma3.py: five layers slide for each that sees everything; norms before and after
/// attention and MLP, and on q and k. Published files leave out what configuration_gemma3.py fills in.
Architecture read_gemma3(const JsonObject& config) {
  const auto nested = config.find("text_config");
  const JsonObject text = nested ? nested->object() : config;
  Architecture architecture;
  architecture.hidden = text.integer("hidden_size", sizes);
  architecture.vocabulary = text.integer_or("vocab_size", 262208, {1, 1 << 24});
  architecture.max_position = text.integer_or("max_position_embeddings", 131072, {1, 1 << 30});
  architecture.tied_embedding = text.boolean_or("tie_word_embeddings", true);
  GroupedQueryAttention full;
  full.heads = text.integer_or("num_attention_heads", 8, sizes);
  full.kv_heads = text.integer_or("num_key_value_heads", 4, sizes);
  full.head_dim = text.integer_or("head_dim", 256, sizes);
  if (full.heads % full.kv_heads != 0)
    text.fail(fmt::format("found {} key/value heads, expected a divisor of the {} attention heads",
                          full.kv_heads, full.heads));
  full.input_bias = full.output_bias = text.boolean_or("attention_bias", false);
  full.qk_norm = true;
  GroupedQueryAttention sliding = full;
  sliding.window = text.integer_or("sliding_window", 4096, {1, 1 << 30});
  const GatedMlp mlp = read_gated_mlp(text);
  for (const bool whole : read_full_layers(text, read_layer_count(text))) {
    LayerKind kind{whole ? full : sliding, mlp};
    kind.norms_after = true;
    add_layer(architecture, kind);
  }
  if (const auto vision = config.find("vision_config"))
    architecture.encoder = read_encoder(vision->object(), architecture.hidden);
  return architecture;
}

}  // namespace sextant
