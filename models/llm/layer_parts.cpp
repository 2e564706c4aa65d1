#include "models/llm/layer_parts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "models/base/error.hpp"

namespace sextant {
namespace {

std::int64_t share(std::int64_t whole, std::int64_t parts, const char* what) {
  if (parts < 1 || whole % parts != 0)
    throw InputError(
        fmt::format("tensor parallel: found {}, expected a divisor of the {} {}", parts, whole, what));
  return whole / parts;
}

void add_mixer(LayerParts&, const std::monostate&, std::int64_t, LayerCut) {}

void add_mixer(LayerParts& parts, const GroupedQueryAttention& attention, std::int64_t hidden, LayerCut cut) {
  const GroupedQueryAttention local = local_attention(attention, cut.tensor_parallel);
  const std::int64_t query = local.heads * local.head_dim;
  const std::int64_t key_value = local.kv_heads * local.head_dim;
  parts.matrices.push_back({"qkv", query, hidden, Part::attention});
  parts.matrices.push_back({"qkv", key_value, hidden, Part::attention});
  parts.matrices.push_back({"qkv", key_value, hidden, Part::attention});
  parts.matrices.push_back({"output", hidden, query, Part::attention});
  parts.norm_weights += hidden + (attention.qk_norm ? 2 * attention.head_dim : 0);
  parts.biases += (attention.input_bias ? query + 2 * key_value : 0) + (attention.output_bias ? hidden : 0) +
                  (attention.sinks ? local.heads : 0);
}

// kv_b is also kept absorbed into the queries' and the outputs' side, in 16 bit, for decoding
// (vllm/v1/attention/backends/mla/common.py, process_weights_after_loading: W_UK_T and W_UV).
void add_mixer(LayerParts& parts, const LatentAttention& attention, std::int64_t hidden, LayerCut cut) {
  const LatentAttention local = local_latent_attention(attention, cut.tensor_parallel);
  const auto add = [&](std::int64_t outputs, std::int64_t inputs) {
    parts.matrices.push_back({latent_label, outputs, inputs, Part::attention});
  };
  const std::int64_t queries = local.heads * (attention.nope_dim + attention.rope_dim);
  if (attention.query_rank > 0) add(attention.query_rank, hidden);
  add(queries, attention.query_rank > 0 ? attention.query_rank : hidden);
  add(attention.kv_rank + attention.rope_dim, hidden);
  const std::int64_t expanded = local.heads * (attention.nope_dim + attention.value_dim);
  add(expanded, attention.kv_rank);
  add(hidden, local.heads * attention.value_dim);
  parts.norm_weights += hidden + attention.query_rank + attention.kv_rank;
  parts.absorbed_copy += expanded * attention.kv_rank;
}

// z, x, B, C and dt leave the first matrix; each head has a decay, a skip and a bias of dt.
void add_mixer(LayerParts& parts, const Mamba2& mamba, std::int64_t hidden, LayerCut cut) {
  const Mamba2 local = local_mamba(mamba, cut.tensor_parallel);
  const std::int64_t first = local.inner() + local.conv_channels() + local.heads;
  parts.matrices.push_back({"in", first, hidden, Part::mamba});
  parts.matrices.push_back({"out", hidden, local.inner(), Part::mamba});
  parts.norm_weights += hidden + local.inner();
  parts.biases += local.conv_channels() * (local.conv_kernel + (local.conv_bias ? 1 : 0)) + 3 * local.heads +
                  (local.projection_bias ? first + hidden : 0);
}

void add_square(LayerParts& parts, Part part, std::int64_t hidden, LayerCut cut) {
  parts.matrices.push_back(
      {"square", share(hidden, cut.tensor_parallel, "columns of a square matrix"), hidden, part});
  parts.norm_weights += hidden;
}

void add_mixer(LayerParts& parts, const SquareMatrix&, std::int64_t hidden, LayerCut cut) {
  add_square(parts, Part::attention, hidden, cut);
}

/// Up and down of `count` MLPs alike, and their gate.
void add_matrices(LayerParts& parts, Part part, bool gated, std::int64_t width, std::int64_t hidden,
                  std::int64_t count = 1) {
  const char* first = gated ? "gate_up" : "up";
  if (gated) parts.matrices.push_back({first, width, hidden, part, count});
  parts.matrices.push_back({first, width, hidden, part, count});
  parts.matrices.push_back({"down", hidden, width, part, count});
}

void add_feed_forward(LayerParts&, const std::monostate&, std::int64_t, LayerCut) {}

void add_feed_forward(LayerParts& parts, const GatedMlp& mlp, std::int64_t hidden, LayerCut cut) {
  const std::int64_t width = local_mlp(mlp, cut.tensor_parallel).intermediate;
  add_matrices(parts, Part::mlp, true, width, hidden);
  parts.norm_weights += hidden;
  parts.biases += mlp.bias ? 2 * width + hidden : 0;
}

void add_feed_forward(LayerParts& parts, const PlainMlp& mlp, std::int64_t hidden, LayerCut cut) {
  const std::int64_t width = local_mlp(mlp, cut.tensor_parallel).intermediate;
  add_matrices(parts, Part::mlp, false, width, hidden);
  parts.norm_weights += hidden;
  parts.biases += mlp.bias ? width + hidden : 0;
}

void add_feed_forward(LayerParts& parts, const SquareMatrix&, std::int64_t hidden, LayerCut cut) {
  add_square(parts, Part::mlp, hidden, cut);
}

// Every GPU holds the whole router, as each decides for its own tokens, and the projections around experts
// that work in a narrower width.
void add_feed_forward(LayerParts& parts, const MixtureOfExperts& moe, std::int64_t hidden, LayerCut cut) {
  const MixtureOfExperts local = local_experts(moe, cut);
  parts.matrices.push_back({"router", moe.experts, hidden, Part::router});
  const std::int64_t width = moe.latent > 0 ? moe.latent : hidden;
  if (moe.latent > 0) parts.matrices.push_back({"to_latent", moe.latent, hidden, Part::mlp});
  add_matrices(parts, Part::experts, moe.gated, local.intermediate, width, local.experts);
  if (moe.latent > 0) parts.matrices.push_back({"from_latent", hidden, moe.latent, Part::mlp});
  if (moe.shared_intermediate > 0)
    add_matrices(parts, Part::shared_expert, moe.gated, local.shared_intermediate, hidden);
  parts.norm_weights += hidden;
  parts.biases += (moe.router_bias ? moe.experts : 0) +
                  (moe.expert_bias ? local.experts * ((moe.gated ? 2 : 1) * local.intermediate + width) : 0);
}

}  // namespace

GroupedQueryAttention local_attention(const GroupedQueryAttention& attention, std::int64_t tp) {
  GroupedQueryAttention local = attention;
  local.heads = share(attention.heads, tp, "attention heads");
  const bool replicated = tp > attention.kv_heads && tp % attention.kv_heads == 0;
  local.kv_heads = replicated ? 1 : share(attention.kv_heads, tp, "key/value heads, or a multiple of them");
  return local;
}

LatentAttention local_latent_attention(const LatentAttention& attention, std::int64_t tp) {
  LatentAttention local = attention;
  local.heads = share(attention.heads, tp, "attention heads");
  return local;
}

// vllm/model_executor/layers/mamba/mamba_mixer2.py: groups that the group of GPUs does not divide are
// replicated.
Mamba2 local_mamba(const Mamba2& mamba, std::int64_t tp) {
  Mamba2 local = mamba;
  local.heads = share(mamba.heads, tp, "heads of the state-space mixer");
  const bool replicated = tp > mamba.groups && tp % mamba.groups == 0;
  local.groups =
      replicated ? 1 : share(mamba.groups, tp, "groups of the state-space mixer, or a multiple of them");
  return local;
}

PlainMlp local_mlp(const PlainMlp& mlp, std::int64_t tp) {
  return {share(mlp.intermediate, tp, "columns of the mlp"), mlp.bias};
}

GatedMlp local_mlp(const GatedMlp& mlp, std::int64_t tp) {
  return {share(mlp.intermediate, tp, "columns of the mlp"), mlp.bias};
}

std::int64_t expert_tensor_parallel(LayerCut cut) {
  const std::int64_t tp = cut.tensor_parallel, ep = cut.expert_parallel;
  if (tp >= 1 && ep >= 1 && tp % ep == 0) return tp / ep;
  if (tp >= 1 && ep >= 1 && ep % tp == 0) return 1;
  throw InputError(fmt::format(
      "expert parallel: found {}, expected a divisor or a multiple of tensor parallel, which is {}", ep, tp));
}

MixtureOfExperts local_experts(const MixtureOfExperts& moe, LayerCut cut) {
  MixtureOfExperts local = moe;
  local.intermediate = share(moe.intermediate, expert_tensor_parallel(cut), "columns of an expert");
  local.shared_intermediate =
      share(moe.shared_intermediate, cut.tensor_parallel, "columns of the shared expert");
  if (moe.experts % cut.expert_parallel != 0)
    throw InputError(fmt::format("expert parallel: found {}, expected a divisor of the {} experts",
                                 cut.expert_parallel, moe.experts));
  local.experts = moe.experts / cut.expert_parallel;
  return local;
}

LayerParts layer_parts(const LayerKind& kind, std::int64_t hidden, LayerCut cut) {
  LayerParts parts;
  std::visit([&](const auto& mixer) { add_mixer(parts, mixer, hidden, cut); }, kind.mixer);
  std::visit([&](const auto& forward) { add_feed_forward(parts, forward, hidden, cut); }, kind.feed_forward);
  if (kind.norms_after) {
    const bool mixes = !std::holds_alternative<std::monostate>(kind.mixer);
    const bool feeds = !std::holds_alternative<std::monostate>(kind.feed_forward);
    parts.norm_weights += ((mixes ? 1 : 0) + (feeds ? 1 : 0)) * hidden;
  }
  return parts;
}

const WeightFormat* part_format(const Architecture& architecture, const WeightFormat& format, Part part) {
  if (part == Part::router) return nullptr;
  const auto in_format = [&](const Quantisation& published) { return published.format == format.name; };
  const Quantisation* stored = nullptr;
  if (architecture.quantisation && in_format(*architecture.quantisation))
    stored = &*architecture.quantisation;
  const auto mixture = std::find_if(architecture.mixtures.begin(), architecture.mixtures.end(), in_format);
  if (!stored && mixture != architecture.mixtures.end()) stored = &*mixture;
  if (!stored) return &format;
  if (std::find(stored->sixteen_bit.begin(), stored->sixteen_bit.end(), part) != stored->sixteen_bit.end())
    return nullptr;
  const auto other = std::find_if(stored->others.begin(), stored->others.end(),
                                  [&](const PartFormat& entry) { return entry.part == part; });
  return other == stored->others.end() ? &format : &other->format;
}

std::int64_t local_vocabulary(const Architecture& architecture, std::int64_t tp) {
  constexpr std::int64_t vllm_padding = 64;
  if (tp < 1) throw InputError(fmt::format("tensor parallel: found {}, expected at least 1", tp));
  const std::int64_t multiple = std::lcm(vllm_padding, tp);
  return (architecture.vocabulary + multiple - 1) / multiple * (multiple / tp);
}

}  // namespace sextant
