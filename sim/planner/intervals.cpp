#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "models/cost/operator_work.hpp"
#include "models/profile/assumptions.hpp"
#include "models/profile/operator_rules.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/pools.hpp"

namespace sextant {
namespace {

constexpr Family families[] = {
    Family::gemm,        Family::moe,        Family::attention_prefill, Family::attention_decode,
    Family::elementwise, Family::collective, Family::point_to_point,    Family::host,
    Family::state_space};

/// A run's metrics with one family at one end of its interval.
std::vector<std::pair<std::string, double>> perturbed(const SearchContext& context, const Layout& layout,
                                                      const std::optional<Layout>& prefill, CostLevel level,
                                                      const PlanOptions& options) {
  SimulationOptions simulation{false, options.replication, context.scenario.goodput, options.stop,
                               context.scenario.router};
  simulation.changes = replica_changes(context.scenario, context.epochs, layout, level);
  return named_metrics(prepare_run(context, layout, prefill, level).simulate(context, simulation));
}

/// What one family (or the structural term, the last pair) does to a metric by itself.
struct Effect {
  std::string name;
  double below = 0, above = 0;
};

/// "gemm alone moves mean_tpot_ms from 450 to 950, what no operator covers from 590 to 730".
std::string cause(const std::string& metric, double value, std::vector<Effect> effects) {
  std::sort(effects.begin(), effects.end(),
            [](const Effect& a, const Effect& b) { return a.below + a.above > b.below + b.above; });
  constexpr std::size_t most = 2;
  std::string text = fmt::format("what the model error of {} comes from:", metric);
  for (std::size_t i = 0; i < std::min(most, effects.size()); ++i)
    text += fmt::format("{} {} alone moves it from {:.3g} to {:.3g}", i == 0 ? "" : ",", effects[i].name,
                        value - effects[i].below, value + effects[i].above);
  return text;
}

}  // namespace

Interval combined_interval(double nominal, const std::vector<std::pair<double, double>>& ends) {
  double below = 0, above = 0;
  for (const auto& [one, other] : ends) {
    below += std::pow(std::log(std::min({one, other, nominal}) / nominal), 2);
    above += std::pow(std::log(std::max({one, other, nominal}) / nominal), 2);
  }
  if (nominal > 0)
    return {nominal * std::exp(-std::sqrt(below)), nominal, nominal * std::exp(std::sqrt(above))};
  // Nothing is a ratio of 0 (no request was good, say): the farthest end alone is told.
  double farthest = nominal;
  for (const auto& [one, other] : ends) farthest = std::max({farthest, one, other});
  return {nominal, nominal, farthest};
}

PerturbedRuns perturbed_runs(const SearchContext& context, const Layout& layout, bool scans,
                             const PlanOptions& options, const std::optional<Layout>& prefill) {
  // Pairs of runs: each family slow and fast, and everything slow and fast for what no family covers.
  std::vector<CostLevel> levels;
  PerturbedRuns result;
  for (const Family family : families) {
    if (family == Family::state_space && !scans) continue;
    result.families.push_back(to_string(family));
    for (const double level : {1.0, -1.0}) levels.push_back(CostLevel::only(family, level));
  }
  result.families.emplace_back("what no operator covers");
  const BoundedFigure structural = shipped_assumptions().structural;
  for (const double scale : {structural.high, structural.low}) {
    levels.emplace_back();
    levels.back().scale = scale;
  }
  result.metrics.resize(levels.size());
  run_parallel(static_cast<int>(levels.size()), options.threads, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    result.metrics[at] = perturbed(context, layout, prefill, levels[at], options);
  });
  return result;
}

