#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant {

/// Attention in which several query heads share one key/value head (multi-head: heads == kv_heads).
struct GroupedQueryAttention {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  bool input_bias = false;             ///< biases on the q, k and v projections
  bool output_bias = false;            ///< bias on the output projection
  bool qk_norm = false;                ///< RMSNorm of head_dim weights on q and on k
  std::optional<std::int64_t> window;  ///< tokens seen, where attention slides
  std::optional<std::int64_t> chunk;   ///< tokens of a chunk, where attention ends at the start of its own
  bool rotary = true;                  ///< q and k are turned by their position
  bool unweighted_qk_norm = false;     ///< q and k are normed without weights
  bool sinks = false;                  ///< one learned logit per head that takes weight from the tokens
  bool operator==(const GroupedQueryAttention&) const = default;
};

/// Three matrices: down(activation(gate(x)) * up(x)).
struct GatedMlp {
  std::int64_t intermediate = 0;
  bool bias = false;
  bool operator==(const GatedMlp&) const = default;
};

/// A router sends each token to `experts_per_token` of the experts, gated MLPs all alike; a shared expert,
/// where there is one, sees every token.
struct MixtureOfExperts {
  std::int64_t experts = 0;
  std::int64_t experts_per_token = 0;
  std::int64_t intermediate = 0;         ///< of one routed expert
  std::int64_t shared_intermediate = 0;  ///< of the shared expert; 0: none
  bool router_bias = false;
  bool expert_bias = false;  ///< on all three matrices of every routed expert
  bool operator==(const MixtureOfExperts&) const = default;
};

/// What mixes information between tokens in a layer; monostate where a layer has none.
using TokenMixer = std::variant<std::monostate, GroupedQueryAttention>;
/// What works on each token alone in a layer; monostate where a layer has none.
using FeedForward = std::variant<std::monostate, GatedMlp, MixtureOfExperts>;

/// A layer: a norm before each part that is present.
struct LayerKind {
  TokenMixer mixer;
  FeedForward feed_forward;
  bool operator==(const LayerKind&) const = default;
};

/// What a weight belongs to; a quantised checkpoint may leave some of these in 16 bit.
enum class Part { attention, mlp, router, experts, shared_expert };

/// How the published weights are stored, where config.json has a quantization_config.
struct Quantisation {
  std::string format;               ///< a weight format's name
  std::vector<Part> sixteen_bit{};  ///< parts it leaves in 16 bit
  bool operator==(const Quantisation&) const = default;
};

/// Weights in 16 bit beside the language model that every stage's GPUs hold: a vision encoder and its
/// projector.
struct Encoder {
  std::int64_t cut = 0;    ///< weights that tensor parallelism divides: those of linear layers
  std::int64_t whole = 0;  ///< weights that each GPU holds: norms, biases, positions
};

/// A decoder-only language model, as its config.json describes it.
struct Architecture {
  std::string name;    ///< catalogue name or path
  std::string family;  ///< config.json's architectures[0]
  std::int64_t hidden = 0;
  std::int64_t vocabulary = 0;
  std::int64_t max_position = 0;  ///< longest context in tokens
  bool tied_embedding = false;    ///< the head reuses the embedding's weights
  std::vector<LayerKind> kinds;   ///< the distinct layers
  std::vector<int> layers;        ///< for each layer its index in kinds
  std::optional<Quantisation> quantisation;
  Encoder encoder;

  int layer_count() const { return static_cast<int>(layers.size()); }
  const LayerKind& layer(int index) const {
    return kinds[static_cast<std::size_t>(layers[static_cast<std::size_t>(index)])];
  }
  /// Every weight of the model (embedding, head unless tied, layers, norms, encoder).
  std::int64_t parameters() const;
};

/// Consecutive layers [begin, end).
struct LayerRange {
  int begin = 0;
  int end = 0;
  int size() const { return end - begin; }
  bool operator==(const LayerRange&) const = default;
};

/// The architectures read_architecture knows, by config.json's name.
std::vector<std::string> known_architectures();

/// Reads a Hugging Face config.json as published (keys we have no use for are ignored, as they differ by
/// release). Throws InputError for an unknown architecture (naming it and the known), a missing or absurd
/// size, heads that are not a multiple of kv_heads.
Architecture read_architecture(const JsonValue& config, const std::string& name);

}  // namespace sextant
