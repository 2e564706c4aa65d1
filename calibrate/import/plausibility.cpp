#include "calibrate/import/plausibility.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "models/profile/measurement_fields.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

// 10^12/s and 10^9/s in units of a microsecond.
constexpr double per_us_of_tera = 1e6, per_us_of_giga = 1e3;

/// The data sheet's type that a type computes in; what is not listed computes in itself.
std::string computes_in(const std::string& type) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> types = {
      {{"fp8_block", "fp8"},
       {"nvfp4", "fp4"},
       {"w4a16", "bf16"},
       {"int4_wo", "bf16"},
       {"w4a16_mxfp4", "bf16"},
       {"w4a8_mxfp4_mxfp8", "fp8"}}};
  for (const auto& [stored, computed] : types)
    if (type == stored) return std::string(computed);
  return type;
}

/// Pairs of a new token and one it attends to, causally, of one sequence: those that came before it and
/// itself.
double pairs(double fresh, double past, double window) {
  if (window <= 0 || window >= past + fresh) return fresh * past + fresh * (fresh + 1) / 2;
  const double growing = std::clamp(window - past, 0.0, fresh);
  return growing * past + growing * (growing + 1) / 2 + (fresh - growing) * window;
}

double largest_l2() {
  double bytes = 0;
  for (const Gpu& gpu : hardware_catalogue().gpus)
    if (gpu.l2_bytes) bytes = std::max(bytes, gpu.l2_bytes->value);
  return bytes;
}

std::string kind_of(const MeasurementRow& row) {
  return std::visit(
      [](const auto& alternative) {
        return std::string(detail::kind_name<std::decay_t<decltype(alternative)>>());
      },
      row);
}

}  // namespace

Plausibility::Plausibility(const std::string& gpu, const ImportLimits& limits) : limits_(limits) {
  for (const Gpu& known : hardware_catalogue().gpus)
    if (known.name == gpu) gpu_ = &known;
  // Of a part whose L2 is not in the catalogue, any size of another part's may be resident.
  l2_bytes_ = gpu_ && gpu_->l2_bytes ? gpu_->l2_bytes->value : largest_l2();
}

double Plausibility::rate(const std::string& type) const {
  if (!gpu_) return 0;
  auto found = gpu_->dense_tflops.find(computes_in(type));
  if (found == gpu_->dense_tflops.end() && type == "fp16") found = gpu_->dense_tflops.find("bf16");
  return found == gpu_->dense_tflops.end() ? 0 : found->second.value * per_us_of_tera;
}

/// A kernel may compute in either of its types; the faster one bounds it, if both are known.
double Plausibility::fastest(const std::string& a, const std::string& b) const {
  return rate(a) > 0 && rate(b) > 0 ? std::max(rate(a), rate(b)) : 0;
}

double Plausibility::bytes_us(double bytes) const {
  if (!gpu_ || !gpu_->memory_gbps) return 0;
  return std::max(0.0, bytes - l2_bytes_) / (gpu_->memory_gbps->value * per_us_of_giga);
}

double Plausibility::least(const GemmRow& row) const {
  const auto m = static_cast<double>(row.m), n = static_cast<double>(row.n), k = static_cast<double>(row.k);
  const double weight = row.dtype == "w4a16" ? 0.5 : element_bytes(row.dtype);
  const double bytes = m * k * activation_bytes(row.dtype) + n * k * weight + m * n * output_bytes;
  return std::max(flops_us(2 * m * n * k, rate(row.dtype)), bytes_us(bytes));
}

// Two matrices an expert: gated ones have three, but the tables do not say which are.
double Plausibility::least(const MoeRow& row) const {
  const double products = static_cast<double>(row.tokens) * static_cast<double>(row.topk) *
                          static_cast<double>(row.hidden) * static_cast<double>(row.intermediate);
  return flops_us(2 * 2 * products / static_cast<double>(row.tp) / static_cast<double>(row.ep),
                  rate(row.dtype));
}

