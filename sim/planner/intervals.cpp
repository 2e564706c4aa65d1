#include <algorithm>
#include <cmath>

#include "models/profile/assumptions.hpp"
#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

constexpr Family families[] = {Family::gemm,       Family::attention_prefill, Family::attention_decode,
                               Family::elementwise, Family::collective,        Family::point_to_point, Family::host};

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
  constexpr int family_number = static_cast<int>(std::size(families));
  std::vector<std::vector<std::pair<std::string, double>>> runs(2 * family_number);
  run_parallel(2 * family_number, options.threads, [&](int i) {
    const double level = i % 2 == 0 ? 1.0 : -1.0;
    runs[static_cast<std::size_t>(i)] =
        perturbed(context, candidate.layout, CostLevel::only(families[i / 2], level), options);
  });

  const auto nominal = named_metrics(candidate.metrics);
  const BoundedFigure structural = shipped_assumptions().structural;
  std::map<std::string, Interval> intervals;
  for (std::size_t m = 0; m < nominal.size(); ++m) {
    const double value = nominal[m].second;
    // Rates fall where times grow, so the structural term's sides swap for them; both are taken as ratios.
    double below = std::pow(value * (1 - 1 / structural.high), 2), above = std::pow(value * (structural.high - 1), 2);
    for (int f = 0; f < family_number; ++f) {
      const double slow = runs[static_cast<std::size_t>(2 * f)][m].second - value;
      const double fast = runs[static_cast<std::size_t>(2 * f + 1)][m].second - value;
      below += std::pow(std::min({slow, fast, 0.0}), 2);
      above += std::pow(std::max({slow, fast, 0.0}), 2);
    }
    intervals[nominal[m].first] = {std::max(0.0, value - std::sqrt(below)), value, value + std::sqrt(above)};
  }
  return intervals;
}

}  // namespace sextant
