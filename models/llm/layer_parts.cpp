#include "models/llm/layer_parts.hpp"

#include <fmt/core.h>

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

void add_mixer(LayerParts&, const std::monostate&, std::int64_t, std::int64_t) {}

void add_mixer(LayerParts& parts, const GroupedQueryAttention& attention, std::int64_t hidden,
               std::int64_t tp) {
  const GroupedQueryAttention local = local_attention(attention, tp);
  const std::int64_t query = local.heads * local.head_dim;
  const std::int64_t key_value = local.kv_heads * local.head_dim;
  parts.matrices.push_back({"qkv", query, hidden});
  parts.matrices.push_back({"qkv", key_value, hidden});
  parts.matrices.push_back({"qkv", key_value, hidden});
  parts.matrices.push_back({"output", hidden, query});
  parts.norm_weights += hidden + (attention.qk_norm ? 2 * attention.head_dim : 0);
  parts.biases += (attention.input_bias ? query + 2 * key_value : 0) + (attention.output_bias ? hidden : 0);
}

void add_feed_forward(LayerParts&, const std::monostate&, std::int64_t, std::int64_t) {}

void add_feed_forward(LayerParts& parts, const GatedMlp& mlp, std::int64_t hidden, std::int64_t tp) {
  const std::int64_t width = local_mlp(mlp, tp).intermediate;
  parts.matrices.push_back({"gate_up", width, hidden});
  parts.matrices.push_back({"gate_up", width, hidden});
  parts.matrices.push_back({"down", hidden, width});
  parts.norm_weights += hidden;
  parts.biases += mlp.bias ? 2 * width + hidden : 0;
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

LayerParts layer_parts(const LayerKind& kind, std::int64_t hidden, std::int64_t tp) {
  LayerParts parts;
  std::visit([&](const auto& mixer) { add_mixer(parts, mixer, hidden, tp); }, kind.mixer);
  std::visit([&](const auto& forward) { add_feed_forward(parts, forward, hidden, tp); }, kind.feed_forward);
  return parts;
}

std::int64_t local_vocabulary(const Architecture& architecture, std::int64_t tp) {
  constexpr std::int64_t vllm_padding = 64;
  if (tp < 1) throw InputError(fmt::format("tensor parallel: found {}, expected at least 1", tp));
  const std::int64_t multiple = std::lcm(vllm_padding, tp);
  return (architecture.vocabulary + multiple - 1) / multiple * (multiple / tp);
}

}  // namespace sextant
