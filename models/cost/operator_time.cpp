#include "models/cost/operator_time.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/base/error.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

constexpr double microsecond = 1e-6;
/// Grids clamp at their edges; up to this factor beyond, that is not called an extrapolation.
constexpr double edge_slack = 2;
/// Unit of the prefill grid's second coordinate (gpu_profile.hpp).
constexpr double prefill_fill_unit = 1024;

using Models = std::map<std::string, OperatorModel>;

const OperatorModel& find_model(const GpuProfile& profile, const Models& models, const std::string& family,
                                const std::string& key) {
  const auto found = models.find(key);
  if (found != models.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, model] : models) known.push_back(name);
  const std::string has = known.empty() ? fmt::format("it has no {} at all", family)
                                        : fmt::format("expected one of {}", fmt::join(known, ", "));
  throw InputError(fmt::format("profile {} has no {} of type {}, {}", profile.gpu, family, key, has));
}

std::string attention_key(const AttentionShape& shape) {
  return fmt::format("{}/{}", shape.kv_type, shape.head_dim);
}

OperatorTime transfer_time(const TransferCurve& curve, double bytes) {
  OperatorTime time{curve.time_us(bytes) * microsecond, curve.grade, curve.spread, false, false};
  time.extrapolated = bytes * edge_slack < curve.bytes.front() || bytes > curve.bytes.back() * edge_slack;
  return time;
}

/// Pairs of the first `tokens` of a sequence where attention ends at the start of each chunk.
double chunked_pairs(std::int64_t tokens, std::int64_t chunk) {
  const auto size = static_cast<double>(chunk), rest = static_cast<double>(tokens % chunk);
  return static_cast<double>(tokens / chunk) * size * (size + 1) / 2 + rest * (rest + 1) / 2;
}

/// Query-key pairs that a chunk of a prompt computes in each head.
double causal_pairs(const PrefillChunk& chunk, const AttentionShape& shape) {
  if (shape.chunk > 0)
    return chunked_pairs(chunk.past_tokens + chunk.new_tokens, shape.chunk) -
           chunked_pairs(chunk.past_tokens, shape.chunk);
  const auto fresh = static_cast<double>(chunk.new_tokens), past = static_cast<double>(chunk.past_tokens);
  const std::int64_t window = shape.window;
  if (window <= 0) return fresh * past + fresh * (fresh + 1) / 2;
  // The first `growing` queries see everything before them, the rest a full window.
  const auto limit = static_cast<double>(window);
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

}  // namespace

Work roofline_work(const Roofline& roofline, double flops, double bytes) {
  const double memory = bytes / (roofline.memory_gbps * 1e9);
  const double arithmetic = roofline.tflops > 0 ? flops / (roofline.tflops * 1e12) : 0;
  return {std::max(memory, arithmetic), memory >= arithmetic};
}

OperatorTime operator_time(const OperatorModel& model, const Work& work,
                           std::span<const double> coordinates) {
  OperatorTime time{0, model.grade, model.spread, false, work.memory_bound};
  time.seconds = model.roofline.latency_us * microsecond + work.seconds / model.efficiency.at(coordinates);
  time.extrapolated = !model.efficiency.covers(coordinates, edge_slack);
  return time;
}

const OperatorModel& gemm_model(const GpuProfile& profile, const std::string& type) {
  return find_model(profile, profile.gemm, "gemm", type);
}

const OperatorModel& moe_model(const GpuProfile& profile, const std::string& type) {
  return find_model(profile, profile.moe, "routed experts", type);
}

const OperatorModel& attention_prefill_model(const GpuProfile& profile, const AttentionShape& shape) {
  return find_model(profile, profile.attention_prefill, "prefill attention", attention_key(shape));
}

const OperatorModel& attention_decode_model(const GpuProfile& profile, const AttentionShape& shape) {
  return find_model(profile, profile.attention_decode, "decode attention", attention_key(shape));
}

const TransferCurve& collective_curve(const LinkProfile& profile, const std::string& op, int ranks) {
  if (const TransferCurve* curve = profile.collective(op, ranks)) return *curve;
  std::vector<std::string> known;
  for (const CollectiveCurve& item : profile.collectives)
    if (profile.collective(item.op, item.ranks) == &item.curve)
      known.push_back(fmt::format("{} of {} ranks", item.op, item.ranks));
  throw InputError(fmt::format("link profile {} has no {} of {} ranks, it has {}", profile.name, op, ranks,
                               known.empty() ? "no collectives" : fmt::format("{}", fmt::join(known, ", "))));
}

