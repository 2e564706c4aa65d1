#include "models/cost/operator_time.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/cost/group_curve.hpp"
#include "models/cost/operator_work.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

constexpr double microsecond = 1e-6;
/// Grids clamp at their edges; up to this factor beyond, that is not called an extrapolation.
constexpr double edge_slack = 2;

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

bool memory_bound(const Roofline& roofline, const OperatorWork& work) {
  return roofline.tflops <= 0 || work.bytes / roofline.memory_gbps > work.flops / (roofline.tflops * 1e3);
}

OperatorTime transfer_time(const TransferCurve& curve, double bytes) {
  OperatorTime time{curve.time_us(bytes) * microsecond, curve.grade, curve.spread, false};
  time.extrapolated = bytes * edge_slack < curve.bytes.front() || bytes > curve.bytes.back() * edge_slack;
  return time;
}

}  // namespace

OperatorTime operator_time(const OperatorModel& model, const OperatorWork& work) {
  OperatorTime time{0, model.grade, model.spread, false};
  time.seconds = model.roofline.latency_us * microsecond +
                 roofline_seconds(model.roofline, work) / model.efficiency.at(work.point.coordinates());
  time.extrapolated = !model.efficiency.covers(work.point.coordinates(), edge_slack);
  time.memory_bound = memory_bound(model.roofline, work);
  if (time.memory_bound) time.in_passes = model.slow_state.mean();
  time.alone_seconds = std::min(model.alone_us, model.roofline.latency_us) * microsecond;
  return time;
}

const OperatorModel& gemm_model(const GpuProfile& profile, const std::string& type) {
  return find_model(profile, profile.gemm, "gemm", type);
}

const OperatorModel& moe_model(const GpuProfile& profile, const std::string& type,
                               const std::string& routing) {
  return find_model(profile, profile.moe, "routed experts", type + "/" + routing);
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
  return operator_time(model, gemm_work(type, model.bytes_per_weight, m, n, k));
}

namespace {

/// One chunk's share of a kernel of so many new tokens.
double chunk_seconds(const OperatorModel& model, const OperatorWork& work, OperatorTime& time) {
  const std::span<const double> coordinates = work.point.coordinates();
  time.extrapolated = time.extrapolated || !model.efficiency.covers(coordinates, edge_slack);
  time.memory_bound = memory_bound(model.roofline, work);
  return roofline_seconds(model.roofline, work) / model.efficiency.at(coordinates);
}

}  // namespace

OperatorTime attention_prefill_time(const OperatorModel& model, const AttentionShape& shape,
                                    double kv_element_bytes, std::span<const PrefillChunk> chunks) {
  double new_tokens = 0;
  for (const PrefillChunk& chunk : chunks) new_tokens += static_cast<double>(chunk.new_tokens);
  OperatorTime time{0, model.grade, model.spread, false};
  time.alone_seconds = std::min(model.alone_us, model.roofline.latency_us) * microsecond;
  for (const PrefillChunk& chunk : chunks) {
    if (chunk.new_tokens <= 0) continue;
    double seconds =
        chunk_seconds(model, attention_prefill_work(shape, kv_element_bytes, chunk, new_tokens), time);
    // Nothing was measured after a past. A chunk reads the keys of its whole sequence and computes a part of
    // its pairs, so it never takes longer than that sequence from its start: what a few tokens' efficiency,
    // measured without a past, would say where most of the work is reading.
    if (chunk.past_tokens > 0) {
      const PrefillChunk whole{chunk.past_tokens + chunk.new_tokens, 0};
      const double all_tokens = new_tokens + static_cast<double>(chunk.past_tokens);
      OperatorTime unused = time;
      seconds = std::min(
          seconds,
          chunk_seconds(model, attention_prefill_work(shape, kv_element_bytes, whole, all_tokens), unused));
    }
    time.seconds += seconds;
  }
  if (new_tokens > 0) time.seconds += model.roofline.latency_us * microsecond;
  return time;
}

double attention_tiles_seconds(const OperatorModel& model, const AttentionShape& shape,
                               double kv_element_bytes, const PassShape& pass) {
  const std::int64_t group = std::max<std::int64_t>(1, shape.heads / shape.kv_heads);
  const std::int64_t rows = pass.mixed_tile.packs_heads
                                ? std::max<std::int64_t>(1, pass.mixed_tile.rows / group)
                                : pass.mixed_tile.rows;
  const std::int64_t context = pass.decode_context_sum / pass.decodes;
  const PrefillChunk tile{rows, std::max<std::int64_t>(0, context - rows)};
  std::int64_t kernel_tokens = rows * pass.decodes;
  for (const PrefillChunk& chunk : pass.chunks) kernel_tokens += chunk.new_tokens;
  OperatorTime unused;
  return static_cast<double>(pass.decodes) *
         chunk_seconds(
             model, attention_prefill_work(shape, kv_element_bytes, tile, static_cast<double>(kernel_tokens)),
             unused);
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

namespace {

/// A kernel's tile is one sequence's key-value head, so heads beyond the most that were measured are looked
/// up as more sequences of so many.
void share_tiles(OperatorWork& decode, const Grid& efficiency) {
  if (efficiency.empty()) return;
  double& batch = decode.point.values[0];
  double& kv_heads = decode.point.values[2];
  const double most = efficiency.axes()[2].back();
  if (kv_heads <= most) return;
  batch *= kv_heads / most;
  kv_heads = most;
}

}  // namespace

OperatorTime attention_decode_time(const OperatorModel& model, const AttentionShape& shape,
                                   double kv_element_bytes, double batch, double context_sum, double tokens) {
  OperatorWork work = attention_decode_work(shape, kv_element_bytes, batch, context_sum / batch);
  share_tiles(work, model.efficiency);
  return operator_time(model, tokens == 1 ? work : for_several_tokens(work, tokens));
}

OperatorTime attention_decode_time(const GpuProfile& profile, const AttentionShape& shape, double batch,
                                   double context_sum) {
  return attention_decode_time(attention_decode_model(profile, shape), shape, element_bytes(shape.kv_type),
                               batch, context_sum);
}

OperatorTime elementwise_time(const GpuProfile& profile, const ElementwiseShape& shape, double tokens) {
  const auto own = profile.elementwise_ops.find(shape.op);
  if (own != profile.elementwise_ops.end())
    return operator_time(own->second, elementwise_work(shape.bytes_per_token, tokens));
  const double bytes = shape.bytes_per_token * tokens;
  return operator_time(profile.elementwise, {0, bytes, 0, bytes, {{bytes}, 1}});
}

OperatorTime collective_time(const LinkProfile& profile, const std::string& op, int ranks, double bytes) {
  if (ranks <= 1) return {0, Grade::measured, {}, false};
  if (!profile.collective(op, ranks) && profile.ring && profile.ring->operation(op))
    return transfer_time(*modelled_curve(shipped_nccl_tuning(), profile, op, ranks), bytes);
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