double Plausibility::least(const AttentionPrefillRow& row) const {
  const double products = static_cast<double>(row.batch) * static_cast<double>(row.heads) *
                          static_cast<double>(row.head_dim) *
                          pairs(static_cast<double>(row.new_tokens), static_cast<double>(row.past_tokens),
                                static_cast<double>(row.window));
  return flops_us(2 * 2 * products, fastest(row.dtype, row.kv_dtype));
}

double Plausibility::least(const AttentionDecodeRow& row) const {
  const std::int64_t seen = row.window > 0 ? std::min(row.window, row.context) : row.context;
  return bytes_us(2 * static_cast<double>(row.batch) * static_cast<double>(row.kv_heads) *
                  static_cast<double>(row.head_dim) * static_cast<double>(seen) *
                  element_bytes(row.kv_dtype));
}

// Unabsorbed, which needs the fewest operations: keys of nope + rope, values of their own width.
double Plausibility::least(const MlaPrefillRow& row) const {
  const double widths = limits_.mla.nope + limits_.mla.rope + limits_.mla.value;
  const double products = static_cast<double>(row.batch) * static_cast<double>(row.heads) * widths *
                          pairs(static_cast<double>(row.new_tokens), static_cast<double>(row.past_tokens), 0);
  return flops_us(2 * products, fastest(row.dtype, row.kv_dtype));
}

double Plausibility::least(const MlaDecodeRow& row) const {
  const double tokens = static_cast<double>(row.batch) * static_cast<double>(row.context);
  const double cached = limits_.mla.latent + limits_.mla.rope;
  return std::max(flops_us(2 * static_cast<double>(row.heads) * tokens * (cached + limits_.mla.latent),
                           fastest(row.dtype, row.kv_dtype)),
                  bytes_us(tokens * cached * element_bytes(row.kv_dtype)));
}

// Whatever the algorithm, a rank receives the parts of the buffer that it does not hold.
double Plausibility::least(const CollectiveRow& row) const {
  if (!gpu_ || row.nodes != 1 || row.ranks < 2) return 0;
  double gbps = 0;
  if (row.link == "nvlink" && gpu_->nvlink_gbps) gbps = gpu_->nvlink_gbps->value;
  if (row.link == "pcie" && gpu_->pcie_generation > 0)
    gbps = pcie_gbps(gpu_->pcie_generation, gpu_->pcie_lanes);
  if (gbps <= 0) return 0;
  return row.bytes * (row.ranks - 1) / row.ranks / (gbps * per_us_of_giga);
}

double Plausibility::least_us(const MeasurementRow& row) const {
  return std::visit([this](const auto& alternative) { return least(alternative); }, row);
}

std::optional<std::string> Plausibility::objection(const MeasurementRow& row, double us) {
  if (us < limits_.shortest_us)
    return fmt::format("found {:.6g} us, expected at least {:.6g} us for any kernel; is it in another unit?",
                       us, limits_.shortest_us);
  const double least = least_us(row);
  if (us * limits_.times_peak < least)
    return fmt::format(
        "found {:.6g} us, expected at least {:.6g} us by the data sheet of {}; is it in another unit?", us,
        least / limits_.times_peak, gpu_->name);
  if (least < limits_.judged_from_us) return std::nullopt;
  ++judged_;
  best_share_ = std::max(best_share_, least / us);
  const auto share = limits_.slowest_share.find(kind_of(row));
  if (share != limits_.slowest_share.end() && least < us * share->second)
    return fmt::format(
        "found {:.6g} us, expected at most {:.6g} us, {:.6g} times what {} needs by its data sheet; is "
        "it in another unit?",
        us, least / share->second, 1 / share->second, gpu_->name);
  return std::nullopt;
}

std::optional<std::string> Plausibility::objection_to_all() const {
  if (judged_ < limits_.rows_to_judge_a_table || best_share_ >= limits_.best_share_of_a_table)
    return std::nullopt;
  return fmt::format(
      "found no row that reaches more than {:.3g} % of the data sheet of {}, expected {:.3g} % of some; "
      "are the times in another unit?",
      100 * best_share_, gpu_->name, 100 * limits_.best_share_of_a_table);
}

}  // namespace sextant
