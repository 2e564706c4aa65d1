#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"
#include "sim/planner/objective.hpp"

namespace sextant::detail {
namespace {

std::string degrees_text(const Layout& layout) {
  return fmt::format("{} x {} x {}", layout.tp, layout.pp, layout.dp);
}

Table::Cell verdict_cell(LoadVerdict verdict) {
  const Tone tone = verdict == LoadVerdict::sustained       ? Tone::good
                    : verdict == LoadVerdict::not_sustained ? Tone::bad
                                                            : Tone::caution;
  return {to_string(verdict), tone};
}

/// The bounded metric that lies nearest to its bound, or beyond it: it is what decided.
const MetricEstimate* deciding(const LoadProbe& probe) {
  const MetricEstimate* nearest = nullptr;
  double most = -HUGE_VAL;
  for (const MetricEstimate& metric : probe.metrics) {
    const double ratio = metric.mean / metric.level.bound;
    const double towards = metric.level.at_most ? ratio : 1 / ratio;
    if (!(towards > most)) continue;
    most = towards;
    nearest = &metric;
  }
  return nearest;
}

std::string interval_text(const MetricEstimate& metric) {
  return fmt::format("{} {} ({} .. {})", metric.level.metric, number_text(metric.mean),
                     number_text(metric.low), number_text(metric.high));
}

std::string percent_sure(double probability) {
  if (probability > 0.995) return "over 99 %";
  if (probability < 0.005) return "under 1 %";
  return fmt::format("{:.0f} %", 100 * probability);
}

/// "fp8" cells of the measures; "-" where a layout has none.
std::string figure_text(const Candidate& candidate, const std::string& measure) {
  return number_text(figure_of(candidate, measure));
}

std::string measure_label(const std::string& measure) {
  if (measure == "highest_load") return "highest\nload";
  if (measure == "usd_per_million_output_tokens") return "USD per\nM tokens";
  if (measure == "joules_per_output_token") return "J per\ntoken";
  if (measure == "output_throughput") return "output\ntok/s";
  return measure;
}

std::string named_layout(const Candidate& candidate) {
  return candidate.choice_name.empty() ? "" : candidate.choice_name;
}

}  // namespace

std::string load_section(const Candidate& best, TextStyle style) {
  if (!best.load) return "";
  const LoadSearch& load = *best.load;
  std::vector<LoadProbe> probes = load.probes;
  std::stable_sort(probes.begin(), probes.end(),
                   [](const LoadProbe& a, const LoadProbe& b) { return a.load < b.load; });
  Table table({{load.unit},
               {"", Table::Align::left},
               {"runs"},
               {"metric nearest its bound: mean (95 %)", Table::Align::left, true}});
  for (const LoadProbe& probe : probes) {
    const MetricEstimate* metric = deciding(probe);
    // Where no metric leaves a doubt, something else does.
    const bool told = metric != nullptr && (metric->verdict == probe.verdict);
    table.add({number_text(probe.load), verdict_cell(probe.verdict), std::to_string(probe.replications),
               told ? interval_text(*metric) : probe.stopped});
  }
  std::string text =
      fmt::format("{} {} is the highest that is sustained", number_text(load.highest), load.unit);
  if (load.indeterminate_from && (!load.fails_at || *load.indeterminate_from < *load.fails_at))
    text += fmt::format("; from {} on the replications do not tell", number_text(*load.indeterminate_from));
  if (load.fails_at) text += fmt::format("; {} is not sustained", number_text(*load.fails_at));
  text += "; the search ended because " + load.stopped;
  return heading("Highest load at the SLO", style) + table.text(style) + wrapped(text, "  ", style.width);
}

std::string chosen_section(const Plan& plan, TextStyle style) {
  if (plan.choices.size() < 2) return "";
  const ObjectiveFigure figure = objective_figure(plan.objective, plan.candidates.front());
  Table table({{"choice", Table::Align::left, true},
               {"tp x pp x dp", Table::Align::left},
               {measure_label(figure.name)},
               {figure.name == "output_throughput" ? "" : "output\ntok/s"},
               {"mean\nTTFT ms"},
               {"mean\nTPOT ms"},
               {"", Table::Align::left}});
  std::string reasons;
  for (const ChoiceResult& choice : plan.choices) {
    if (!choice.best) {
      table.add({choice.name, Table::Cell("none", Tone::bad)});
      reasons += wrapped(fmt::format("{}: {}", choice.name, choice.reason), "  - ", style.width);
      continue;
    }
    const Candidate& best = plan.candidates[*choice.best];
    const auto own = objective_figure(plan.objective, best).value;
    const bool left = best.load && best.load->gave_up;
    table.add({choice.name, degrees_text(best.layout),
               left  ? fmt::format("< {}", number_text(best.simulated_load))
               : own ? number_text(*own)
                     : "-",
               figure.name == "output_throughput" ? "" : number_text(best.metrics.output_throughput),
               number_text(best.metrics.ttft.mean), number_text(best.metrics.tpot.mean),
               *choice.best == 0 ? Table::Cell("chosen", Tone::good)
               : best.meets_slo  ? Table::Cell("")
                                 : Table::Cell("misses the SLO", Tone::bad)});
  }
  return heading(fmt::format("What was chosen (objective: {})", to_string(plan.objective)), style) +
         table.text(style) + reasons;
}

std::string front_section(const Scenario& scenario, const Plan& plan, TextStyle style) {
  if (!plan.front) return "";
  constexpr std::size_t most = 16;
  std::vector<Table::Column> columns = {{"tp x pp x dp", Table::Align::left},
                                        {"layers", Table::Align::left, true},
                                        {plan.choices.empty() ? "" : "choice", Table::Align::left, true}};
  for (const std::string& measure : plan.front->measures) columns.push_back({measure_label(measure)});
  Table table(columns);
  const std::size_t shown = std::min(most, plan.front->candidates.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const Candidate& candidate = plan.candidates[plan.front->candidates[i]];
    std::vector<Table::Cell> row = {degrees_text(candidate.layout), split_text(candidate.layout),
                                    named_layout(candidate)};
    for (const std::string& measure : plan.front->measures) row.emplace_back(figure_text(candidate, measure));
    table.add(row);
  }
  std::string text = heading("Pareto front: no other candidate is as good in all of these", style);
  text += table.text(style);
  if (shown < plan.front->candidates.size())
    text += fmt::format("  and {} more (--csv has all)\n", plan.front->candidates.size() - shown);
  if (!scenario.slo.empty() && !plan.candidates[plan.front->candidates.front()].meets_slo)
    text += wrapped("none of them meets the SLO", "  ", style.width);
  return text;
}

std::string comparison_text(const LayoutComparison& comparison, const std::string& other) {
  std::string text = fmt::format("{} beats {} with a probability of {}", comparison.a, other,
                                 percent_sure(comparison.probability));
  if (comparison.metric == "rejected") return text + ": one of the two starts and serves every request";
  text += fmt::format(" by the profiles' spreads (the same requests; what decides is {})", comparison.metric);
  for (std::size_t i = 0; i < std::min<std::size_t>(2, comparison.parts.size()); ++i)
    text += fmt::format("{} {:.0f} % {}", i == 0 ? "; of what is uncertain between them" : ",",
                        100 * comparison.parts[i].share, comparison.parts[i].family);
  return text;
}

std::string certainty_section(const Plan& plan, TextStyle style) {
  if (!plan.runner_up) return "";
  std::string text = heading("How sure", style);
  text += wrapped(comparison_text(*plan.runner_up, plan.runner_up->b), "  - ", style.width);
  if (!plan.runner_up->settled_by.empty())
    text += wrapped("what would settle it: " + plan.runner_up->settled_by, "  - ", style.width);
  return text;
}

}  // namespace sextant::detail
