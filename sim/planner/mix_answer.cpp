#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/choices.hpp"
#include "sim/planner/cluster_share.hpp"
#include "sim/planner/mix_parts.hpp"

namespace sextant {
namespace {

/// "6 h200-sxm (4 + 2)": of each kind, and of each node where there are several.
std::string kinds_of(const Cluster& cluster, const std::vector<int>& gpus) {
  std::map<std::string, std::map<int, int>> kinds;
  for (const int gpu : gpus) ++kinds[cluster.kind(gpu)][cluster.devices[static_cast<std::size_t>(gpu)].node];
  std::string text;
  for (const auto& [kind, by_node] : kinds) {
    constexpr std::size_t most_named = 8;
    int count = 0;
    std::string nodes;
    for (const auto& [node, own] : by_node) {
      count += own;
      nodes += fmt::format("{}{}", nodes.empty() ? "" : " + ", own);
    }
    if (by_node.size() > most_named) nodes = fmt::format("on {} nodes", by_node.size());
    text += fmt::format("{}{} {}{}", text.empty() ? "" : " + ", count, kind,
                        by_node.size() > 1 ? " (" + nodes + ")" : "");
  }
  return text;
}

void name_gpus(const Cluster& cluster, const std::vector<int>& gpus, MixAnswer& answer) {
  answer.kinds = kinds_of(cluster, gpus);
  answer.gpus.clear();
  // The cluster's order, not that of the share's key.
  for (const int gpu : cluster.gpus())
    if (std::find(gpus.begin(), gpus.end(), gpu) != gpus.end())
      answer.gpus.push_back(cluster.devices[static_cast<std::size_t>(gpu)].name);
}

/// The model at its own load on those GPUs, with the candidate's formats.
Scenario own_load_on(const MixModel& model, const std::vector<int>& gpus, const Candidate& candidate) {
  Scenario scenario = model.scenario;
  scenario.cluster = cluster_share(scenario.cluster, gpus);
  Candidate chosen;
  chosen.choice = candidate.choice;
  return answered_scenario(scenario, chosen);
}

/// Where the SLO breaks first: "p99_tpot_ms is 61.2 at 4.1 requests/s, bound <=50".
std::string what_breaks(const LoadSearch& load) {
  const LoadProbe* first = nullptr;
  for (const LoadProbe& probe : load.probes)
    if (probe.load > load.highest && (first == nullptr || probe.load < first->load)) first = &probe;
  if (first == nullptr) return load.stopped;
  const MetricEstimate* worst = nullptr;
  const auto beyond = [](const MetricEstimate& m) {
    return m.level.at_most ? m.mean / m.level.bound : m.level.bound / std::max(m.mean, 1e-12);
  };
  for (const MetricEstimate& metric : first->metrics)
    if (metric.verdict != LoadVerdict::sustained && (worst == nullptr || beyond(metric) > beyond(*worst)))
      worst = &metric;
  if (worst == nullptr) return fmt::format("at {:.3g} {}: {}", first->load, load.unit, first->stopped);
  return fmt::format("{} is {:.4g} ({:.4g} to {:.4g}) at {:.3g} {}, bound {}{:g}", worst->level.metric,
                     worst->mean, worst->low, worst->high, first->load, load.unit,
                     worst->level.at_most ? "<=" : ">=", worst->level.bound);
}

bool serves(const Candidate& candidate) {
  return candidate.meets_slo && candidate.startable && candidate.metrics.rejected == 0 &&
         !candidate.metrics.overloaded;
}

PlanOptions quiet(const PlanOptions& options) {
  PlanOptions own = options;
  own.intervals = false;
  own.needs_possible_slo = false;
  own.best_so_far = false;
  own.progress = nullptr;
  own.search_progress = nullptr;
  own.observer = nullptr;
  return own;
}

/// A layout of the highest-load search, simulated at the model's own load.
Candidate at_own_load(const SearchContext& context, const Candidate& grown, const PlanOptions& options) {
  Candidate candidate = simulate_candidate(context, estimate(context, grown.layout), options);
  candidate.choice = grown.choice;
  candidate.choice_name = grown.choice_name;
  return candidate;
}

}  // namespace

MixAnswer answer_on_share(const MixModel& model, const std::vector<int>& gpus, const PlanOptions& options,
                          const MixLimits& limits) {
  MixAnswer answer;
  answer.model = model.name;
  name_gpus(model.scenario.cluster, gpus, answer);
  PlanOptions one = quiet(options);
  one.threads = 1;
  one.simulate_at_most = std::min(options.simulate_at_most, limits.layouts_simulated);
  Scenario growing = model.growing;
  growing.cluster = cluster_share(growing.cluster, gpus);
  try {
    answer.plan = make_plan(growing, one);
  } catch (const InfeasibleError& error) {
    answer.failure = error.what();
    answer.scenario = growing;
    return answer;
  }
  std::vector<Candidate>& candidates = answer.plan.candidates;
  if (candidates.size() > static_cast<std::size_t>(limits.layouts_kept))
    candidates.resize(static_cast<std::size_t>(limits.layouts_kept));
  Candidate& best = candidates.front();
  answer.load = best.load;
  answer.factor = best.load->highest / model.load;
  answer.held_back_by = what_breaks(*best.load);
  answer.scenario = own_load_on(model, gpus, best);
  const Machine machine(answer.scenario.cluster, answer.scenario.engine.profile, options.find_profile);
  const SearchContext context{answer.scenario, machine, summarise_workload(answer.scenario.workload)};
  best = at_own_load(context, best, one);
  answer.meets_slo = serves(best);
  return answer;
}

MixAnswer full_answer(const MixModel& model, const MixAnswer& given, const std::vector<int>& from,
                      const std::vector<int>& to, const PlanOptions& options, const MixLimits& limits) {
  MixAnswer answer = given;
  name_gpus(model.scenario.cluster, to, answer);
  if (!answer.load) return answer;
  const PlanOptions one = quiet(options);
  Plan plan;
  plan.scenario = model.scenario.name;
  plan.considered = given.plan.considered;
  plan.rejections = given.plan.rejections;
  plan.proof = given.plan.proof;
  plan.choices = given.plan.choices;
  const std::size_t most =
      std::min(given.plan.candidates.size(), static_cast<std::size_t>(limits.layouts_kept));
  for (std::size_t c = 0; c < most; ++c) {
    Candidate grown = given.plan.candidates[c];
    grown.layout = moved(grown.layout, from, to);
    const Scenario scenario = own_load_on(model, to, grown);
    const Machine machine(scenario.cluster, scenario.engine.profile, options.find_profile);
    const SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
    plan.candidates.push_back(at_own_load(context, grown, one));
  }
  for (ChoiceResult& choice : plan.choices) {
    choice.best.reset();
    for (std::size_t c = plan.candidates.size(); c-- > 0;)
      if (plan.candidates[c].choice_name == choice.name) choice.best = c;
  }
  Candidate& best = plan.candidates.front();
  answer.scenario = own_load_on(model, to, best);
  const Machine machine(answer.scenario.cluster, answer.scenario.engine.profile, options.find_profile);
  const SearchContext context{answer.scenario, machine, summarise_workload(answer.scenario.workload)};
  for (std::string& text : explain(context, plan)) plan.reasons.push_back(std::move(text));
  for (std::string& text : explain_search(context, plan)) plan.reasons.push_back(std::move(text));
  if (options.intervals) {
    MetricIntervals intervals = metric_intervals(context, best, one);
    best.intervals = std::move(intervals.intervals);
    plan.reasons.push_back(std::move(intervals.cause));
  }
  answer.meets_slo = serves(best);
  answer.plan = std::move(plan);
  return answer;
}

}  // namespace sextant
