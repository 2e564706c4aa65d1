#include "sim/validation/kernel_rows.hpp"

#include <fmt/core.h>

#include "models/cost/cost.hpp"

namespace sextant {
namespace {

constexpr double us_per_second = 1e6;
constexpr double bytes_16_bit = 2;
constexpr double bytes_fp32 = 4;
/// More sequences in one kernel are no measurement of this world.
constexpr std::int64_t most_sequences = 1 << 20;

Prediction prediction_of(const OperatorTime& time) {
  const double us = time.seconds * us_per_second;
  return {us, PredictedInterval{us * time.spread.low, us * time.spread.high}, time.grade, time.extrapolated};
}

std::string profile_type(const std::string& type) {
  return type == "fp16" ? "bf16" : type;
}

template <class Row>
AttentionShape shape_of(const Row& row) {
  return {row.heads, row.kv_heads, row.head_dim, row.window, profile_type(row.kv_dtype)};
}

}  // namespace

Outcome predict(const GemmRow& row, const GpuProfile& profile) {
  return prediction_of(gemm_time(profile, profile_type(row.dtype), static_cast<double>(row.m),
                                 static_cast<double>(row.n), static_cast<double>(row.k)));
}

Outcome predict(const AttentionPrefillRow& row, const GpuProfile& profile) {
  if (row.batch > most_sequences)
    return NotPredicted{fmt::format("a batch of {} sequences, at most {}", row.batch, most_sequences)};
  const std::vector<PrefillChunk> chunks(static_cast<std::size_t>(row.batch),
                                         {row.new_tokens, row.past_tokens});
  return prediction_of(attention_prefill_time(profile, shape_of(row), std::span<const PrefillChunk>(chunks)));
}

Outcome predict(const AttentionDecodeRow& row, const GpuProfile& profile) {
  const auto batch = static_cast<double>(row.batch);
  return prediction_of(
      attention_decode_time(profile, shape_of(row), batch, batch * static_cast<double>(row.context)));
}

Outcome predict(const ElementwiseRow& row, const GpuProfile& profile) {
  const double elements = static_cast<double>(row.tokens) * static_cast<double>(row.width);
  const auto moving = [&](double bytes_per_element) {
    return prediction_of(elementwise_time(profile, elements * bytes_per_element));
  };
  if (row.op == "rmsnorm") return moving(4 * bytes_16_bit);     // input and residual, read and written
  if (row.op == "activation") return moving(3 * bytes_16_bit);  // gate and up read, their product written
  if (row.op == "rope" || row.op == "residual" || row.op == "embedding" || row.op == "copy")
    return moving(2 * bytes_16_bit);                    // read, written
  if (row.op == "sampling") return moving(bytes_fp32);  // logits read for their maximum
  return NotPredicted{
      fmt::format("element-wise operation \"{}\" is none of rmsnorm, activation, rope, residual, embedding, "
                  "copy, sampling",
                  row.op)};
}

Outcome predict(const MoeRow&, const GpuProfile&) {
  return NotPredicted{"mixture-of-experts layers have no cost model yet"};
}

Outcome predict(const MlaPrefillRow&, const GpuProfile&) {
  return NotPredicted{"multi-head latent attention has no cost model yet"};
}

Outcome predict(const MlaDecodeRow&, const GpuProfile&) {
  return NotPredicted{"multi-head latent attention has no cost model yet"};
}

Outcome predict(const PowerRow&, const GpuProfile&) {
  return NotPredicted{"power limits have no profile yet"};
}

Outcome predict(const CopyRow&) {
  return NotPredicted{"no profile holds copies: nothing in a step copies outside its kernels and messages"};
}

Outcome predict(const RdmaRow&) {
  return NotPredicted{
      "bare RDMA is no part of a step: it says whether a fabric is sound, not how fast NCCL is"};
}

Outcome predict(const TcpRow&) {
  return NotPredicted{
      "bare TCP is no part of a step: it says whether a fabric is sound, not how fast NCCL is"};
}

}  // namespace sextant
