#include "models/cost/operator_work.hpp"

#include <algorithm>
#include <cmath>

#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

/// Pairs of the first `tokens` of a sequence where attention ends at the start of each chunk.
double chunked_pairs(std::int64_t tokens, std::int64_t chunk) {
  const std::int64_t whole = tokens / chunk;
  const auto size = static_cast<double>(chunk), rest = static_cast<double>(tokens % chunk);
  return static_cast<double>(whole) * size * (size + 1) / 2 + rest * (rest + 1) / 2;
}

/// Query-key pairs that a chunk of a prompt computes in each head.
double causal_pairs(const PrefillChunk& chunk, const AttentionShape& shape) {
  if (shape.chunk > 0)
    return chunked_pairs(chunk.past_tokens + chunk.new_tokens, shape.chunk) -
           chunked_pairs(chunk.past_tokens, shape.chunk);
  const auto fresh = static_cast<double>(chunk.new_tokens), past = static_cast<double>(chunk.past_tokens);
  if (shape.window <= 0) return fresh * past + fresh * (fresh + 1) / 2;
  // The first `growing` queries see everything before them, the rest a full window.
  const auto limit = static_cast<double>(shape.window);
  const double growing = std::clamp(limit - past, 0.0, fresh);
  return growing * past + growing * (growing + 1) / 2 + (fresh - growing) * limit;
}

double cached_tokens_read(const PrefillChunk& chunk, const AttentionShape& shape) {
  std::int64_t past = chunk.past_tokens;
  if (shape.window > 0) past = std::min(past, shape.window - 1);
  if (shape.chunk > 0) past %= shape.chunk;
  return static_cast<double>(past + chunk.new_tokens);
}

/// Tokens that a decode sees of a mean context.
double context_seen(double mean, const AttentionShape& shape) {
  const auto window = static_cast<double>(shape.window), chunk = static_cast<double>(shape.chunk);
  if (shape.window > 0) mean = std::min(mean, window);
  return shape.chunk > 0 && mean > chunk ? (chunk + 1) / 2 : mean;
}

/// A kernel is seen as so many whole prompts of this mean causal length, or, where its new tokens are fewer
/// than one such prompt (a chunk with a long past), as one prompt of as many fewer heads: tiles of queries
/// and the keys each of them meets stay what they are.
GridPoint prefill_point(double mean_length, double kernel_tokens, double heads, double group) {
  const double prompts = kernel_tokens / (2 * mean_length - 1);
  return {{mean_length, std::max(prompts, 1.0), heads * std::min(prompts, 1.0), group}, 4};
}

}  // namespace

OperatorWork gemm_work(const std::string& type, double bytes_per_weight, double m, double n, double k) {
  OperatorWork work;
  work.flops = 2 * m * n * k;
  work.streamed_bytes = n * k * bytes_per_weight;
  work.bytes = m * k * activation_bytes(type) + work.streamed_bytes + m * n * output_bytes;
  work.point = {{m, n, k}, 3};
  return work;
}

OperatorWork attention_prefill_work(const AttentionShape& shape, double kv_element_bytes, PrefillChunk chunk,
                                    double kernel_tokens) {
  const auto heads = static_cast<double>(shape.heads), kv_heads = static_cast<double>(shape.kv_heads);
  const auto head_dim = static_cast<double>(shape.head_dim), fresh = static_cast<double>(chunk.new_tokens);
  const double pairs = causal_pairs(chunk, shape);
  OperatorWork work;
  work.flops = 4 * heads * head_dim * pairs;
  work.streamed_bytes = cached_tokens_read(chunk, shape) * 2 * kv_heads * head_dim * kv_element_bytes;
  work.bytes = work.streamed_bytes + 2 * fresh * heads * head_dim * output_bytes;
  work.point = prefill_point(pairs / fresh, kernel_tokens, heads, heads / kv_heads);
  return work;
}

OperatorWork attention_decode_work(const AttentionShape& shape, double kv_element_bytes, double batch,
                                   double context) {
  const auto heads = static_cast<double>(shape.heads), kv_heads = static_cast<double>(shape.kv_heads);
  const auto head_dim = static_cast<double>(shape.head_dim);
  const double seen = context_seen(context, shape);
  OperatorWork work;
  work.flops = 4 * heads * head_dim * batch * seen;
  work.streamed_bytes = 2 * kv_heads * head_dim * batch * seen * kv_element_bytes;
  work.bytes = work.streamed_bytes + 2 * batch * heads * head_dim * output_bytes;
  work.point = {{batch, seen, kv_heads, heads / kv_heads}, 4};
  return work;
}

OperatorWork for_several_tokens(OperatorWork work, double tokens) {
  work.flops *= tokens;
  work.bytes = work.streamed_bytes + (work.bytes - work.streamed_bytes) * tokens;
  return work;
}

OperatorWork elementwise_work(double bytes_per_token, double tokens) {
  const double bytes = bytes_per_token * tokens;
  return {0, bytes, 0, bytes, {{tokens, bytes_per_token}, 2}};
}

std::optional<ElementwiseMoves> elementwise_moves(const std::string& op) {
  constexpr double bytes_16_bit = 2, bytes_fp32 = 4;
  if (op == "rmsnorm") return ElementwiseMoves{4 * bytes_16_bit, 1};  // input and residual, read and written
  if (op == "activation") return ElementwiseMoves{3 * bytes_16_bit, 1};  // gate and up read, product written
  if (op == "rope" || op == "residual" || op == "embedding" || op == "copy")
    return ElementwiseMoves{2 * bytes_16_bit, 1};  // read, written
  // 16-bit logits read, fp32 written and read again.
  if (op == "sampling") return ElementwiseMoves{bytes_16_bit + 2 * bytes_fp32, 2};
  return std::nullopt;
}

OperatorWork moe_work(const MoeShape& shape, const std::string& routing, double bytes_per_weight,
                      double tokens, double fullest) {
  const auto hidden = static_cast<double>(shape.hidden), here = static_cast<double>(shape.local_experts());
  const double width = static_cast<double>(shape.intermediate) / static_cast<double>(shape.tensor_parallel);
  const double chosen =  // share of the experts here that a token meets
      std::min(1.0, fullest * static_cast<double>(shape.topk) / static_cast<double>(shape.experts));
  const double pairs = tokens * chosen * here;
  const double met =
      routing == balanced_routing ? std::min(here, pairs) : here * (1 - std::pow(1 - chosen, tokens));
  OperatorWork work;
  work.flops = 2 * pairs * shape.expert_weights();
  work.streamed_bytes = std::max(met, 1.0) * shape.expert_weights() * bytes_per_weight;
  work.bytes = work.streamed_bytes + 2 * tokens * hidden * output_bytes;  // tokens in and out
  work.serial_bytes = pairs * (2 * hidden + (shape.gated ? 3 : 2) * width) * output_bytes;
  work.point = {{tokens * chosen, here, width, hidden}, 4};
  return work;
}

double roofline_seconds(const Roofline& roofline, const OperatorWork& work) {
  const double memory = work.bytes / (roofline.memory_gbps * 1e9);
  const double arithmetic = roofline.tflops > 0 ? work.flops / (roofline.tflops * 1e12) : 0;
  return std::max(memory, arithmetic) + work.serial_bytes / (roofline.memory_gbps * 1e9);
}

}  // namespace sextant
