#include "calibrate/fit/gpu_fit.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "calibrate/fit/operator_fit.hpp"
#include "models/base/error.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

using Axes = std::vector<std::vector<double>>;

// Where the efficiency is stored: fine where kernels change (tiles of 16, 32, 64, 128 and 256 rows), coarse
// elsewhere, so that a profile stays a small file.
const std::vector<double> widths = {128,  512,  1024, 1536, 2048,  2560,  3072,  3584, 4096,
                                    5120, 6144, 7168, 8192, 10240, 12288, 16384, 51200};
const Axes gemm_axes = {{2,   4,   8,   16,  17,   32,   33,   64,   65,   96,   128,  129,  192,  256,
                         257, 512, 513, 768, 1024, 1025, 1536, 2048, 2560, 3072, 4096, 4352, 8192, 16384},
                        widths,
                        widths};
const Axes prefill_axes = {
    {8.5, 16.5, 32.5, 64.5, 128.5, 256.5, 512.5, 1024.5, 1536.5, 2048.5, 3072.5, 4096.5},
    {0.125, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096},
    {2, 4, 8, 16}};
const Axes decode_axes = {{2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192},
                          {4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536},
                          {2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64}};
const std::set<std::int64_t> fitted_head_sizes = {64, 128};

std::string attention_key(const std::string& kv_dtype, std::int64_t head_dim) {
  return fmt::format("{}/{}", kv_dtype, head_dim);
}

double floor_us(const std::vector<FitSample>& samples) {
  std::vector<double> times;
  for (const FitSample& sample : samples) times.push_back(sample.us);
  return quantile(times, 0.01);
}

OperatorModel elementwise_model(double memory_gbps, const ElementwiseRule& rule) {
  OperatorModel model;
  model.grade = weakest(rule.kernel_us.grade, rule.time.figure.grade);
  model.source = fmt::format(
      "no table of small kernels: the memory rate that GEMM or decode attention reaches, and {} us a kernel "
      "within a CUDA graph",
      rule.kernel_us.value);
  model.roofline = {0, memory_gbps, rule.kernel_us.value};
  model.spread = spread_of(rule.time);
  return model;
}

}  // namespace

void GpuFit::add(const Measurement& measurement) {
  if (measurement.gpu != gpu_) return;
  const auto keep = [&](Families& families, const std::string& family, const std::string& key,
                        const auto& row) {
    families[key].push_back(sample_of(row));
    std::vector<std::string>& sources = sources_[family];
    if (sources.empty() || (sources.back() != measurement.source &&
                            std::find(sources.begin(), sources.end(), measurement.source) == sources.end()))
      sources.push_back(measurement.source);
  };
  if (const auto* gemm = std::get_if<GemmRow>(&measurement.row)) {
    if (gemm->dtype != "w4a16") keep(gemm_, "gemm", gemm->dtype, *gemm);
  } else if (const auto* prefill = std::get_if<AttentionPrefillRow>(&measurement.row)) {
    if (prefill->window == 0 && fitted_head_sizes.contains(prefill->head_dim))
      keep(prefill_, "attention_prefill", attention_key(prefill->kv_dtype, prefill->head_dim), *prefill);
  } else if (const auto* decode = std::get_if<AttentionDecodeRow>(&measurement.row)) {
    if (decode->window == 0 && fitted_head_sizes.contains(decode->head_dim))
      keep(decode_, "attention_decode", attention_key(decode->kv_dtype, decode->head_dim), *decode);
  }
}

std::string GpuFit::source(const std::string& family) const {
  return fmt::format("{}", fmt::join(sources_.at(family), "; "));
}

std::vector<std::string> GpuFit::usable_gemm_types(const GemmLeftOut& rule, FitReport& report) const {
  std::size_t most = 0;
  double fastest = 0;
  for (const auto& [type, samples] : gemm_) {
    most = std::max(most, samples.size());
    const double floor = floor_us(samples);
    fastest = fastest == 0 ? floor : std::min(fastest, floor);
  }
  std::vector<std::string> types;
  for (const auto& [type, samples] : gemm_) {
    if (static_cast<double>(samples.size()) < rule.share_of_rows.value * static_cast<double>(most))
      report.notes.push_back(
          fmt::format("gemm {} left out: {} rows against {} of another type", type, samples.size(), most));
    else if (const double floor = floor_us(samples); floor > rule.times_fastest.value * fastest)
      report.notes.push_back(
          fmt::format("gemm {} left out: its smallest shapes take {:.1f} us against {:.1f} us of another "
                      "type, the time of launches from the host and not of kernels",
                      type, floor, fastest));
    else
      types.push_back(type);
  }
  return types;
}

GpuProfile GpuFit::fit(const Assumptions& assumptions, const GpuFitOptions& options,
                       FitReport& report) const {
  GpuProfile profile;
  profile.gpu = gpu_;
  profile.provenance = options.provenance;
  double memory_gbps = 0;
  const auto fit_family = [&](const std::string& family, const std::string& key,
                              const std::vector<FitSample>& samples, OperatorFitOptions how) {
    how.family = family + " " + key;
    how.l2_bytes = options.l2_bytes;
    how.folds = options.folds;
    FitReportLine line;
    OperatorModel model = fit_operator(samples, how, line);
    model.source = source(family);
    if (line.floored > 0)
      model.source += fmt::format("; {} of {} rows raised to the time DRAM needs", line.floored, line.rows);
    if (how.floor_at_memory) memory_gbps = std::max(memory_gbps, model.roofline.memory_gbps);
    report.lines.push_back(line);
    return model;
  };
  for (const std::string& type : usable_gemm_types(assumptions.gemm_left_out, report)) {
    OperatorModel model = fit_family("gemm", type, gemm_.at(type), {"", gemm_axes, true, {}, 0, true, 0});
    model.bytes_per_weight = element_bytes(type);
    profile.gemm[type] = std::move(model);
  }
  for (const auto& [key, samples] : decode_)
    profile.attention_decode[key] =
        fit_family("attention_decode", key, samples, {"", decode_axes, false, {}, 0, true, 0});
  if (memory_gbps == 0)
    throw InputError(fmt::format(
        "{}: found no gemm and no decode attention rows of it, expected some to tell what its memory reaches",
        gpu_));
  for (const auto& [key, samples] : prefill_)
    profile.attention_prefill[key] =
        fit_family("attention_prefill", key, samples, {"", prefill_axes, true, memory_gbps, 0, false, 0});
  if (const auto bf16 = profile.gemm.find("bf16"); bf16 != profile.gemm.end())
    profile.gemm["w4a16"] = assumed_w4a16(bf16->second, assumptions);
  profile.elementwise = elementwise_model(memory_gbps, assumptions.elementwise);
  return profile;
}

}  // namespace sextant
