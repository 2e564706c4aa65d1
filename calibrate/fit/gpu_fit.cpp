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

// How the efficiency of each family is stored. Kernels change from one number of rows and one width n to the
// next (tiles, waves of tiles), and least with the depth k, along which the same tiles only work longer: a
// hole is filled from there. The numbers of values keep a profile within half a megabyte.
constexpr std::size_t all_gemm_values = 36'000, all_prefill_values = 14'000, all_decode_values = 16'000,
                      all_moe_values = 14'000, least_moe_values = 300, all_latent_values = 2'800;
constexpr std::size_t most_values = 12'000,
                      most_attention_values = 4'000;                    // of one grid: more follow the noise
const std::vector<FitAxis> gemm_axes = {{1, 0.01}, {1, 0.05}, {1, 1}};  // m, n, k
const std::vector<FitAxis> prefill_axes = {
    {1, 0.3}, {1, 1}, {1.3, 1}, {1.3, 0.3}};  // length, prompts, heads, group
const std::vector<FitAxis> decode_axes = {
    {1, 1}, {1, 1}, {1, 1}, {1.3, 1}};  // batch, context, kv heads, group
// Times scatter from one shape to its neighbour by more than a smooth law: found by cross-validation.
const std::vector<FitAxis> moe_axes = {
    {1.3, 1}, {1.1, 1}, {1.2, 1}, {1.1, 0.1}};                      // pairs, experts, width, hidden
const std::vector<FitAxis> elementwise_op_axes = {{1, 1}, {1, 1}};  // tokens, bytes a token
const std::vector<FitAxis> elementwise_axes = {{1.5, 1}};           // bytes
constexpr double gemm_bending = 0.1, prefill_bending = 0.01, decode_bending = 3e-4, moe_bending = 0.01,
                 elementwise_bending = 0.01;
constexpr std::size_t most_elementwise_values = 500, elementwise_folds = 5;
const std::vector<FitAxis> latent_axes = {
    {1, 1}, {1, 1}, {1, 1}};  // length or batch, prompts or context, heads
constexpr double latent_bending = 1e-3;
constexpr std::size_t gemm_folds = 5, attention_folds = 7;  // above the number of what tells shapes apart
constexpr double gemm_alike_below = 64;                     // rows of one tile: all wait for the weights
const std::set<std::int64_t> fitted_head_sizes = {64, 128};

std::string attention_key(const std::string& kv_dtype, std::int64_t head_dim) {
  return fmt::format("{}/{}", kv_dtype, head_dim);
}

OperatorFitOptions grid_options(const std::vector<FitAxis>& axes, double bending, std::size_t most,
                                std::size_t folds) {
  OperatorFitOptions how;
  how.axes = axes;
  how.bending = bending;
  how.most_values = most;
  how.folds = folds;
  return how;
}

/// For operators that do not tell themselves what the memory reaches.
OperatorFitOptions with_memory(double memory_gbps, OperatorFitOptions how) {
  how.memory_gbps = memory_gbps;
  how.floor_at_memory = false;
  return how;
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

bool of_one_head_count(const std::vector<FitSample>& latent) {
  const auto heads = [](const FitSample& sample) { return sample.work.point.values[2]; };
  return std::all_of(latent.begin(), latent.end(),
                     [&](const FitSample& sample) { return heads(sample) == heads(latent.front()); });
}

/// Kernels that engines do not run go to a set of their own, where `rest` has the engines'.
void set_apart(GpuProfile& profile, const HarnessKernels& rule, const GpuProfile& rest) {
  KernelSet& set = profile.kernels[rule.name];
  const auto move = [&](const std::string& family, OperatorModels& from, const OperatorModels& engines,
                        OperatorModels& to) {
    for (auto model = from.begin(); model != from.end();) {
      const bool named =
          std::any_of(rule.families.begin(), rule.families.end(), [&](const std::string& word) {
            return word == family || word == fmt::format("{}/{}", family, model->first);
          });
      const auto here = model++;
      if (named && engines.contains(here->first)) to.insert(from.extract(here));
    }
  };
  move("gemm", profile.gemm, rest.gemm, set.gemm);
  move("attention_prefill", profile.attention_prefill, rest.attention_prefill, set.attention_prefill);
  move("attention_decode", profile.attention_decode, rest.attention_decode, set.attention_decode);
  move("moe", profile.moe, rest.moe, set.moe);
}

}  // namespace