OperatorTime gemm_time(const GpuProfile& profile, const std::string& type, double m, double n, double k) {
  const OperatorModel& model = gemm_model(profile, type);
  const double bytes = m * k * activation_bytes(type) + n * k * model.bytes_per_weight + m * n * output_bytes;
  return operator_time(model, roofline_work(model.roofline, 2 * m * n * k, bytes), std::array{m, n, k});
}

OperatorTime attention_prefill_time(const OperatorModel& model, const AttentionShape& shape,
                                    double kv_element_bytes, std::span<const PrefillChunk> chunks) {
  const auto heads = static_cast<double>(shape.heads), head_dim = static_cast<double>(shape.head_dim);
  const double kv_bytes_per_token = 2 * static_cast<double>(shape.kv_heads) * head_dim * kv_element_bytes;
  double new_tokens = 0;
  for (const PrefillChunk& chunk : chunks) new_tokens += static_cast<double>(chunk.new_tokens);

  OperatorTime time{0, model.grade, model.spread, false, false};
  double memory_seconds = 0;
  for (const PrefillChunk& chunk : chunks) {
    if (chunk.new_tokens <= 0) continue;
    const auto fresh = static_cast<double>(chunk.new_tokens);
    const double pairs = causal_pairs(chunk, shape);
    const double bytes = cached_tokens_read(chunk, shape) * kv_bytes_per_token +
                         2 * fresh * heads * head_dim * output_bytes;  // queries in, outputs out
    const Work work = roofline_work(model.roofline, 4 * heads * head_dim * pairs, bytes);
    const std::array coordinates = {pairs / fresh, heads * new_tokens / prefill_fill_unit,
                                    heads / static_cast<double>(shape.kv_heads)};
    const double seconds = work.seconds / model.efficiency.at(coordinates);
    time.seconds += seconds;
    if (work.memory_bound) memory_seconds += seconds;
    time.extrapolated = time.extrapolated || !model.efficiency.covers(coordinates, edge_slack);
  }
  time.memory_bound = memory_seconds > time.seconds / 2;
  if (new_tokens > 0) time.seconds += model.roofline.latency_us * microsecond;
  return time;
}

OperatorTime attention_prefill_time(const GpuProfile& profile, const AttentionShape& shape,
                                    std::span<const PrefillChunk> chunks) {
  return attention_prefill_time(attention_prefill_model(profile, shape), shape, element_bytes(shape.kv_type),
                                chunks);
}

OperatorTime attention_prefill_time(const GpuProfile& profile, const AttentionShape& shape,
                                    PrefillChunk chunk) {
  return attention_prefill_time(profile, shape, std::span<const PrefillChunk>(&chunk, 1));
}

OperatorTime attention_decode_time(const OperatorModel& model, const AttentionShape& shape,
                                   double kv_element_bytes, double batch, double context_sum) {
  const auto heads = static_cast<double>(shape.heads), kv_heads = static_cast<double>(shape.kv_heads);
  const auto head_dim = static_cast<double>(shape.head_dim);
  const double context = context_seen(context_sum / batch, shape);
  const double flops = 4 * heads * head_dim * batch * context;
  const double bytes = 2 * kv_heads * head_dim * batch * context * kv_element_bytes +
                       2 * batch * heads * head_dim * output_bytes;  // queries in, outputs out
  return operator_time(model, roofline_work(model.roofline, flops, bytes),
                       std::array{batch * kv_heads, context, heads / kv_heads});
}

OperatorTime attention_decode_time(const GpuProfile& profile, const AttentionShape& shape, double batch,
                                   double context_sum) {
  return attention_decode_time(attention_decode_model(profile, shape), shape, element_bytes(shape.kv_type),
                               batch, context_sum);
}

OperatorTime elementwise_time(const GpuProfile& profile, double bytes) {
  return operator_time(profile.elementwise, roofline_work(profile.elementwise.roofline, 0, bytes),
                       std::array{bytes});
}

OperatorTime collective_time(const LinkProfile& profile, const std::string& op, int ranks, double bytes) {
  if (ranks <= 1) return {0, Grade::measured, {}, false, false};
  const TransferCurve& nccl = collective_curve(profile, op, ranks);
  const TransferCurve* custom = profile.custom(op, ranks);
  const bool own_kernel =
      custom && bytes <= custom->bytes.back() && custom->time_us(bytes) < nccl.time_us(bytes);
  return transfer_time(own_kernel ? *custom : nccl, bytes);
}

OperatorTime send_time(const LinkProfile& profile, double bytes, bool staged) {
  if (!staged) return transfer_time(profile.send, bytes);
  if (!profile.staged)
    throw InputError(
        fmt::format("link profile {} has no curve of transfers staged in host memory", profile.name));
  return transfer_time(*profile.staged, bytes);
}

}  // namespace sextant
