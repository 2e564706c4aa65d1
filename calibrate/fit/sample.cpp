#include "calibrate/fit/sample.hpp"

#include "models/cost/latent_attention.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

constexpr std::int64_t smallest_serving_width = 1024;  // n and k of a layer's GEMM, per GPU
constexpr std::int64_t smallest_serving_context = 128;
constexpr std::int64_t smallest_serving_prompt = 128;

}  // namespace

FitSample sample_of(const GemmRow& row) {
  FitSample sample;
  sample.work = gemm_work(row.dtype, element_bytes(row.dtype), static_cast<double>(row.m),
                          static_cast<double>(row.n), static_cast<double>(row.k));
  sample.us = row.us;
  sample.shape = {static_cast<double>(row.n), static_cast<double>(row.k)};
  sample.serving = row.n >= smallest_serving_width && row.k >= smallest_serving_width;
  return sample;
}

FitSample sample_of(const AttentionPrefillRow& row) {
  const AttentionShape shape{row.heads, row.kv_heads, row.head_dim, row.window, row.kv_dtype};
  const auto batch = static_cast<double>(row.batch), fresh = static_cast<double>(row.new_tokens);
  FitSample sample;
  sample.work = attention_prefill_work(shape, element_bytes(row.kv_dtype), {row.new_tokens, row.past_tokens},
                                       batch * fresh);
  sample.work.flops *= batch;
  sample.work.bytes *= batch;
  sample.work.streamed_bytes *= batch;
  sample.us = row.us;
  sample.shape = {batch, fresh, static_cast<double>(row.heads), static_cast<double>(row.kv_heads),
                  static_cast<double>(row.past_tokens)};
  sample.serving = row.new_tokens >= smallest_serving_prompt;
  return sample;
}

FitSample sample_of(const AttentionDecodeRow& row) {
  const AttentionShape shape{row.heads, row.kv_heads, row.head_dim, row.window, row.kv_dtype};
  const auto batch = static_cast<double>(row.batch), context = static_cast<double>(row.context);
  FitSample sample;
  sample.work = attention_decode_work(shape, element_bytes(row.kv_dtype), batch, context);
  sample.us = row.us;
  sample.shape = {batch, context, static_cast<double>(row.heads), static_cast<double>(row.kv_heads)};
  sample.serving = row.context >= smallest_serving_context;
  return sample;
}

std::optional<FitSample> sample_of(const ElementwiseRow& row) {
  const std::optional<ElementwiseMoves> moves = elementwise_moves(row.op);
  if (!moves) return std::nullopt;
  const auto tokens = static_cast<double>(row.tokens), width = static_cast<double>(row.width);
  FitSample sample;
  sample.work = elementwise_work(width * moves->bytes_per_value / moves->kernels, tokens);
  sample.us = row.us / moves->kernels;
  sample.shape = {tokens, width};
  return sample;
}

FitSample sample_of(const MoeRow& row) {
  const MoeShape shape{row.hidden, row.intermediate, row.experts, row.topk, row.tp, row.ep, row.dtype, true};
  FitSample sample;
  sample.work = moe_work(shape, row.distribution, element_bytes(row.dtype), static_cast<double>(row.tokens));
  sample.us = row.us;
  sample.shape = {static_cast<double>(row.hidden),  static_cast<double>(row.intermediate),
                  static_cast<double>(row.experts), static_cast<double>(row.topk),
                  static_cast<double>(row.tp),      static_cast<double>(row.ep)};
  return sample;
}

FitSample sample_of(const MlaPrefillRow& row) {
  const LatentAttentionShape shape = deepseek_v3_attention(row.heads, row.projections, row.kv_dtype);
  const std::vector<PrefillChunk> chunks(static_cast<std::size_t>(row.batch),
                                         {row.new_tokens, row.past_tokens});
  FitSample sample;
  sample.work =
      latent_prefill_work(shape, element_bytes(row.projections), element_bytes(row.kv_dtype), chunks);
  sample.us = row.us;
  sample.shape = {static_cast<double>(row.batch), static_cast<double>(row.new_tokens),
                  static_cast<double>(row.heads), static_cast<double>(row.past_tokens)};
  sample.serving = row.new_tokens >= smallest_serving_prompt;
  return sample;
}

FitSample sample_of(const MlaDecodeRow& row) {
  const LatentAttentionShape shape = deepseek_v3_attention(row.heads, row.projections, row.kv_dtype);
  FitSample sample;
  sample.work = latent_decode_work(shape, element_bytes(row.projections), element_bytes(row.kv_dtype),
                                   static_cast<double>(row.batch), static_cast<double>(row.context));
  sample.us = row.us;
  sample.shape = {static_cast<double>(row.batch), static_cast<double>(row.context),
                  static_cast<double>(row.heads)};
  sample.serving = row.context >= smallest_serving_context;
  return sample;
}

}  // namespace sextant
