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

/// Gate, up and down of `count` gated MLPs alike.
void add_gated(LayerParts& parts, Part part, std::int64_t width, std::int64_t hidden,
               std::int64_t count = 1) {
  parts.matrices.push_back({"gate_up", width, hidden, part, count});
  parts.matrices.push_back({"gate_up", width, hidden, part, count});
  parts.matrices.push_back({"down", hidden, width, part, count});
}

void add_feed_forward(LayerParts&, const std::monostate&, std::int64_t, LayerCut) {}

void add_feed_forward(LayerParts& parts, const GatedMlp& mlp, std::int64_t hidden, LayerCut cut) {
  const std::int64_t width = local_mlp(mlp, cut.tensor_parallel).intermediate;
  add_gated(parts, Part::mlp, width, hidden);
  parts.norm_weights += hidden;
  parts.biases += mlp.bias ? 2 * width + hidden : 0;
}

// Every GPU holds the whole router, as each decides for its own tokens.
void add_feed_forward(LayerParts& parts, const MixtureOfExperts& moe, std::int64_t hidden, LayerCut cut) {
  const MixtureOfExperts local = local_experts(moe, cut);
  parts.matrices.push_back({"router", moe.experts, hidden, Part::router});
  add_gated(parts, Part::experts, local.intermediate, hidden, local.experts);
  if (moe.shared_intermediate > 0) add_gated(parts, Part::shared_expert, local.shared_intermediate, hidden);
  parts.norm_weights += hidden;
  parts.biases += (moe.router_bias ? moe.experts : 0) +
                  (moe.expert_bias ? local.experts * (2 * local.intermediate + hidden) : 0);
}

}  // namespace

GroupedQueryAttention local_attention(const GroupedQueryAttention& attention, std::int64_t tp) {
  GroupedQueryAttention local = attention;
  local.heads = share(attention.heads, tp, "attention heads");
  const bool replicated = tp > attention.kv_heads && tp % attention.kv_heads == 0;
  local.kv_heads = replicated ? 1 : share(attention.kv_heads, tp, "key/value heads, or a multiple of them");
  return local;
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
  return parts;
}

bool stays_sixteen_bit(const Architecture& architecture, const WeightFormat& format, Part part) {
  if (part == Part::router) return true;
  if (!architecture.quantisation || architecture.quantisation->format != format.name) return false;
  const std::vector<Part>& parts = architecture.quantisation->sixteen_bit;
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

std::int64_t local_vocabulary(const Architecture& architecture, std::int64_t tp) {
  constexpr std::int64_t vllm_padding = 64;
  if (tp < 1) throw InputError(fmt::format("tensor parallel: found {}, expected at least 1", tp));
  const std::int64_t multiple = std::lcm(vllm_padding, tp);
  return (architecture.vocabulary + multiple - 1) / multiple * (multiple / tp);
}

}  // namespace sextant
