#pragma once
#include <span>

#include "models/cost/cost.hpp"
#include "models/cost/operator_work.hpp"

namespace sextant {

/// The latent attention module of DeepSeek-V3, whose `heads` stand on one GPU: the one that kernel tables
/// time.
LatentAttentionShape deepseek_v3_attention(std::int64_t heads, const std::string& projections,
                                           const std::string& kv_type);

/// Prompts: every projection at all new tokens; keys and values of new and cached tokens expanded from their
/// latent vectors (past ones are read, expanded and written once for each chunk); 2 heads (nope + rope +
/// value) FLOPs for each query-key pair.
OperatorWork latent_prefill_work(const LatentAttentionShape&, double bytes_per_weight,
                                 double kv_element_bytes, std::span<const PrefillChunk>);

/// Decodes on the latent vectors: 2 heads (2 kv_rank + rope) FLOPs for each cached token, whose kv_rank +
/// rope values are read once for all heads.
OperatorWork latent_decode_work(const LatentAttentionShape&, double bytes_per_weight, double kv_element_bytes,
                                double batch, double context);

const OperatorModel& latent_prefill_model(const GpuProfile&, const LatentAttentionShape&);
const OperatorModel& latent_decode_model(const GpuProfile&, const LatentAttentionShape&);

OperatorTime latent_prefill_time(const OperatorModel&, const LatentAttentionShape&, double kv_element_bytes,
                                 std::span<const PrefillChunk>);
OperatorTime latent_decode_time(const OperatorModel&, const LatentAttentionShape&, double kv_element_bytes,
                                double batch, double context_sum, double tokens = 1);

/// Seconds in which a pass of prompts and decodes reads the projections' weights once instead of twice, as
/// the two times above count them.
double shared_projection_seconds(const OperatorModel& decode, const LatentAttentionShape&);

}  // namespace sextant
