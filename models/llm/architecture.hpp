#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/base/json_reader.hpp"
#include "models/llm/sampling.hpp"
#include "models/llm/weight_format.hpp"

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

/// Multi-head latent attention (DeepSeek V2, V3): queries and keys/values pass through narrow latent vectors,
/// and of a token only `kv_rank + rope_dim` values are cached, on every GPU of the group alike.
struct LatentAttention {
  std::int64_t heads = 0;
  std::int64_t query_rank =
      0;  ///< width of the queries' latent vector; 0: queries straight from the hidden state
  std::int64_t kv_rank = 0;   ///< width of the latent vector of keys and values
  std::int64_t nope_dim = 0;  ///< of a head's query and key, without positions
  std::int64_t rope_dim = 0;  ///< of a head's query and key, turned by their position; the key's is shared
  std::int64_t value_dim = 0;
  bool operator==(const LatentAttention&) const = default;
};

/// A state-space mixer (Mamba-2, https://arxiv.org/abs/2405.21060): a sequence keeps a state of constant size
/// instead of keys and values.
struct Mamba2 {
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t state = 0;        ///< values of state for each value of a head
  std::int64_t groups = 0;       ///< heads of a group share B and C
  std::int64_t conv_kernel = 0;  ///< taps of the convolution before the scan
  std::int64_t chunk = 0;        ///< tokens that the scan computes at once
  double state_bytes = 4;        ///< of one value of state in the cache
  bool conv_bias = true;
  bool projection_bias = false;
  bool operator==(const Mamba2&) const = default;

  std::int64_t inner() const { return heads * head_dim; }
  /// Channels of the convolution: x, B and C.
  std::int64_t conv_channels() const { return inner() + 2 * groups * state; }
};

/// One matrix, hidden x hidden, where a searched architecture found that enough.
struct SquareMatrix {
  bool operator==(const SquareMatrix&) const = default;
};

/// Three matrices: down(activation(gate(x)) * up(x)).
struct GatedMlp {
  std::int64_t intermediate = 0;
  bool bias = false;
  bool operator==(const GatedMlp&) const = default;
};

/// Two matrices: down(activation(up(x))).
struct PlainMlp {
  std::int64_t intermediate = 0;
  bool bias = false;
  bool operator==(const PlainMlp&) const = default;
};

/// A router sends each token to `experts_per_token` of the experts, MLPs all alike; a shared expert, where
/// there is one, sees every token.
struct MixtureOfExperts {
  std::int64_t experts = 0;
  std::int64_t experts_per_token = 0;
  std::int64_t intermediate = 0;         ///< of one routed expert
  std::int64_t shared_intermediate = 0;  ///< of the shared expert; 0: none
  bool router_bias = false;
  bool expert_bias = false;  ///< on all matrices of every routed expert
  bool gated = true;         ///< three matrices an expert, else two (up, down)
  std::int64_t latent =
      0;  ///< width in which routed experts work, between a projection down and one up; 0: hidden
  bool operator==(const MixtureOfExperts&) const = default;
};

/// What mixes information between tokens in a layer; monostate where a layer has none.
using TokenMixer = std::variant<std::monostate, GroupedQueryAttention, LatentAttention, Mamba2, SquareMatrix>;
/// What works on each token alone in a layer; monostate where a layer has none.
using FeedForward = std::variant<std::monostate, GatedMlp, MixtureOfExperts, PlainMlp, SquareMatrix>;

/// A layer: a norm before each part that is present.
struct LayerKind {
  TokenMixer mixer;
  FeedForward feed_forward;
  bool norms_after = false;  ///< and one after each
  bool operator==(const LayerKind&) const = default;
};

/// What a weight belongs to; a quantised checkpoint may leave some of these in 16 bit.
enum class Part { attention, mlp, router, experts, shared_expert, mamba };

/// A part that a checkpoint stores otherwise than the rest.
struct PartFormat {
  Part part = Part::mlp;
  WeightFormat format;
  bool operator==(const PartFormat&) const = default;
};

/// How published weights are stored.
struct Quantisation {
  std::string format;                ///< a weight format's name
  std::vector<Part> sixteen_bit{};   ///< parts it leaves in 16 bit
  std::vector<PartFormat> others{};  ///< parts in a third format
  std::string kv{};                  ///< the format of the KV cache that it asks for; empty: none
  bool kv_fixed = false;             ///< engines store it so whatever they are told
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
  std::int64_t max_position = 0;             ///< longest context in tokens
  bool tied_embedding = false;               ///< the head reuses the embedding's weights
  std::vector<LayerKind> kinds;              ///< the distinct layers
  std::vector<int> layers;                   ///< for each layer its index in kinds
  std::optional<Quantisation> quantisation;  ///< config.json's quantization_config
  std::vector<Quantisation> mixtures;        ///< checkpoints of this model that store its parts unlike
  Encoder encoder;
  SamplingParameters sampling;  ///< where requests do not say: of its generation_config.json
  /// Layers trained to predict further tokens, with which it can draft for itself; nullopt: not said.
  std::optional<std::int64_t> prediction_layers = 0;

  int layer_count() const { return static_cast<int>(layers.size()); }
  const LayerKind& layer(int index) const {
    return kinds[static_cast<std::size_t>(layers[static_cast<std::size_t>(index)])];
  }
  /// Every weight of the model (embedding, head unless tied, layers, norms, encoder).
  std::int64_t parameters() const;
  /// Those that one token meets: all but the experts it does not take.
  std::int64_t active_parameters() const;
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