MetricIntervals metric_intervals(const SearchContext& context, const Candidate& candidate,
                                 const PlanOptions& options) {
  const bool scans = std::any_of(candidate.stages.begin(), candidate.stages.end(), [](const auto& stage) {
    return stage.decode_families[Family::state_space] > 0;
  });
  const auto [names, runs] =
      perturbed_runs(context, candidate.layout, scans, options,
                     candidate.prefill ? std::optional(candidate.prefill->layout) : std::nullopt);

  const bool closed = context.workload.concurrency > 0;
  // Outputs of one token have no TPOT.
  const bool has_tpot = std::isfinite(candidate.metrics.tpot.mean);
  const std::string headline = closed ? "output_throughput" : has_tpot ? "mean_tpot_ms" : "mean_ttft_ms";
  const auto nominal = named_metrics(candidate.metrics);
  MetricIntervals result;
  for (std::size_t m = 0; m < nominal.size(); ++m) {
    const auto& [name, value] = nominal[m];
    std::vector<Effect> effects;
    std::vector<std::pair<double, double>> ends;
    for (std::size_t pair = 0; pair < names.size(); ++pair) {
      const double slow = runs[2 * pair][m].second, fast = runs[2 * pair + 1][m].second;
      ends.emplace_back(slow, fast);
      effects.push_back(
          {names[pair], value - std::min({slow, fast, value}), std::max({slow, fast, value}) - value});
    }
    result.intervals[name] = combined_interval(value, ends);
    // No share of the requests is more than all of them.
    if (name == "goodput_fraction") result.intervals[name].high = std::min(1.0, result.intervals[name].high);
    if (name == headline) result.cause = cause(name, value, std::move(effects));
  }
  return result;
}

std::vector<std::string> assumed_operators(const SearchContext& context, const Layout& layout) {
  const ServedModel& model = context.scenario.model;
  std::vector<std::string> found;
  for (const auto& replica : layout.replicas) {
    for (std::size_t s = 0; s < replica.size(); ++s) {
      const LayerCut cut = layout.cut(replica);
      const StageShape shape{replica[s].layers, cut.tensor_parallel, s == 0, s + 1 == replica.size(),
                             cut.expert_parallel};
      const StageOperators operators = stage_operators(model.architecture, model.weights, model.kv, shape);
      for (const int device : replica[s].gpus) {
        const GpuProfile& profile = *context.machine.profile(device);
        const auto note = [&](const char* family, const auto& models, const std::string& type) {
          const auto known = models.find(type);
          if (known == models.end() || known->second.grade != Grade::assumed) return;
          const std::string text =
              fmt::format("{} {} on {} is assumed, its time between {:.2f} and {:.2f} of the one used: {}",
                          family, type, profile.gpu, known->second.spread.low, known->second.spread.high,
                          known->second.source.substr(0, known->second.source.find(';')));
          if (std::find(found.begin(), found.end(), text) == found.end()) found.push_back(text);
        };
        for (const auto& [gemm, count] : operators.gemms) note("gemm", profile.gemm, gemm.type);
        for (const auto& [moe, count] : operators.moes)
          note("moe", profile.moe, fmt::format("{}/{}", moe.type, skewed_routing));
        for (const auto& [attention, count] : operators.attentions) {
          const std::string key = fmt::format("{}/{}", attention.kv_type, attention.head_dim);
          note("prefill attention", profile.attention_prefill, key);
          note("decode attention", profile.attention_decode, key);
        }
        for (const auto& [latent, count] : operators.latents) {
          const std::string key = fmt::format("{}/{}", latent.projections, latent.kv_type);
          note("latent prefill attention", profile.latent_prefill, key);
          note("latent decode attention", profile.latent_decode, key);
        }
        if (operators.state_spaces.empty()) continue;
        const StateSpaceRule rule = shipped_operator_rules().state_space;
        const std::map<std::string, OperatorModel> scans = {
            {"of prompts", state_space_prefill_model(profile, rule)},
            {"of decodes", state_space_decode_model(profile, rule)}};
        for (const auto& [phase, scan] : scans) note("state-space scan", scans, phase);
      }
    }
  }
  return found;
}

}  // namespace sextant
