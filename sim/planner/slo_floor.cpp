#include "sim/planner/slo_floor.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

constexpr double GB = 1e9;

/// One user's run on one replica of a layout.
struct LoneRun {
  const LoneLayout* layout = nullptr;
  Candidate candidate;
};

Scenario one_user(const Scenario& scenario) {
  constexpr std::int64_t enough = 200;
  Scenario lone = scenario;
  lone.workload.find_highest = false;
  lone.workload.arrival = Workload::Arrival::concurrency;
  lone.workload.max_concurrency = 1;
  lone.workload.rate_stages.clear();
  lone.workload.ramp_up.reset();
  lone.workload.num_prompts =
      lone.workload.num_prompts > 0 ? std::min(enough, lone.workload.num_prompts) : enough;
  return lone;
}

/// Replicas do not serve one user faster: one of each division, split and choice is enough.
std::vector<LoneRun> lone_runs(const std::vector<LoneLayout>& layouts, const PlanOptions& options) {
  std::vector<LoneRun> runs;
  for (const LoneLayout& layout : layouts) {
    const bool known = std::any_of(runs.begin(), runs.end(), [&](const LoneRun& run) {
      return run.layout->choice == layout.choice && run.layout->layout.tp == layout.layout.tp &&
             run.layout->layout.split() == layout.layout.split() &&
             run.layout->layout.sharing_ranks() == layout.layout.sharing_ranks();
    });
    if (!known) runs.push_back({&layout, {}});
  }
  PlanOptions once = options;
  once.observer = nullptr;
  run_parallel(static_cast<int>(runs.size()), options.threads, [&](int i) {
    LoneRun& run = runs[static_cast<std::size_t>(i)];
    const Scenario lone = one_user(run.layout->choice->scenario());
    const SearchContext context{lone, run.layout->choice->context().machine,
                                summarise_workload(lone.workload)};
    Layout single = run.layout->layout;
    single.dp = single.sharing_ranks();
    single.replicas.resize(static_cast<std::size_t>(single.dp));
    run.candidate = simulate_candidate(context, estimate(context, single), once);
  });
  return runs;
}

double value_of(const Candidate& candidate, const std::string& metric) {
  for (const auto& [name, value] : named_metrics(candidate.metrics))
    if (name == metric) return value;
  return std::numeric_limits<double>::quiet_NaN();
}

bool meets(const ServiceLevel& level, double value) {
  return level.at_most ? value <= level.bound : value >= level.bound;
}

/// Whether one user alone is the kindest load for that bound: of throughputs it is not.
bool load_breaks(const ServiceLevel& level) {
  return level.at_most ? level.metric.ends_with("_ms") : level.metric == "goodput_fraction";
}

/// "of 9.6 ms of a decode pass gemm takes 6.1, which streams 17.6 GB of weights a GPU at 2,890 GB/s, and …".
std::string what_bounds(const Candidate& candidate) {
  FamilySeconds all;
  double weights = 0, hops = 0;
  for (const StageReport& stage : candidate.stages) {
    all += stage.decode_families;
    weights += stage.memory.weights.layers + stage.memory.weights.head;
    hops += stage.decode_hop_ms / 1e3;
  }
  all[Family::point_to_point] += hops;
  std::vector<std::size_t> order(family_count);
  for (std::size_t f = 0; f < family_count; ++f) order[f] = f;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return all.seconds[a] > all.seconds[b]; });
  std::string text =
      fmt::format("of the {:.3g} ms that a token's way through all stages takes", 1e3 * all.total());
  for (std::size_t i = 0; i < 2 && all.seconds[order[i]] > 0; ++i) {
    const auto family = static_cast<Family>(order[i]);
    text += fmt::format("{} {} takes {:.3g}", i == 0 ? "" : ",", to_string(family), 1e3 * all[family]);
    if (family == Family::gemm)
      text += fmt::format(" ({:.1f} GB of weights a GPU at {:.0f} GB/s)", weights / GB,
                          weights / GB / all[family]);
  }
  return text;
}

std::string prompt_bounds(const Candidate& candidate) {
  double chunk = 0;
  for (const StageReport& stage : candidate.stages) chunk += stage.chunk_pass_ms + stage.chunk_hop_ms;
  return fmt::format("a prompt chunk of {} tokens takes {:.3g} ms through all stages", candidate.chunk_tokens,
                     chunk);
}

std::string impossible(const ServiceLevel& level, const LoneRun& best, std::size_t layouts) {
  const double value = value_of(best.candidate, level.metric);
  const std::string& choice = best.layout->choice->name();
  return fmt::format(
      "{} {}{:.5g} is impossible here: one user alone has {:.4g} on {}{}, the best of {} layout{} for it; "
      "{}; the "
      "nearest that is possible is {}",
      level.metric, level.at_most ? "<=" : ">=", level.bound, value, best.candidate.layout.describe(),
      choice.empty() ? "" : fmt::format(" ({})", choice), layouts, layouts == 1 ? "" : "s",
      level.metric.find("ttft") != std::string::npos ? prompt_bounds(best.candidate)
                                                     : what_bounds(best.candidate),
      nearest_bound(level, value));
}

}  // namespace

std::string nearest_bound(const ServiceLevel& level, double value) {
  if (!(value > 0)) return fmt::format("\"{}\": \"{}0\"", level.metric, level.at_most ? "<=" : ">=");
  const double unit = std::pow(10, std::floor(std::log10(value)) - 2);
  const double steps = value / unit;
  // A bound that has three digits already is not rounded away from itself.
  const double slack = 1e-9 * steps;
  const double rounded = unit * (level.at_most ? std::ceil(steps - slack) : std::floor(steps + slack));
  return fmt::format("\"{}\": \"{}{:.6g}\"", level.metric, level.at_most ? "<=" : ">=", rounded);
}

void require_possible_slo(const std::vector<LoneLayout>& layouts, const PlanOptions& options) {
  if (layouts.empty()) return;
  const Scenario& scenario = layouts.front().choice->scenario();
  if (std::none_of(scenario.slo.begin(), scenario.slo.end(), load_breaks)) return;
  const std::vector<LoneRun> runs = lone_runs(layouts, options);
  std::string reasons;
  for (const ServiceLevel& level : scenario.slo) {
    if (!load_breaks(level)) continue;
    const LoneRun* best = nullptr;
    for (const LoneRun& run : runs) {
      const double value = value_of(run.candidate, level.metric);
      if (!std::isfinite(value)) continue;
      const double known = best == nullptr ? 0 : value_of(best->candidate, level.metric);
      if (best == nullptr || (level.at_most ? value < known : value > known)) best = &run;
    }
    if (best == nullptr || meets(level, value_of(best->candidate, level.metric))) continue;
    reasons += (reasons.empty() ? "" : "; ") + impossible(level, *best, runs.size());
  }
  if (!reasons.empty()) throw InfeasibleError(fmt::format("{}: {}", scenario.name, reasons));
}

}  // namespace sextant
