#include "models/cost/latent_attention.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/cost/operator_time.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

const OperatorModel& find_latent(const GpuProfile& profile,
                                 const std::map<std::string, OperatorModel>& models,
                                 const LatentAttentionShape& shape, const char* phase) {
  const std::string key = fmt::format("{}/{}", shape.projections, shape.kv_type);
  const auto found = models.find(key);
  if (found != models.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, model] : models) known.push_back(name);
  throw InputError(fmt::format("profile {} has no {} latent attention of type {}, {}", profile.gpu, phase,
                               key,
                               known.empty() ? std::string("it has none at all")
                                             : fmt::format("expected one of {}", fmt::join(known, ", "))));
}

/// Hidden states in and out.
double activation_bytes_of(const LatentAttentionShape& shape, double tokens) {
  return 2 * tokens * static_cast<double>(shape.hidden) * output_bytes;
}

}  // namespace

LatentAttentionShape deepseek_v3_attention(std::int64_t heads, const std::string& projections,
                                           const std::string& kv_type) {
  return {heads, 7168, 1536, 512, 128, 64, 128, projections, kv_type};
}

OperatorWork latent_prefill_work(const LatentAttentionShape& shape, double bytes_per_weight,
                                 double kv_element_bytes, std::span<const PrefillChunk> chunks) {
  const auto heads = static_cast<double>(shape.heads);
  const auto query = static_cast<double>(shape.nope_dim + shape.rope_dim);
  const auto value = static_cast<double>(shape.value_dim);
  double fresh = 0, past = 0, pairs = 0;
  for (const PrefillChunk& chunk : chunks) {
    const auto tokens = static_cast<double>(chunk.new_tokens),
               cached = static_cast<double>(chunk.past_tokens);
    fresh += tokens;
    past += cached;
    pairs += tokens * cached + tokens * (tokens + 1) / 2;
  }
  const double weights = shape.shared_weights() + shape.latent_weights();
  OperatorWork work;
  work.flops = 2 * fresh * weights + 2 * past * shape.latent_weights() + 2 * heads * (query + value) * pairs;
  work.streamed_bytes = weights * bytes_per_weight +
                        past * static_cast<double>(shape.kv_rank + shape.rope_dim) * kv_element_bytes;
  work.bytes = work.streamed_bytes + activation_bytes_of(shape, fresh) +
               2 * past * heads * (query + value) * output_bytes;  // expanded: written and read
  // Without a past, so many whole prompts; a chunk with a long past is one prompt of its new tokens.
  const double mean_length = fresh > 0 ? std::min(2 * pairs / fresh - 1, fresh) : 1;
  work.point = {{mean_length, std::max(1.0, fresh / mean_length), heads}, 3};
  return work;
}

OperatorWork latent_decode_work(const LatentAttentionShape& shape, double bytes_per_weight,
                                double kv_element_bytes, double batch, double context) {
  const auto heads = static_cast<double>(shape.heads);
  const auto cached = static_cast<double>(shape.kv_rank + shape.rope_dim);
  const double weights = shape.shared_weights() + shape.latent_weights();
  OperatorWork work;
  work.flops =
      2 * batch * weights + 2 * heads * (cached + static_cast<double>(shape.kv_rank)) * batch * context;
  work.streamed_bytes = weights * bytes_per_weight + batch * context * cached * kv_element_bytes;
  work.bytes = work.streamed_bytes + activation_bytes_of(shape, batch);
  work.point = {{batch, context, heads}, 3};
  return work;
}

const OperatorModel& latent_prefill_model(const GpuProfile& profile, const LatentAttentionShape& shape) {
  return find_latent(profile, profile.latent_prefill, shape, "prefill");
}

const OperatorModel& latent_decode_model(const GpuProfile& profile, const LatentAttentionShape& shape) {
  return find_latent(profile, profile.latent_decode, shape, "decode");
}

OperatorTime latent_prefill_time(const OperatorModel& model, const LatentAttentionShape& shape,
                                 double kv_element_bytes, std::span<const PrefillChunk> chunks) {
  return operator_time(model, latent_prefill_work(shape, model.bytes_per_weight, kv_element_bytes, chunks));
}

OperatorTime latent_decode_time(const OperatorModel& model, const LatentAttentionShape& shape,
                                double kv_element_bytes, double batch, double context_sum, double tokens) {
  const OperatorWork work =
      latent_decode_work(shape, model.bytes_per_weight, kv_element_bytes, batch, context_sum / batch);
  return operator_time(model, tokens == 1 ? work : for_several_tokens(work, tokens));
}

double shared_projection_seconds(const OperatorModel& decode, const LatentAttentionShape& shape) {
  return shape.shared_weights() * decode.bytes_per_weight / (decode.roofline.memory_gbps * 1e9);
}

}  // namespace sextant
