#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"
#include "sim/planner/noticeable.hpp"
#include "sim/planner/repeated_options.hpp"

namespace sextant::detail {
namespace {

constexpr std::size_t most_lines = 8;

std::string degrees_text(const Layout& layout) {
  return fmt::format("{} x {} x {}{}", layout.tp, layout.pp, layout.dp,
                     layout.ep > 1 ? fmt::format(", ep {}", layout.ep) : "");
}

Table::Cell slo_cell(const Scenario& scenario, const Candidate& candidate) {
  if (scenario.slo.empty()) return "";
  return candidate.meets_slo ? Table::Cell("met", Tone::good) : Table::Cell("missed", Tone::bad);
}

/// "+3.1 %" of a change; empty where there is nothing to compare with.
std::string delta_text(double from, double to) {
  if (!(from > 0) || !std::isfinite(to)) return "";
  return fmt::format("{:+.1f} %", 100 * (to / from - 1));
}

/// A reason with its numbers taken out: reasons that differ by numbers only are told once.
std::string pattern(const std::string& reason) {
  std::string result;
  for (const char c : reason) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit)
      result += c;
    else if (result.empty() || result.back() != '#')
      result += '#';
  }
  return result;
}

/// Rejections of one pattern; `nearest` is the one that misses least.
struct RejectionGroup {
  std::string pattern;
  const Rejection* nearest = nullptr;
  std::vector<std::string> layouts;
};

/// A few rejections stand each for itself; many are grouped where they differ in numbers only.
std::vector<RejectionGroup> grouped(const std::vector<Rejection>& rejections) {
  constexpr std::size_t few = 8;
  std::vector<RejectionGroup> groups;
  if (rejections.size() <= few) {
    for (const Rejection& rejection : rejections) groups.push_back({"", &rejection, {rejection.layout}});
    return groups;
  }
  for (const Rejection& rejection : rejections) {
    const std::string own = pattern(rejection.reason);
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const RejectionGroup& g) { return g.pattern == own; });
    if (group == groups.end()) group = groups.insert(groups.end(), RejectionGroup{own, &rejection, {}});
    if (rejection.shortfall_bytes < group->nearest->shortfall_bytes) group->nearest = &rejection;
    group->layouts.push_back(rejection.layout);
  }
  return groups;
}

std::string group_text(const RejectionGroup& group) {
  constexpr std::size_t most_names = 12;
  std::string text = group.nearest->layout + ": " + group.nearest->reason;
  if (group.nearest->shortfall_bytes > 0)
    text += fmt::format(" ({} GB short on the worst GPU)", gigabytes_text(group.nearest->shortfall_bytes));
  if (group.layouts.size() == 1) return text;
  std::string others;
  std::size_t listed = 0;
  for (const std::string& layout : group.layouts) {
    if (layout == group.nearest->layout || ++listed > most_names) continue;
    others += (others.empty() ? "" : ", ") + layout;
  }
  if (listed > most_names) others += fmt::format(" and {} more", listed - most_names);
  return others.empty() ? text : text + "; likewise " + others;
}

void add_variant_row(Table& table, const Scenario& scenario, const std::string& name,
                     const Candidate& candidate, const Candidate& base) {
  const ServingMetrics& m = candidate.metrics;
  const bool is_base = &candidate == &base;
  table.add({name, degrees_text(candidate.layout), number_text(m.output_throughput),
             is_base ? "" : delta_text(base.metrics.output_throughput, m.output_throughput),
             number_text(m.ttft.mean), is_base ? "" : delta_text(base.metrics.ttft.mean, m.ttft.mean),
             number_text(m.tpot.mean), is_base ? "" : delta_text(base.metrics.tpot.mean, m.tpot.mean),
             slo_cell(scenario, candidate)});
}

}  // namespace

