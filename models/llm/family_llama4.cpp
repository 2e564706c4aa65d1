#include <fmt/core.h>

#include <set>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

constexpr Range sizes{1, 1 << 20};

/// The vision encoder and its projector: transformers' modeling_llama4.py, Llama4VisionModel and
/// Llama4MultiModalProjector.
Encoder read_encoder(const JsonObject& vision, std::int64_t text_hidden) {
  const std::int64_t hidden = vision.integer("hidden_size", sizes);
  const std::int64_t intermediate = vision.integer("intermediate_size", sizes);
  const std::int64_t layers = vision.integer("num_hidden_layers", {1, 4096});
  const std::int64_t patch = vision.integer("patch_size", sizes);
  const std::int64_t image = vision.integer("image_size", sizes);
  const std::int64_t channels = vision.integer("num_channels", sizes);
  const std::int64_t adapter_in = vision.integer("projector_input_dim", sizes);
  const std::int64_t adapter_out = vision.integer("projector_output_dim", sizes);
  const std::int64_t vision_out = vision.integer("vision_output_dim", sizes);
  const std::int64_t positions = (image / patch) * (image / patch) + 1;  // patches and the class token

  Encoder encoder;
  encoder.cut = layers * (4 * hidden * hidden + 2 * hidden * intermediate) +  // q, k, v, output; fc1, fc2
                channels * patch * patch * hidden +                           // patch embedding
                intermediate * adapter_in + adapter_in * adapter_out +  // adapter, after the pixel shuffle
                vision_out * text_hidden;                               // projector
  // Each layer: biases of q, k, v and output, of fc1 and fc2, weight and bias of two norms. Before and after
  // the layers a norm; the class token and the positions.
  encoder.whole =
      layers * (4 * hidden + intermediate + hidden + 4 * hidden) + 4 * hidden + hidden + positions * hidden;
  return encoder;
}

/// Layers without rotary positions: those whose entry in no_rope_layers is 0, or, where the list is empty,
/// every fourth (transformers' configuration_llama4.py).
std::vector<bool> read_rotary_layers(const JsonObject& text, int layers) {
  std::vector<JsonValue> listed;
  if (const auto found = text.find("no_rope_layers")) listed = found->array();
  std::vector<bool> rotary;
  if (listed.empty()) {
    const int interval = static_cast<int>(text.integer_or("no_rope_layer_interval", 4, {1, 4096}));
    for (int i = 0; i < layers; ++i) rotary.push_back((i + 1) % interval != 0);
    return rotary;
  }
  if (static_cast<int>(listed.size()) != layers)
    text.at("no_rope_layers").fail(fmt::format("found {} layers, expected {}", listed.size(), layers));
  for (const JsonValue& item : listed) rotary.push_back(item.integer({0, 1}) == 1);
  return rotary;
}

/// Layers with experts: moe_layers, or every interleave_moe_layer_step-th.
std::set<std::int64_t> read_expert_layers(const JsonObject& text, int layers) {
  std::set<std::int64_t> found;
  if (const auto listed = text.find("moe_layers")) {
    for (const JsonValue& item : listed->array())
      found.insert(item.integer({0, static_cast<double>(layers - 1)}));
    return found;
  }
  const std::int64_t step = text.integer("interleave_moe_layer_step", {1, 4096});
  for (std::int64_t i = step - 1; i < layers; i += step) found.insert(i);
  return found;
}

}  // namespace

/// transformers' modeling_llama4.py: rotary layers attend within chunks and norm q and k without weights,
/// those without rotary positions attend to everything; intermediate_size is an expert's and the shared
/// expert's, intermediate_size_mlp that of layers without experts.
Architecture read_llama4(const JsonObject& config) {
  const JsonObject text = config.at("text_config").object();
  Architecture architecture = read_model_sizes(text);
  GroupedQueryAttention whole = read_grouped_query_attention(text);
  whole.input_bias = whole.output_bias = text.boolean_or("attention_bias", false);
  whole.rotary = false;
  GroupedQueryAttention chunked = whole;
  chunked.rotary = true;
  chunked.unweighted_qk_norm = text.boolean_or("use_qk_norm", true);
  if (const auto chunk = text.find("attention_chunk_size")) chunked.chunk = chunk->integer({1, 1 << 30});
  MixtureOfExperts experts = read_experts(text, "num_local_experts", "intermediate_size");
  experts.shared_intermediate = experts.intermediate;
  const GatedMlp dense{text.integer("intermediate_size_mlp", sizes), false};

  const int layers = read_layer_count(text);
  const std::vector<bool> rotary = read_rotary_layers(text, layers);
  const std::set<std::int64_t> with_experts = read_expert_layers(text, layers);
  for (int i = 0; i < layers; ++i) {
    LayerKind kind{rotary[static_cast<std::size_t>(i)] ? chunked : whole, dense};
    if (with_experts.contains(i)) kind.feed_forward = experts;
    add_layer(architecture, kind);
  }
  if (const auto vision = config.find("vision_config"))
    architecture.encoder = read_encoder(vision->object(), architecture.hidden);
  return architecture;
}

}  // namespace sextant
