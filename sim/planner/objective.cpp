#include "sim/planner/objective.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sextant {
namespace {

bool sound(const Candidate& c) {
  return c.startable && c.metrics.rejected == 0;
}

/// Figures within one class of a percent count as equal. What is not known or nothing is in the worst class.
int figure_class(const ObjectiveFigure& figure) {
  constexpr int worst = std::numeric_limits<int>::min();
  if (!figure.value || !(*figure.value > 0) || !std::isfinite(*figure.value)) return worst;
  const auto percents = static_cast<int>(std::floor(std::log(*figure.value) / std::log(1.01)));
  return figure.more_is_better ? percents : -percents;
}

/// Whether `a` is at least as good as `b` in every measure and better in one.
bool dominates(const Candidate& a, const Candidate& b, const std::vector<FrontMeasure>& measures) {
  bool better = false;
  for (const FrontMeasure& measure : measures) {
    double x = figure_of(a, measure.name), y = figure_of(b, measure.name);
    if (!measure.more_is_better) std::swap(x, y);
    // What is not a number (a latency without samples) is no better than anything.
    if (!(x >= y)) return false;
    better = better || x > y;
  }
  return better;
}

}  // namespace

ObjectiveFigure objective_figure(Objective objective, const Candidate& c) {
  if (objective == Objective::cost)
    return {"usd_per_million_output_tokens", false, c.usd_per_million_output_tokens};
  if (objective == Objective::energy)
    return {"joules_per_output_token", false,
            c.energy ? std::optional(c.energy->joules_per_output_token) : std::nullopt};
  if (c.load) return {"highest_load", true, c.load->highest};
  return {"output_throughput", true, c.metrics.output_throughput};
}

bool ranks_before(Objective objective, const Candidate& a, const Candidate& b) {
  if (sound(a) != sound(b)) return sound(a);
  if (a.meets_slo != b.meets_slo) return a.meets_slo;
  const int class_a = figure_class(objective_figure(objective, a));
  const int class_b = figure_class(objective_figure(objective, b));
  if (class_a != class_b) return class_a > class_b;
  // Without a sample (nothing finished) the mean is not a number, which no order has a place for.
  const auto latency = [](const Candidate& c) {
    return c.metrics.finished > 0 ? c.metrics.e2el.mean : std::numeric_limits<double>::infinity();
  };
  return latency(a) < latency(b);
}

bool ranks_before(const Candidate& a, const Candidate& b) {
  return ranks_before(Objective::throughput, a, b);
}

double figure_of(const Candidate& candidate, const std::string& name) {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  if (name == "highest_load") return candidate.load ? candidate.load->highest : unknown;
  if (name == "usd_per_million_output_tokens")
    return candidate.usd_per_million_output_tokens.value_or(unknown);
  if (name == "joules_per_output_token")
    return candidate.energy ? candidate.energy->joules_per_output_token : unknown;
  for (const auto& [metric, value] : named_metrics(candidate.metrics))
    if (metric == name) return value;
  return unknown;
}

std::vector<FrontMeasure> front_measures(const Scenario& scenario, const std::vector<Candidate>& candidates) {
  const bool loads = std::any_of(candidates.begin(), candidates.end(),
                                 [](const Candidate& c) { return c.load.has_value(); });
  std::vector<FrontMeasure> measures = {{loads ? "highest_load" : "output_throughput", true}};
  std::string latency = "mean_tpot_ms";
  for (const ServiceLevel& level : scenario.slo) {
    if (!level.at_most || !level.metric.ends_with("_ms")) continue;
    latency = level.metric;
    break;
  }
  measures.push_back({latency, false});
  for (const char* figure : {"usd_per_million_output_tokens", "joules_per_output_token"})
    if (std::all_of(candidates.begin(), candidates.end(),
                    [&](const Candidate& c) { return std::isfinite(figure_of(c, figure)); }))
      measures.push_back({figure, false});
  return measures;
}

std::vector<std::size_t> pareto_front(const std::vector<Candidate>& candidates,
                                      const std::vector<FrontMeasure>& measures) {
  const auto eligible = [](const Candidate& c) { return sound(c) && c.meets_slo; };
  const bool any = std::any_of(candidates.begin(), candidates.end(), eligible);
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (any && !eligible(candidates[i])) continue;
    const bool beaten = std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& other) {
      return (!any || eligible(other)) && dominates(other, candidates[i], measures);
    });
    if (!beaten) front.push_back(i);
  }
  const auto first = [&](std::size_t i) {
    const double value = figure_of(candidates[i], measures.front().name);
    return measures.front().more_is_better ? -value : value;
  };
  std::stable_sort(front.begin(), front.end(),
                   [&](std::size_t a, std::size_t b) { return first(a) < first(b); });
  return front;
}

}  // namespace sextant
