#include <algorithm>
#include <cmath>

#include "models/profile/assumptions.hpp"
#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

constexpr Family families[] = {Family::gemm,        Family::attention_prefill, Family::attention_decode,
                               Family::elementwise, Family::collective,        Family::point_to_point,
                               Family::host};

/// A run's metrics with one family at one end of its interval.
std::vector<std::pair<std::string, double>> perturbed(const SearchContext& context, const Layout& layout,
                                                      CostLevel level, const PlanOptions& options) {
  return named_metrics(simulate(replica_setups(context, layout, level), context.scenario.engine,
                                context.scenario.workload,
                                {false, options.replication, context.scenario.goodput, options.stop}));
}

}  // namespace

std::map<std::string, Interval> metric_intervals(const SearchContext& context, const Candidate& candidate,
                                                 const PlanOptions& options) {
  // Pairs of runs: each family slow and fast, and everything slow and fast for what no family covers.
  std::vector<CostLevel> levels;
  for (const Family family : families)
    for (const double level : {1.0, -1.0}) levels.push_back(CostLevel::only(family, level));
  const BoundedFigure structural = shipped_assumptions().structural;
  for (const double scale : {structural.high, structural.low}) {
    levels.emplace_back();
    levels.back().scale = scale;
  }
  std::vector<std::vector<std::pair<std::string, double>>> runs(levels.size());
  run_parallel(static_cast<int>(levels.size()), options.threads, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    runs[at] = perturbed(context, candidate.layout, levels[at], options);
  });

  const auto nominal = named_metrics(candidate.metrics);
  std::map<std::string, Interval> intervals;
  for (std::size_t m = 0; m < nominal.size(); ++m) {
    const double value = nominal[m].second;
    double below = 0, above = 0;
    for (std::size_t pair = 0; pair < runs.size(); pair += 2) {
      const double slow = runs[pair][m].second - value, fast = runs[pair + 1][m].second - value;
      below += std::pow(std::min({slow, fast, 0.0}), 2);
      above += std::pow(std::max({slow, fast, 0.0}), 2);
    }
    intervals[nominal[m].first] = {std::max(0.0, value - std::sqrt(below)), value, value + std::sqrt(above)};
  }
  return intervals;
}

}  // namespace sextant
