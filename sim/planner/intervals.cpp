#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/profile/assumptions.hpp"
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
    text += fmt::format("{} {} alone moves it from {:.4g} to {:.4g}", i == 0 ? "" : ",", effects[i].name,
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

std::vector<Perturbation> family_perturbations(bool scans) {
  std::vector<Perturbation> all;
  for (const Family family : families)
    if (family != Family::state_space || scans)
      all.push_back({to_string(family), CostLevel::only(family, 1), CostLevel::only(family, -1)});
  const BoundedFigure structural = shipped_assumptions().structural;
  all.push_back({"what no operator covers", {}, {}});
  all.back().slow.scale = structural.high;
  all.back().fast.scale = structural.low;
  return all;
}

PerturbedRuns perturbed_runs(const SearchContext& context, const Layout& layout, bool scans,
                             const PlanOptions& options, const std::optional<Layout>& prefill) {
  const std::vector<Perturbation> perturbations = family_perturbations(scans);
  PerturbedRuns result;
  for (const Perturbation& perturbation : perturbations) result.families.push_back(perturbation.family);
  result.metrics.resize(2 * perturbations.size());
  run_parallel(static_cast<int>(result.metrics.size()), options.threads, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    const Perturbation& perturbation = perturbations[at / 2];
    result.metrics[at] =
        perturbed(context, layout, prefill, at % 2 == 0 ? perturbation.slow : perturbation.fast, options);
  });
  return result;
}

std::optional<Layout> prefill_layout(const Candidate& candidate) {
  return candidate.prefill ? std::optional(candidate.prefill->layout) : std::nullopt;
}

bool scans_states(const Candidate& candidate) {
  return std::any_of(candidate.stages.begin(), candidate.stages.end(),
                     [](const auto& stage) { return stage.decode_families[Family::state_space] > 0; });
}

MetricIntervals metric_intervals(const SearchContext& context, const Candidate& candidate,
                                 const PlanOptions& options) {
  return metric_intervals(
      context, candidate,
      perturbed_runs(context, candidate.layout, scans_states(candidate), options, prefill_layout(candidate)));
}

MetricIntervals metric_intervals(const SearchContext& context, const Candidate& candidate,
                                 const PerturbedRuns& perturbed_runs) {
  const auto& [names, runs] = perturbed_runs;

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
    if (name == "p99_ttft_ms") {
      const double late = value + context.machine.engine().late_first_token_ms.value;
      ends.emplace_back(late, value);
      effects.push_back({"rare delays of first tokens", 0, late - value});
    }
    result.intervals[name] = combined_interval(value, ends);
    // No share of the requests is more than all of them.
    if (name == "goodput_fraction") result.intervals[name].high = std::min(1.0, result.intervals[name].high);
    if (name == headline) result.cause = cause(name, value, std::move(effects));
  }
  // Nor are more requests good than are served.
  if (const auto good = result.intervals.find("request_goodput"); good != result.intervals.end())
    good->second.high = std::min(good->second.high, result.intervals.at("request_throughput").high);
  return result;
}

}  // namespace sextant
