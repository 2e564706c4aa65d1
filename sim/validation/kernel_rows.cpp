#include "sim/validation/kernel_rows.hpp"

#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "models/cost/cost.hpp"
#include "models/cost/latent_attention.hpp"
#include "models/cost/operator_work.hpp"
#include "models/profile/numeric_type.hpp"
#include "models/profile/power.hpp"

namespace sextant {
namespace {

constexpr double us_per_second = 1e6;
/// More sequences in one kernel are no measurement of this world.
constexpr std::int64_t most_sequences = 1 << 20;
/// Every token takes its experts at random, all alike.
constexpr auto uniform_routing = "uniform";

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
  const std::optional<ElementwiseMoves> moves = elementwise_moves(row.op);
  if (!moves)
    return NotPredicted{fmt::format(
        "element-wise operation \"{}\" is none of rmsnorm, activation, rope, residual, embedding, "
        "copy, sampling",
        row.op)};
  const double per_token = static_cast<double>(row.width) * moves->bytes_per_value / moves->kernels;
  OperatorTime time = elementwise_time(profile, {row.op, per_token}, static_cast<double>(row.tokens));
  time.seconds *= moves->kernels;
  return prediction_of(time);
}

namespace {

/// 1.2 of "power_law_1.2", as the importer keeps it.
std::optional<double> exponent_of(const std::string& distribution) {
  constexpr std::string_view prefix = "power_law_";
  if (!distribution.starts_with(prefix)) return std::nullopt;
  double exponent = 0;
  const char* end = distribution.data() + distribution.size();
  const auto read = std::from_chars(distribution.data() + prefix.size(), end, exponent);
  return read.ec == std::errc() && read.ptr == end ? std::optional(exponent) : std::nullopt;
}

}  // namespace

Outcome predict(const MoeRow& row, const GpuProfile& profile) {
  const bool balanced = row.distribution == balanced_routing;
  const MoeShape shape{row.hidden, row.intermediate, row.experts, row.topk, row.tp, row.ep, row.dtype, true};
  if (!balanced && row.ep > 1) {
    RoutingRule routing = shipped_operator_rules().routing;
    if (row.distribution == uniform_routing)
      return prediction_of(divided_moe_time(profile, shape, static_cast<double>(row.tokens), routing));
    if (const auto exponent = exponent_of(row.distribution)) routing.exponent.value = *exponent;
    return prediction_of(moe_time(profile, shape, static_cast<double>(row.tokens), routing));
  }
  return prediction_of(moe_time(profile, shape, static_cast<double>(row.tokens),
                                balanced ? balanced_routing : skewed_routing));
}

namespace {

/// Why a row of latent attention is not what a profile holds.
template <class Row>
std::optional<NotPredicted> not_held(const Row& row) {
  if (!row.module)
    return NotPredicted{"the kernel alone: profiles hold latent attention with its projections"};
  if (row.dtype != "bf16")
    return NotPredicted{
        fmt::format("latent attention in {} arithmetic: profiles hold it in 16 bit", row.dtype)};
  return std::nullopt;
}

template <class Row>
LatentAttentionShape latent_shape_of(const Row& row) {
  return deepseek_v3_attention(row.heads, profile_type(row.projections), profile_type(row.kv_dtype));
}

}  // namespace

Outcome predict(const MlaPrefillRow& row, const GpuProfile& profile) {
  if (auto why = not_held(row)) return *why;
  if (row.batch > most_sequences)
    return NotPredicted{fmt::format("a batch of {} sequences, at most {}", row.batch, most_sequences)};
  const LatentAttentionShape shape = latent_shape_of(row);
  const std::vector<PrefillChunk> chunks(static_cast<std::size_t>(row.batch),
                                         {row.new_tokens, row.past_tokens});
  return prediction_of(
      latent_prefill_time(latent_prefill_model(profile, shape), shape, element_bytes(shape.kv_type), chunks));
}

Outcome predict(const MlaDecodeRow& row, const GpuProfile& profile) {
  if (auto why = not_held(row)) return *why;
  const LatentAttentionShape shape = latent_shape_of(row);
  const auto batch = static_cast<double>(row.batch);
  return prediction_of(latent_decode_time(latent_decode_model(profile, shape), shape,
                                          element_bytes(shape.kv_type), batch,
                                          batch * static_cast<double>(row.context)));
}

Outcome predict(const PowerRow& row, const GpuProfile& profile) {
  if (!profile.power) return NotPredicted{"there is no power model of " + profile.gpu};
  if (row.work != "tensor" && row.work != "stream")
    return NotPredicted{fmt::format("work \"{}\" is neither tensor nor stream", row.work)};
  const PowerModel& power = *profile.power;
  const double than = row.relative_to_watts.value_or(power.default_watts.value);
  for (const double limit : {row.watts_limit, than})
    if (limit < power.lowest_watts.value || limit > power.highest_watts.value)
      return NotPredicted{fmt::format("a limit of {} W, {} takes {} to {}", limit, profile.gpu,
                                      power.lowest_watts.value, power.highest_watts.value)};
  const bool tensor = row.work == "tensor";
  const double speed = relative_speed(power, row.watts_limit, tensor ? Work::tensor : Work::stream, than);
  const Spread& spread = tensor ? power.tensor_spread : power.stream_spread;
  return Prediction{speed, PredictedInterval{speed * spread.low, speed * spread.high},
                    tensor ? power.tensor_watts_per_mhz.grade : power.stream_watts_per_mhz.grade, false};
}

Outcome predict(const CopyRow&) {
  return NotPredicted{"no profile holds copies: nothing in a step copies outside its kernels and messages"};
}

Outcome predict(const OverlapRow&) {
  return NotPredicted{"nothing predicts yet what a collective and a GEMM side by side take from each other"};
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
