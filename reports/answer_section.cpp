#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"

namespace sextant::detail {
namespace {

using NamedMetrics = std::vector<std::pair<std::string, double>>;

double value_of(const NamedMetrics& metrics, const std::string& name) {
  const auto found =
      std::find_if(metrics.begin(), metrics.end(), [&](const auto& m) { return m.first == name; });
  return found == metrics.end() ? 0 : found->second;
}

/// The figures every answer shows, then those that only the SLO names.
std::vector<std::string> headline_metrics(const Scenario& scenario) {
  std::vector<std::string> names = {"output_throughput", "request_throughput", "mean_ttft_ms", "p99_ttft_ms",
                                    "mean_tpot_ms",      "p99_tpot_ms",        "mean_itl_ms",  "p99_itl_ms",
                                    "mean_e2el_ms",      "p99_e2el_ms"};
  const RequestBounds& good = scenario.goodput;
  if (good.ttft_ms > 0 || good.tpot_ms > 0 || good.e2el_ms > 0) {
    names.emplace_back("request_goodput");
    names.emplace_back("goodput_fraction");
  }
  for (const ServiceLevel& level : scenario.slo)
    if (std::find(names.begin(), names.end(), level.metric) == names.end()) names.push_back(level.metric);
  return names;
}

bool meets(const ServiceLevel& level, double value) {
  return level.at_most ? value <= level.bound : value >= level.bound;
}

/// Whether a bound is met, and whether the interval reaches to its other side.
Table::Cell verdict(const ServiceLevel& level, double value, const Interval* interval) {
  const bool met = meets(level, value);
  const bool certain =
      interval == nullptr || (meets(level, interval->low) == met && meets(level, interval->high) == met);
  if (!certain) return {met ? "yes, not certain" : "no, not certain", Tone::caution};
  return {met ? "yes" : "no", met ? Tone::good : Tone::bad};
}

/// What the replications of the highest load say of a bound, where they judged it; nullptr: one run did.
const LoadProbe* judging_probe(const Candidate& best) {
  if (!best.load || best.load->highest <= 0) return nullptr;
  for (const LoadProbe& probe : best.load->probes)
    if (probe.load == best.load->highest && !probe.metrics.empty()) return &probe;
  return nullptr;
}

/// "yes, mean of 12 runs 36.7": the run of the table is one of them.
Table::Cell verdict_of_runs(const LoadProbe& probe, const ServiceLevel& level) {
  for (const MetricEstimate& judged : probe.metrics)
    if (judged.level.metric == level.metric && judged.level.at_most == level.at_most)
      return {fmt::format("{}, mean of {} runs {}", meets(level, judged.mean) ? "yes" : "no",
                          probe.replications, number_text(judged.mean)),
              meets(level, judged.mean) ? Tone::good : Tone::bad};
  return {"", Tone::plain};
}

void add_metric(Table& table, const Scenario& scenario, const Candidate& best, const std::string& name,
                double value) {
  const auto found = best.intervals.find(name);
  const Interval* interval = found == best.intervals.end() ? nullptr : &found->second;
  const std::string range = interval == nullptr || !std::isfinite(value)
                                ? ""
                                : number_text(interval->low) + " .. " + number_text(interval->high);
  bool bounded = false;
  const LoadProbe* runs = judging_probe(best);
  for (const ServiceLevel& level : scenario.slo) {
    if (level.metric != name) continue;
    table.add({bounded ? "" : metric_label(name), bounded ? "" : number_text(value), bounded ? "" : range,
               (level.at_most ? "<= " : ">= ") + number_text(level.bound),
               runs ? verdict_of_runs(*runs, level) : verdict(level, value, interval)});
    bounded = true;
  }
  if (!bounded) table.add({metric_label(name), number_text(value), range});
}

/// Whether every bound is met at either end of its metric's interval.
bool certain_to_meet(const Scenario& scenario, const Candidate& best) {
  return std::all_of(scenario.slo.begin(), scenario.slo.end(), [&](const ServiceLevel& level) {
    const auto found = best.intervals.find(level.metric);
    return found == best.intervals.end() ||
           (meets(level, found->second.low) && meets(level, found->second.high));
  });
}

std::string slo_line(const Scenario& scenario, const Candidate& best, TextStyle style) {
  if (scenario.slo.empty() && best.missed.empty()) return wrapped("SLO: none given", "  ", style.width);
  if (best.meets_slo && certain_to_meet(scenario, best))
    return "  " + paint("SLO: met", Tone::good, style) + "\n";
  if (best.meets_slo)
    return "  " +
           paint("SLO: met as predicted, not for certain: an interval reaches beyond its bound",
                 Tone::caution, style) +
           "\n";
  std::string text = "  " + paint("SLO: not met", Tone::bad, style) + "\n";
  for (const std::string& missed : best.missed) text += wrapped(missed, "    ", style.width);
  return text;
}

/// What makes an answer no answer: a layout that does not start, or that turns requests away.
std::string warning_lines(const Scenario& scenario, const Candidate& best, TextStyle style) {
  std::string text;
  if (!best.startable)
    text += "  " +
            paint(fmt::format("does not start: max_model_len {} exceeds the {} tokens a replica caches",
                              count_text(scenario.engine.max_model_len), count_text(best.kv_tokens)),
                  Tone::bad, style) +
            "\n";
  if (best.metrics.rejected > 0)
    text += "  " +
            paint(fmt::format("{} of {} requests are rejected", count_text(best.metrics.rejected),
                              count_text(best.metrics.arrived)),
                  Tone::bad, style) +
            "\n";
  return text;
}

std::string trust_line(const Candidate& best, TextStyle style) {
  std::string text = "trust: the weakest figure used is " + to_string(best.grade);
  switch (best.grade) {
    case Grade::measured:
      text += " (on this hardware)";
      break;
    case Grade::fitted:
      text += " (to measurements of this hardware)";
      break;
    case Grade::scaled:
      text += " (from another part by a stated rule)";
      break;
    case Grade::datasheet:
      text += " (the maker's number, not a measurement)";
      break;
    case Grade::assumed:
      text += " (a stated rule that nobody has measured here)";
      break;
  }
  if (best.extrapolated) text += "; some passes lie outside the range that was fitted";
  return wrapped(text, "  ", style.width);
}

/// " (rtx-pro-6000-server)": the kinds of a stage's GPUs.
std::string kind_text(const Cluster& cluster, const StagePlacement& stage) {
  const bool known = std::all_of(stage.gpus.begin(), stage.gpus.end(), [&](int gpu) {
    return gpu >= 0 && static_cast<std::size_t>(gpu) < cluster.devices.size();
  });
  return known && !stage.gpus.empty() ? " (" + cluster.kinds(stage.gpus) + ")" : "";
}

/// One line for each stage of each replica: which layers, on which GPUs.
std::string placement_lines(const Scenario& scenario, const Candidate& best, TextStyle style) {
  constexpr int most = 16;
  std::string text;
  int shown = 0, all = 0;
  for (std::size_t r = 0; r < best.layout.replicas.size(); ++r) {
    for (std::size_t s = 0; s < best.layout.replicas[r].size(); ++s) {
      if (++all > most) continue;
      const StagePlacement& stage = best.layout.replicas[r][s];
      std::vector<std::string> names;
      for (const int gpu : stage.gpus) names.push_back(device_name(scenario.cluster, gpu));
      const std::string replica = best.layout.dp > 1 ? fmt::format("replica {}, ", r) : "";
      text +=
          wrapped(fmt::format("{}stage {}: layers {}-{} on {}{}", replica, s, stage.layers.begin,
                              stage.layers.end - 1, device_list(names), kind_text(scenario.cluster, stage)),
                  "    ", style.width);
      ++shown;
    }
  }
  if (all > shown) text += fmt::format("    and {} more stages (--json has all)\n", all - shown);
  return text;
}

}  // namespace

std::string answer_section(const Scenario& scenario, const Candidate& best, TextStyle style) {
  const Layout& layout = best.layout;
  std::string run = fmt::format("run tp {} x pp {} x dp {}", layout.tp, layout.pp, layout.dp);
  if (layout.ep > 1) run += fmt::format(", ep {}", layout.ep);
  if (layout.pp > 1) run += ", layers " + split_text(layout);
  std::string text = heading("Answer", style);
  if (best.prefill) {
    text += "  " + paint("prefill on " + best.prefill->layout.describe(), Tone::strong, style) + "\n" +
            placement_lines(scenario, *best.prefill, style);
    run = "decode on " + layout.describe();
  }
  text += "  " + paint(run, Tone::strong, style) + "\n";
  text += placement_lines(scenario, best, style) + "\n";

  const bool intervals = !best.intervals.empty();
  Table table({{"", Table::Align::left},
               {"predicted"},
               {intervals ? "model error\n(90 %)" : ""},
               {scenario.slo.empty() ? "" : "bound"},
               {scenario.slo.empty() ? "" : "met", Table::Align::left}});
  const NamedMetrics metrics = named_metrics(best.metrics);
  for (const std::string& name : headline_metrics(scenario))
    add_metric(table, scenario, best, name, value_of(metrics, name));
  text += table.text(style) + "\n";

  text += warning_lines(scenario, best, style);
  text += slo_line(scenario, best, style);
  text += trust_line(best, style);
  if (best.usd_per_million_output_tokens)
    text += fmt::format("  cost: {} USD per million output tokens\n",
                        number_text(*best.usd_per_million_output_tokens));
  text += energy_line(best, style);
  return text;
}

}  // namespace sextant::detail
