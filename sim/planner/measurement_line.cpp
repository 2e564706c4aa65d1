#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "sim/planner/comparison.hpp"

namespace sextant {
namespace {

/// Kernels that `sextant-measure gpu --families` times (calibrate/measure/README.md).
constexpr std::array measurable = {"gemm/bf16",
                                   "gemm/fp8",
                                   "gemm/fp16",
                                   "gemm/int8",
                                   "gemm/nvfp4",
                                   "attention_decode/bf16",
                                   "attention_decode/fp8",
                                   "attention_prefill",
                                   "moe/bf16",
                                   "elementwise"};

std::set<std::string> not_common(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::set<std::string> different;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                std::inserter(different, different.end()));
  if (!different.empty()) return different;
  different = a;
  different.insert(b.begin(), b.end());
  return different;
}

/// "gpu kernel" sources of the first GPU that has a measurable one.
std::string kernel_line(const std::set<std::string>& sources, const std::string& family) {
  std::string gpu;
  std::vector<std::string> kernels;
  for (const std::string& source : sources) {
    const std::size_t space = source.find(' ');
    const std::string owner = source.substr(0, space), kernel = source.substr(space + 1);
    if (std::find(measurable.begin(), measurable.end(), kernel) == measurable.end()) continue;
    if (!gpu.empty() && owner != gpu) continue;
    gpu = owner;
    kernels.push_back(kernel);
  }
  if (kernels.empty())
    return fmt::format(
        "no verb of sextant-measure times {} in that format; sextant import takes an engine's own "
        "kernel table",
        family);
  return fmt::format("sextant-measure gpu --gpu {} --families {} -o {}.jsonl", gpu, fmt::join(kernels, ","),
                     gpu);
}

/// "2,4" of two degrees; one where they are equal.
std::string degrees(int a, int b) {
  return a == b ? fmt::format("{}", a) : fmt::format("{},{}", std::min(a, b), std::max(a, b));
}

std::string step_line(const Scenario& scenario, const Layout& a, const Layout& b) {
  return fmt::format("sextant-measure step --model {} --weights {} --kv {} --tp {} --pp {} -o steps.jsonl",
                     scenario.model.architecture.name, scenario.model.weights.name, scenario.model.kv.name,
                     degrees(a.tp, b.tp), degrees(a.pp, b.pp));
}

bool in_one_node(const MeasuredLayout& measured) {
  const auto node = [&](int gpu) {
    return measured.scenario.cluster.devices[static_cast<std::size_t>(gpu)].node;
  };
  for (const auto& replica : measured.layout.replicas)
    for (const StagePlacement& stage : replica)
      for (const int gpu : stage.gpus)
        if (node(gpu) != node(replica.front().gpus.front())) return false;
  return true;
}

}  // namespace

std::string measurement_line(const MeasuredLayout& a, const MeasuredLayout& b) {
  const std::string& family = a.effect.family.empty() ? b.effect.family : a.effect.family;
  const bool near = in_one_node(a) && in_one_node(b);
  if (family == to_string(Family::collective) && near)
    return fmt::format("sextant-measure nccl all_reduce -b 1K -e 256M -f 2 -g {} --output nccl.jsonl",
                       std::max(a.layout.tp, b.layout.tp));
  if (family == to_string(Family::point_to_point) && near)
    return "sextant-measure nccl send -b 1K -e 256M -f 2 -g 2 --output nccl.jsonl";
  if (family == to_string(Family::collective) || family == to_string(Family::point_to_point))
    return "sextant-measure fabric --hosts hosts -o fabric.jsonl";
  if (family == to_string(Family::host))
    return "no verb of sextant-measure times an engine's host; run vllm bench serve on either layout and "
           "compare "
           "with sextant validate";
  const std::string& weights = a.scenario.model.weights.name;
  if (family == "what no operator covers")
    return (weights == "bf16" || weights == "fp8") && near
               ? step_line(a.scenario, a.layout, b.layout)
               : "run vllm bench serve on either layout and compare with sextant validate";
  return kernel_line(not_common(a.effect.sources, b.effect.sources), family);
}

LayoutComparison compare_candidates(const ComparedCandidate& a, const ComparedCandidate& b,
                                    Objective objective) {
  const ObjectiveFigure figure = objective_figure(objective, a.candidate);
  // At its highest load each meets the SLO as the replications judged.
  LayoutComparison comparison =
      compare(a.effects, b.effects, a.candidate.load ? std::vector<ServiceLevel>{} : a.scenario.slo,
              figure.name, figure.more_is_better);
  if (comparison.parts.empty()) return comparison;
  const auto family_in = [&](const ErrorEffects& effects) {
    for (const FamilyEffect& family : effects.families)
      if (family.family == comparison.parts.front().family) return family;
    return FamilyEffect{};
  };
  const FamilyEffect in_a = family_in(a.effects), in_b = family_in(b.effects);
  comparison.settled_by =
      measurement_line({a.scenario, a.candidate.layout, in_a}, {b.scenario, b.candidate.layout, in_b});
  return comparison;
}

}  // namespace sextant