std::string occupancy_lines(const ServingMetrics& m, TextStyle style) {
  std::string text = wrapped(
      fmt::format(
          "{} requests: {} finished, {} rejected, {} outputs truncated at max_model_len, {} preemptions",
          count_text(m.arrived), count_text(m.finished), count_text(m.rejected), count_text(m.truncated),
          count_text(m.preemptions)),
      "  - ", style.width);
  text += wrapped(
      fmt::format("running {} and waiting {} requests on average; {} decodes in a step; KV occupancy {} % on "
                  "average, {} % at its peak",
                  number_text(m.mean_running), number_text(m.mean_waiting), number_text(m.mean_batch_decodes),
                  percent_text(m.kv_occupancy_mean), percent_text(m.kv_occupancy_peak)),
      "  - ", style.width);
  if (m.rerouted > 0 || m.replica_down_s > 0)
    text += wrapped(
        fmt::format("faults: replicas were down for {} s; {} requests had to move or wait, {} tokens of "
                    "their KV cache were computed again; {} are in flight at the end",
                    number_text(m.replica_down_s), count_text(m.rerouted), count_text(m.recomputed_tokens),
                    count_text(m.in_flight)),
        "  - ", style.width);
  const AdmissionLimits& limits = m.limits;
  if (limits.kv_blocks + limits.max_num_seqs + limits.max_num_batched_tokens + limits.pipeline_full > 0)
    text +=
        wrapped(fmt::format("of the time anything waited, it waited for KV blocks {} %, max_num_seqs {} %, "
                            "max_num_batched_tokens {} %, a batch under way to return {} %",
                            percent_text(limits.kv_blocks), percent_text(limits.max_num_seqs),
                            percent_text(limits.max_num_batched_tokens), percent_text(limits.pipeline_full)),
                "  - ", style.width);
  if (m.offload.bytes_to_host > 0)
    text +=
        wrapped(fmt::format("KV offload: {} tokens of prompts found in host memory, {} GB copied back, {} GB "
                            "copied there",
                            count_text(m.offload.hit_tokens), number_text(m.offload.bytes_from_host / 1e9),
                            number_text(m.offload.bytes_to_host / 1e9)),
                "  - ", style.width);
  if (m.speculation.drafts > 0)
    text += wrapped(
        fmt::format("speculation: {} % of {} drafted tokens accepted, {} tokens from each of {} drafts",
                    percent_text(m.speculation.acceptance_rate()), count_text(m.speculation.draft_tokens),
                    number_text(m.speculation.acceptance_length()), count_text(m.speculation.drafts)),
        "  - ", style.width);
  if (m.overloaded)
    text += wrapped(
        paint(fmt::format(
                  "overloaded: {} requests/s arrive and {} are served since {} s, when the queue began to "
                  "grow; {} waited when the last came",
                  number_text(m.overload.arrival_rate), number_text(m.overload.capacity),
                  number_text(m.overload.from_s), count_text(m.overload.waiting)),
              Tone::bad, style),
        "  - ", style.width);
  return text;
}

std::string limits_section(const Plan& plan, TextStyle style) {
  std::string text = heading("Why, and what limits it", style);
  for (const std::string& reason : plan.reasons) text += wrapped(reason, "  - ", style.width);
  return text + occupancy_lines(plan.candidates.front().metrics, style);
}

namespace {

/// "4 x 1 x 2", of two pools "2 x 1 x 2, then 4 x 1 x 1".
std::string pools_degrees_text(const Candidate& c) {
  const std::string own = degrees_text(c.layout);
  return c.prefill ? degrees_text(c.prefill->layout) + ", then " + own : own;
}

}  // namespace