void GpuFit::add(const Measurement& measurement) {
  if (measurement.gpu != gpu_) return;
  const auto keep = [&](Families& families, const std::string& family, const std::string& key,
                        const auto& row) {
    families[key].push_back(*std::optional<FitSample>(sample_of(row)));
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
  } else if (const auto* small = std::get_if<ElementwiseRow>(&measurement.row)) {
    if (sample_of(*small)) keep(elementwise_, "elementwise", small->op, *small);
  } else if (const auto* power = std::get_if<PowerRow>(&measurement.row)) {
    load_.add(*power, measurement.source);
  } else if (const auto* moe = std::get_if<MoeRow>(&measurement.row)) {
    // Skewed routing over several GPUs times the fullest of them: what that is, no row tells.
    const bool balanced = moe->distribution == balanced_routing;
    if (balanced || moe->ep == 1)
      keep(moe_, "moe", moe->dtype + "/" + (balanced ? balanced_routing : skewed_routing), *moe);
  } else if (const auto* latent = std::get_if<MlaPrefillRow>(&measurement.row)) {
    if (latent->module && latent->dtype == "bf16")
      keep(latent_prefill_, "latent_prefill", latent->projections + "/" + latent->kv_dtype, *latent);
  } else if (const auto* token = std::get_if<MlaDecodeRow>(&measurement.row)) {
    if (token->module && token->dtype == "bf16")
      keep(latent_decode_, "latent_decode", token->projections + "/" + token->kv_dtype, *token);
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
    if (type == "fp16" && gemm_.contains("bf16"))
      report.notes.push_back("gemm fp16 left out: predicted as bf16");
    else if (static_cast<double>(samples.size()) < rule.share_of_rows.value * static_cast<double>(most))
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
  const double attention_alone_us = options.from_tables ? assumptions.table_rows.attention_alone_us.value : 0;
  const auto fit_family = [&](const std::string& family, const std::string& key,
                              const std::vector<FitSample>& samples, OperatorFitOptions how) {
    how.family = family + " " + key;
    how.l2_bytes = options.l2_bytes;
    if (!options.cross_validate) how.folds = 0;
    FitReportLine line;
    OperatorModel model = fit_operator(samples, how, line);
    model.source = source(family);
    if (line.floored > 0)
      model.source += fmt::format("; {} of {} rows raised to the time DRAM needs", line.floored, line.rows);
    if (line.outliers > 0)
      model.source += fmt::format("; {} rows lie a quarter or more off the fit", line.outliers);
    if (how.floor_at_memory) memory_gbps = std::max(memory_gbps, model.roofline.memory_gbps);
    report.lines.push_back(line);
    return model;
  };
  const std::vector<std::string> types = usable_gemm_types(assumptions.gemm_left_out, report);
  for (const std::string& type : types) {
    OperatorFitOptions how = grid_options(gemm_axes, gemm_bending,
                                          std::min(all_gemm_values / types.size(), most_values), gemm_folds);
    how.alike_below = gemm_alike_below;
    OperatorModel model = fit_family("gemm", type, gemm_.at(type), how);
    model.bytes_per_weight = element_bytes(type);
    if (options.from_tables) model.alone_us = assumptions.table_rows.gemm_alone_us.value;
    profile.gemm[type] = std::move(model);
  }
  for (const auto& [key, samples] : decode_) {
    OperatorFitOptions how =
        grid_options(decode_axes, decode_bending,
                     std::min(all_decode_values / decode_.size(), most_attention_values), attention_folds);
    how.arithmetic = false;
    profile.attention_decode[key] = fit_family("attention_decode", key, samples, how);
    profile.attention_decode[key].alone_us = attention_alone_us;
  }
  if (memory_gbps == 0)
    throw InputError(fmt::format(
        "{}: found no gemm and no decode attention rows of it, expected some to tell what its memory reaches",
        gpu_));
  for (const auto& [key, samples] : prefill_) {
    const OperatorFitOptions how = with_memory(
        memory_gbps,
        grid_options(prefill_axes, prefill_bending,
                     std::min(all_prefill_values / prefill_.size(), most_attention_values), attention_folds));
    profile.attention_prefill[key] = fit_family("attention_prefill", key, samples, how);
    profile.attention_prefill[key].alone_us = attention_alone_us;
  }
  std::size_t moe_rows = 0;
  for (const auto& [key, samples] : moe_) moe_rows += samples.size();
  for (const auto& [key, samples] : moe_) {
    const std::size_t share = all_moe_values * samples.size() / std::max<std::size_t>(moe_rows, 1);
    const OperatorFitOptions how = with_memory(
        memory_gbps, grid_options(moe_axes, moe_bending, std::max(least_moe_values, share), attention_folds));
    OperatorModel model = fit_family("moe", key, samples, how);
    model.bytes_per_weight = element_bytes(key.substr(0, key.find('/')));
    profile.moe[key] = std::move(model);
  }
  // The kernels are the same however tokens are spread; what a routing moves stands in moe_work.
  const std::string even = std::string("/") + balanced_routing, uneven = std::string("/") + skewed_routing;
  for (const auto& [key, samples] : moe_)
    if (const std::string type = key.substr(0, key.find('/')); !moe_.contains(type + uneven))
      profile.moe[type + uneven] = profile.moe.at(type + even);
  const auto fit_latent = [&](const std::string& family, const Families& families,
                              std::map<std::string, OperatorModel>& models) {
    for (const auto& [key, samples] : families) {
      if (of_one_head_count(samples)) {
        report.notes.push_back(
            fmt::format("{} {} left out: rows of one number of heads tell nothing of others", family, key));
        continue;
      }
      const OperatorFitOptions how = with_memory(
          memory_gbps,
          grid_options(latent_axes, latent_bending, all_latent_values / families.size(), attention_folds));
      OperatorModel model = fit_family(family, key, samples, how);
      model.bytes_per_weight = element_bytes(key.substr(0, key.find('/')));
      models[key] = std::move(model);
    }
  };
  fit_latent("latent_prefill", latent_prefill_, profile.latent_prefill);
  fit_latent("latent_decode", latent_decode_, profile.latent_decode);
  if (const auto bf16 = profile.gemm.find("bf16"); bf16 != profile.gemm.end())
    profile.gemm["w4a16"] = assumed_w4a16(bf16->second, assumptions);
  std::vector<FitSample> small;  // all operations alike, by the bytes they move
  for (const auto& [op, samples] : elementwise_) {
    profile.elementwise_ops[op] =
        fit_family("elementwise", op, samples,
                   with_memory(memory_gbps, grid_options(elementwise_op_axes, elementwise_bending,
                                                         most_elementwise_values, elementwise_folds)));
    for (FitSample sample : samples) {
      sample.work.point = {{sample.work.bytes}, 1};
      small.push_back(std::move(sample));
    }
  }
  profile.elementwise =
      small.empty()
          ? elementwise_model(memory_gbps, assumptions.elementwise)
          : fit_family("elementwise", "any", small,
                       with_memory(memory_gbps, grid_options(elementwise_axes, elementwise_bending,
                                                             most_elementwise_values, elementwise_folds)));
  profile.load = load_.fit(options.full_clock_mhz, assumptions.power_window.value);
  if (options.rest) set_apart(profile, assumptions.harness_kernels, *options.rest);
  return profile;
}

}  // namespace sextant
