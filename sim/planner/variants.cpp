#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "sim/planner/comparison.hpp"
#include "sim/planner/noticeable.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

/// What a variant moves, and whether anyone would notice.
std::string verdict(const Plan& base, const Plan& variant, bool same_workload) {
  const ServingMetrics& a = base.candidates.front().metrics;
  const ServingMetrics& b = variant.candidates.front().metrics;
  // A metric without samples on either side moves nothing.
  const auto percent = [](double from, double to) {
    return from > 0 && std::isfinite(to) ? 100 * (to / from - 1) : 0.0;
  };
  const double throughput = percent(a.output_throughput, b.output_throughput);
  const double ttft = percent(a.ttft.mean, b.ttft.mean), tpot = percent(a.tpot.mean, b.tpot.mean);
  const auto change = [](const char* name, double after, double moved) {
    return std::isfinite(after) ? fmt::format("{} {:+.2f} %", name, moved) : fmt::format("{} -", name);
  };
  std::string text =
      fmt::format("{}, {}, {}", change("output throughput", b.output_throughput, throughput),
                  change("mean TTFT", b.ttft.mean, ttft), change("mean TPOT", b.tpot.mean, tpot));
  const double largest = std::max({std::abs(throughput), std::abs(ttft), std::abs(tpot)});
  if (!same_workload)
    text = "another load, so not a gain or a loss: read its figures for themselves";
  else if (largest < 100 * noticeable)
    text += fmt::format(": under {} %, nothing anyone would notice", 100 * noticeable);
  else if (largest < 3)
    text += ": a small change, within the error of the prediction";
  const std::string layout = variant.candidates.front().layout.describe();
  if (layout != base.candidates.front().layout.describe()) text += "; best layout becomes " + layout;
  return text;
}

/// The variant's best against the base's. nullopt where either is not comparable: a load found for the one
/// alone.
std::optional<LayoutComparison> against_base(const Scenario& scenario, const Plan& base,
                                             const Scenario& variant, Plan& plan,
                                             const PlanOptions& options) {
  const Candidate &of_base = base.candidates.front(), &own = plan.candidates.front();
  if (!base.effects || of_base.load.has_value() != own.load.has_value()) return std::nullopt;
  Scenario seeded = variant;
  if (options.seed) seeded.workload.seed = *options.seed;
  plan.effects = std::make_shared<const ErrorEffects>(plan_effects(seeded, own, plan.objective, options));
  return compare_candidates({seeded, own, *plan.effects}, {scenario, of_base, *base.effects}, base.objective);
}

}  // namespace

std::vector<VariantResult> plan_variants(const JsonValue& document, const Scenario& scenario,
                                         const Plan& base, const PlanOptions& options) {
  std::vector<VariantResult> results;
  for (const Variant& variant : scenario.variants) {
    VariantResult result;
    result.name = variant.name;
    for (const auto& [path, value] : variant.changes) result.changes.push_back(path + " = " + value);
    try {
      PlanOptions quick = options;
      quick.intervals = false;
      const Scenario changed = read_scenario(with_changes(document, variant.changes));
      result.plan = make_plan(changed, quick);
      const bool same_workload = std::none_of(variant.changes.begin(), variant.changes.end(),
                                              [](const auto& c) { return c.first.starts_with("workload"); });
      result.verdict = verdict(base, *result.plan, same_workload);
      if (options.intervals && same_workload)
        result.comparison = against_base(scenario, base, changed, *result.plan, options);
    } catch (const InfeasibleError& error) {
      result.infeasible = error.what();
      result.verdict = "no plan";
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace sextant