std::string candidates_section(const Scenario& scenario, const Plan& plan, TextStyle style) {
  if (plan.candidates.size() < 2) return "";
  const auto& load = plan.candidates.front().load;
  const bool costs = scenario.economics.has_value();
  Table table({{"rank"},
               {"tp x pp x dp", Table::Align::left},
               {"layers", Table::Align::left, true},
               {"GPUs", Table::Align::left, true},
               {plan.choices.empty() ? "" : "choice", Table::Align::left, true},
               {load ? "highest\n" + load->unit : ""},
               {"output\ntok/s"},
               {"mean\nTTFT ms"},
               {"mean\nTPOT ms"},
               {costs ? "USD per\nM tokens" : ""},
               {scenario.slo.empty() ? "" : "SLO", Table::Align::left}});
  const auto repeats = repeated_options(scenario.cluster, plan.candidates);
  std::vector<std::size_t> others;
  for (std::size_t i = 1; i < plan.candidates.size(); ++i)
    if (!repeats[i]) others.push_back(i);
  const std::size_t repeated = plan.candidates.size() - 1 - others.size();
  const std::size_t shown = std::min(others.size(), most_lines);
  for (const std::size_t i : std::span(others).first(shown)) {
    const Candidate& c = plan.candidates[i];
    const std::string highest = !c.load               ? ""
                                : c.load->highest > 0 ? number_text(c.load->highest)
                                                      : "below " + number_text(c.load->probes.back().load);
    table.add({std::to_string(i + 1), pools_degrees_text(c), split_text(c.layout),
               layout_gpus(scenario.cluster, c.layout), c.choice_name, highest,
               number_text(c.metrics.output_throughput), number_text(c.metrics.ttft.mean),
               number_text(c.metrics.tpot.mean),
               c.usd_per_million_output_tokens ? number_text(*c.usd_per_million_output_tokens) : "",
               slo_cell(scenario, c)});
  }
  std::string text = heading("Other candidates", style);
  if (shown > 0) text += table.text(style);
  if (shown < others.size()) text += fmt::format("  and {} more (--csv has all)\n", others.size() - shown);
  if (repeated > 0)
    text += wrapped(fmt::format("{} simulated beside these: one of them, or the answer, on other GPUs, with "
                                "throughput and latencies within {} % (--csv has all)",
                                repeated, 100 * noticeable),
                    "  ", style.width);
  return text;
}

std::string rejections_section(const std::vector<Rejection>& rejections, TextStyle style) {
  if (rejections.empty()) return "";
  const std::vector<RejectionGroup> groups = grouped(rejections);
  std::string text = heading("Layouts that cannot be", style);
  for (std::size_t i = 0; i < std::min(groups.size(), most_lines); ++i)
    text += wrapped(group_text(groups[i]), "  - ", style.width);
  if (groups.size() > most_lines)
    text += fmt::format("  and {} more reasons (--json has all)\n", groups.size() - most_lines);
  return text;
}

std::string variants_section(const Scenario& scenario, const Plan& base,
                             const std::vector<VariantResult>& variants, TextStyle style) {
  if (variants.empty()) return "";
  Table table({{"variant", Table::Align::left, true},
               {"tp x pp x dp", Table::Align::left},
               {"output\ntok/s"},
               {""},
               {"mean\nTTFT ms"},
               {""},
               {"mean\nTPOT ms"},
               {""},
               {scenario.slo.empty() ? "" : "SLO", Table::Align::left}});
  const Candidate& reference = base.candidates.front();
  add_variant_row(table, scenario, "(as given)", reference, reference);
  std::string verdicts;
  for (const VariantResult& variant : variants) {
    if (variant.plan && !variant.plan->candidates.empty())
      add_variant_row(table, scenario, variant.name, variant.plan->candidates.front(), reference);
    else
      table.add({variant.name, Table::Cell("no layout fits", Tone::bad)});
    std::string changes;
    for (const std::string& change : variant.changes) changes += (changes.empty() ? "" : ", ") + change;
    verdicts +=
        wrapped(fmt::format("{} ({}): {}{}", printable(variant.name), printable(changes, 200),
                            variant.verdict, variant.infeasible.empty() ? "" : "; " + variant.infeasible),
                "  - ", style.width);
    if (variant.comparison)
      verdicts += wrapped(comparison_text(*variant.comparison, "the scenario as given"), "    ", style.width);
  }
  return heading("Variants", style) + table.text(style) + verdicts;
}

}  // namespace sextant::detail
