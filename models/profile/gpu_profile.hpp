#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/base/figure.hpp"
#include "models/profile/grid.hpp"
#include "models/profile/load_model.hpp"
#include "models/profile/power_model.hpp"
#include "models/profile/spread.hpp"

namespace sextant {

/// The straight-line part of an operator's cost: latency + max(flops / rate, bytes / bandwidth).
struct Roofline {
  double tflops = 0;       ///< 10^12 FLOP/s reached at best; 0: not bound by arithmetic
  double memory_gbps = 0;  ///< 10^9 B/s reached at best
  double latency_us = 0;   ///< launch and tail of one kernel
};

/// Errors of predictions within one region of shapes, relative.
struct RegionError {
  std::string region;  ///< "under 30 us"
  std::int64_t rows = 0;
  double median = 0, p90 = 0;
};

/// Kernels that stream weights from memory take one of two times, by where the weights happen to lie: a share
/// of them `time` times the other. A grid stands for the faster; many layers in a row take the mean.
struct SlowState {
  double share = 0;
  double time = 1;
  double mean() const { return 1 + share * (time - 1); }
};

/// One operator family at one data type: time = latency + max(flops / rate, bytes / bandwidth) /
/// efficiency(coordinates). A fit therefore stores efficiency = (roofline work time) / (measured time -
/// latency). The coordinates of each family are stated at its field in GpuProfile.
struct OperatorModel {
  Grade grade = Grade::assumed;
  std::string source;
  Roofline roofline;
  Grid efficiency;  ///< empty: 1 everywhere
  SlowState slow_state;
  double alone_us = 0;  ///< of a kernel's time here that one among others in a pass does not take
  Spread spread;        ///< of single operators, on shapes that a fit did not see
  std::optional<double> median_error;         ///< of the same, relative
  std::vector<RegionError> cross_validation;  ///< of shapes that a fit did not see, over serving sizes
  double bytes_per_weight =
      0;                 ///< GEMM, MoE, latent attention: weight bytes streamed per element, scales included
  bool by_rule = false;  ///< from other operators by a rule (operator_rules.hpp): no part of the file
};

using OperatorModels = std::map<std::string, OperatorModel>;

/// Other kernels for the same work than those serving engines use; keys as in GpuProfile.
struct KernelSet {
  OperatorModels gemm, attention_prefill, attention_decode, moe;
};

/// What a fit knows about one GPU.
struct GpuProfile {
  std::string gpu;          ///< catalogue name
  std::string scaled_from;  ///< profile this one was scaled from; empty if its own
  std::string provenance;   ///< sources and the command that made the file
  /// By dtype (bf16, fp8, int8, nvfp4, w4a16). Efficiency over (m, n, k).
  OperatorModels gemm;
  /// By "kv type/head_dim" ("bf16/128"). Efficiency over (mean causal length in tokens, whole prompts of that
  /// length in the kernel, query heads, heads / kv_heads); models/cost/operator_work.cpp has chunks in these
  /// terms.
  OperatorModels attention_prefill;
  /// By "kv type/head_dim". Efficiency over (batch, mean context, kv_heads, heads / kv_heads).
  OperatorModels attention_decode;
  /// Routed experts, by "type/routing" ("fp8/power_law"). Efficiency over (token-expert pairs for each
  /// expert, experts on the GPU, their width after tensor parallel, hidden size). Empty: not known.
  OperatorModels moe;
  /// Latent attention with its projections, prompts and decodes, by "type of the projections/kv type"
  /// ("fp8_block/bf16"). Efficiency over (tokens of a prompt, prompts, heads) and (batch, mean context,
  /// heads). Empty: not known.
  OperatorModels latent_prefill, latent_decode;
  /// Memory-bound small kernels that `elementwise_ops` does not name. Efficiency over (bytes moved).
  OperatorModel elementwise;
  /// Those measured by themselves, by operation (rmsnorm, activation, rope, embedding, sampling). Efficiency
  /// over (tokens, bytes moved for each).
  OperatorModels elementwise_ops;
  /// Kernels that only some engine runs, by name ("sextant-measure": our harness's); EngineProfile::kernels
  /// chooses.
  std::map<std::string, KernelSet> kernels;
  /// nullopt: not known; the speed is that at the default power limit.
  std::optional<PowerModel> power;
  /// nullopt: not known; every time then stands for work that lasts, too.
  std::optional<LoadModel> load;
};

/// Which model of a profile: its family is the name of its member (elementwise_ops count as elementwise), its
/// type the number format of GEMMs, routed experts and latent attention, else empty.
struct ModelName {
  std::string family, type;
};

/// Calls `change(name, model)` for every model, those of the kernel sets too.
void for_each_model(GpuProfile&, const std::function<void(const ModelName&, OperatorModel&)>& change);

/// The profile as an engine sees it that runs the kernels of that name: they stand in place of the general
/// ones, where the profile has such a set and the set such a type. An empty name changes nothing.
GpuProfile with_kernels(const GpuProfile&, const std::string& name);

/// Finds the profile that a scaled one leans on.
using GpuProfileFinder = std::function<GpuProfile(const std::string& gpu)>;

/// The shipped profile of a GPU, with the shipped power model if it has none of its own and the operators
/// that the shipped rules give. Throws InputError naming the known ones.
GpuProfile find_gpu_profile(const std::string& gpu);

/// {"format": "sextant gpu profile", "version": 1, …}; strict. A file with "scaled_from" holds ratios instead
/// of tables, one with "same_as" nothing, one with "rest_from" takes from the other what it lacks itself: all
/// are resolved against the profile that `base` finds (the embedded one). Throws InputError.
GpuProfile read_gpu_profile(const JsonValue&, const GpuProfileFinder& base = find_gpu_profile);
/// The profile's tables as JSON, figures rounded to four digits; a scaled profile is written resolved, with
/// its origin in the provenance. `rest_from`: another profile that the file names for what this one lacks.
std::string write_gpu_profile(const GpuProfile&, const std::string& rest_from = {});

}  // namespace sextant
