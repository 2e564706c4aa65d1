#include "sim/planner/plan.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/choices.hpp"
#include "sim/planner/comparison.hpp"
#include "sim/planner/objective.hpp"
#include "sim/planner/pool_search.hpp"
#include "sim/planner/pools.hpp"
#include "sim/planner/search.hpp"
#include "sim/planner/slo_floor.hpp"

namespace sextant {
namespace {

constexpr double GB = 1e9;

[[noreturn]] void nothing_fits(const Scenario& scenario, const std::vector<Rejection>& rejections) {
  const Rejection* nearest = nullptr;
  for (const Rejection& r : rejections)
    if (r.shortfall_bytes > 0 && (nearest == nullptr || r.shortfall_bytes < nearest->shortfall_bytes))
      nearest = &r;
  if (nearest != nullptr)
    throw InfeasibleError(
        fmt::format("{}: no layout fits; nearest is {}: {} ({:.1f} GB short on the worst GPU)", scenario.name,
                    nearest->layout, nearest->reason, nearest->shortfall_bytes / GB));
  throw InfeasibleError(fmt::format(
      "{}: no layout is possible{}", scenario.name,
      rejections.empty() ? ""
                         : fmt::format("; {}: {}", rejections.front().layout, rejections.front().reason)));
}

[[noreturn]] void nothing_served(const Scenario& scenario, const Candidate& best) {
  if (best.metrics.rejected == 0)
    throw InfeasibleError(fmt::format(
        "{}: no layout serves a request; with {} all {} that arrived are in flight for ever: its replicas "
        "were down for {:.1f} s",
        scenario.name, best.layout.describe(), best.metrics.arrived, best.metrics.replica_down_s));
  throw InfeasibleError(fmt::format(
      "{}: no layout serves a request; {} rejects all {}: a prompt and its output may have {} tokens "
      "(max_model_len) and must fit in the {} that a replica caches",
      scenario.name, best.layout.describe(), best.metrics.arrived, scenario.engine.max_model_len,
      best.kv_tokens));
}

/// Moves the first layout of each key to the front; else the order stays.
template <class KeyOf>
void first_of_each(std::vector<EstimatedLayout>& layouts, const KeyOf& key_of) {
  std::set<std::array<int, 4>> seen;
  std::stable_partition(layouts.begin(), layouts.end(),
                        [&](const EstimatedLayout& e) { return seen.insert(key_of(e.layout)).second; });
}

/// Of layouts ordered by estimate, the best of each tp x pp x dp and number of ranks that share experts
/// first, then the next best of all, `most` together: an estimate may err between divisions more than within
/// one. Where the SLO decides how much a layout may serve (`by_latency`), the best of each tp comes before:
/// estimates are of throughput, and more tp is quicker.
std::vector<EstimatedLayout> most_promising(std::vector<EstimatedLayout> layouts, std::size_t most,
                                            bool by_latency) {
  first_of_each(layouts, [](const Layout& l) {
    return std::array{l.tp, l.pp, l.dp, l.alike() ? l.sharing_ranks() : 0};
  });
  if (by_latency)
    first_of_each(layouts, [](const Layout& l) { return std::array{l.tp, l.sharing_ranks(), 0, 0}; });
  if (layouts.size() > most) layouts.resize(most);
  return layouts;
}

/// One layout of one choice, to be simulated.
struct Proposal {
  std::size_t choice = 0;
  EstimatedLayout layout;
};

using Choices = std::vector<std::unique_ptr<PlannedChoice>>;

/// What a search found worth simulating, and one layout of each choice, tp and pp, for what no load can
/// change.
struct Proposals {
  std::vector<Proposal> all;
  std::vector<LoneLayout> divisions;
  std::vector<SearchProof> proofs;  ///< by choice, of a search
};

/// What an estimate orders layouts of several choices by, as within one.
bool better_proposal(const Proposal& a, const Proposal& b) {
  return a.layout.output_throughput > b.layout.output_throughput;
}

/// A choice with nothing that fits, in the words of what comes nearest.
std::string why_nothing_fits(const std::vector<Rejection>& rejections) {
  const Rejection* nearest = nullptr;
  for (const Rejection& r : rejections)
    if (nearest == nullptr || (r.shortfall_bytes > 0 && (nearest->shortfall_bytes <= 0 ||
                                                         r.shortfall_bytes < nearest->shortfall_bytes)))
      nearest = &r;
  return nearest == nullptr ? "no layout is possible" : nearest->layout + ": " + nearest->reason;
}

/// Where the KV cannot go from one pool to another there are no pools.
SearchResult found_pools(const SearchContext& context, const SearchOptions& options) {
  try {
    return search_pools(context, options);
  } catch (const InputError& error) {
    SearchResult none;
    none.rejections.push_back({"prefill and decode apart", error.what(), 0});
    return none;
  }
}

/// The layouts to simulate: of a fixed deployment the one given, of a search the best of each choice by
/// estimate.
Proposals proposals(const Scenario& scenario, const Choices& choices, const PlanOptions& options,
                    Plan& plan) {
  const SearchContext& context = choices.front()->context();
  if (scenario.prefill) {
    plan.considered = 1;
    const EstimatedLayout pools = pools_layout(context, plan.rejections);
    if (!plan.rejections.empty()) nothing_fits(scenario, plan.rejections);
    return {{{0, pools}}, {}, {}};
  }
  if (scenario.deployment) {
    const Layout layout = fixed_layout(scenario, *scenario.deployment);
    EstimatedLayout estimated = estimate(context, layout);
    plan.considered = 1;
    if (estimated.kv_blocks > 0) return {{{0, estimated}}, {{choices.front().get(), layout}}, {}};
    plan.rejections.push_back(memory_rejection(layout, tightest_replica(context, layout)));
    nothing_fits(scenario, plan.rejections);
  }
  constexpr std::size_t fewest_of_a_choice = 4;
  const std::size_t limit = static_cast<std::size_t>(std::max(1, options.simulate_at_most));
  const std::size_t most = std::max(std::min(fewest_of_a_choice, limit), limit / choices.size());
  SearchOptions search;
  search.stop = options.best_so_far ? options.stop : nullptr;
  if (options.search_progress)
    search.progress = [&](std::int64_t done, std::int64_t total, const EstimatedLayout*) {
      options.search_progress(done, total);
    };
  Proposals proposed;
  std::vector<Proposal>& all = proposed.all;
  for (std::size_t c = 0; c < choices.size(); ++c) {
    SearchResult found = choices[c]->apart() ? found_pools(choices[c]->context(), search)
                                             : search_layouts(choices[c]->context(), search);
    proposed.proofs.push_back(std::move(found.proof));
    plan.considered += static_cast<int>(found.layouts.size());
    if (!choices[c]->name().empty())
      plan.choices.push_back({choices[c]->name(), std::nullopt,
                              found.layouts.empty() ? why_nothing_fits(found.rejections) : ""});
    for (Rejection& rejection : found.rejections) {
      if (!choices[c]->name().empty()) rejection.layout += fmt::format(" ({})", choices[c]->name());
      plan.rejections.push_back(std::move(rejection));
    }
    std::set<std::array<int, 3>> divisions;
    const auto is_new = [&](const Layout& l) {
      return divisions.insert({l.tp, l.pp, l.sharing_ranks()}).second;
    };
    for (const EstimatedLayout& e : found.layouts)
      if (is_new(e.layout)) proposed.divisions.push_back({choices[c].get(), e.layout});
    for (const EstimatedLayout& e : found.layouts)
      if (e.prefill && is_new(*e.prefill)) proposed.divisions.push_back({choices[c].get(), *e.prefill});
    for (EstimatedLayout& layout :
         most_promising(std::move(found.layouts), most, scenario.workload.find_highest))
      all.push_back({c, std::move(layout)});
  }
  for (const RefusedChoice& refused : scenario.search.refused)
    plan.choices.push_back({refused.name, std::nullopt, refused.reason});
  if (all.empty()) nothing_fits(scenario, plan.rejections);
  if (choices.size() > 1) std::stable_sort(all.begin(), all.end(), better_proposal);
  return proposed;
}

/// Simulates every proposal at the scenario's own load.
void simulate_proposals(const std::vector<Proposal>& all, const Choices& choices, const PlanOptions& options,
                        Plan& plan) {
  plan.candidates.resize(all.size());
  std::atomic<int> done{0};
  std::mutex progress;
  run_parallel(static_cast<int>(all.size()), options.threads, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    try {
      plan.candidates[at] = simulate_candidate(choices[all[at].choice]->context(), all[at].layout, options);
    } catch (const Interrupted&) {
      if (!options.best_so_far) throw;
      return;
    }
    plan.candidates[at].choice = all[at].choice;
    plan.candidates[at].choice_name = choices[all[at].choice]->name();
    const std::lock_guard lock(progress);
    ++done;
    if (options.progress) options.progress(done, static_cast<int>(all.size()));
  });
}

/// A stopped plan keeps what was simulated; its first reason says how far it got.
void keep_best_so_far(const EstimatedLayout& best, std::size_t all, Plan& plan) {
  plan.interrupted = true;
  std::erase_if(plan.candidates, [](const Candidate& candidate) { return !candidate.simulated; });
  if (plan.candidates.empty())
    plan.reasons.push_back(fmt::format(
        "interrupted before any simulation ended; best by the analytic estimate: {}, {:.1f} output tokens/s",
        best.layout.describe(), best.output_throughput));
  else
    plan.reasons.push_back(
        fmt::format("interrupted: {} of {} layouts are simulated", plan.candidates.size(), all));
}

/// Finds each proposal's highest load. Where throughput alone counts, one that does not sustain what the best
/// so far does is left at that.
void find_loads(const std::vector<Proposal>& all, const Choices& choices, const PlanOptions& options,
                Plan& plan) {
  std::optional<double> best;
  for (const Proposal& proposal : all) {
    try {
      plan.candidates.push_back(
          candidate_at_highest_load(choices[proposal.choice]->context(), proposal.layout, best, options));
    } catch (const Interrupted&) {
      if (!options.best_so_far) throw;
      return;
    }
    Candidate& candidate = plan.candidates.back();
    candidate.choice = proposal.choice;
    candidate.choice_name = choices[proposal.choice]->name();
    if (plan.objective == Objective::throughput && candidate.startable && candidate.load->highest > 0)
      best = std::max(best.value_or(0), candidate.load->highest);
    if (options.progress)
      options.progress(static_cast<int>(plan.candidates.size()), static_cast<int>(all.size()));
  }
}

/// Which candidate is the best of each choice, and which are on the front.
void sum_up(const Scenario& scenario, Plan& plan) {
  for (ChoiceResult& choice : plan.choices) {
    const auto best = std::find_if(plan.candidates.begin(), plan.candidates.end(),
                                   [&](const Candidate& c) { return c.choice_name == choice.name; });
    if (best != plan.candidates.end()) choice.best = best - plan.candidates.begin();
  }
  if (plan.objective != Objective::pareto) return;
  const std::vector<FrontMeasure> measures = front_measures(scenario, plan.candidates);
  plan.front = ParetoFront{{}, pareto_front(plan.candidates, measures)};
  for (const FrontMeasure& measure : measures) plan.front->measures.push_back(measure.name);
  for (const std::size_t i : plan.front->candidates) plan.candidates[i].on_front = true;
}

/// Throws InfeasibleError if no layout could meet the SLO even for one user alone, or (of a highest load)
/// none of the layouts sustains any.
void check_possible(const Candidate& best, const Proposals& proposed, const PlanOptions& options) {
  if (!best.load) return require_possible_slo(proposed.divisions, options);
  throw InfeasibleError(fmt::format("{}: no load meets the SLO: {}: {}",
                                    proposed.divisions.front().choice->scenario().name,
                                    best.layout.describe(), best.load->stopped));
}

/// The next candidate that is another division or another choice; else the next with other layers, which only
/// then is worth telling apart; else simply the next. Of highest loads the
/// first of those that were left at the best one's load: how far below it they end is not known, so they may
/// come second.
const Candidate* runner_up(const Plan& plan) {
  const Candidate& best = plan.candidates.front();
  const Candidate* next = nullptr;
  for (const Candidate& other : plan.candidates) {
    if (other.layout.tp == best.layout.tp && other.layout.pp == best.layout.pp &&
        other.layout.dp == best.layout.dp && other.choice == best.choice &&
        other.layout.sharing_ranks() == best.layout.sharing_ranks())
      continue;
    if (next == nullptr) next = &other;
    if (other.load && other.load->gave_up) return &other;
  }
  if (next != nullptr || plan.candidates.size() < 2) return next;
  const auto other =
      std::find_if(plan.candidates.begin() + 1, plan.candidates.end(),
                   [&](const Candidate& c) { return c.layout.describe() != best.layout.describe(); });
  return other == plan.candidates.end() ? &plan.candidates[1] : &*other;
}

/// Intervals of the best, what they come from, and how sure it is that it is the best.
void add_uncertainty(const Scenario& scenario, const SearchContext& context, const PlanOptions& options,
                     Plan& plan) {
  Candidate& best = plan.candidates.front();
  const PerturbedRuns runs =
      perturbed_runs(context, best.layout, scans_states(best), options, prefill_layout(best));
  MetricIntervals intervals = metric_intervals(context, best, runs);
  best.intervals = std::move(intervals.intervals);
  plan.reasons.push_back(std::move(intervals.cause));
  plan.effects =
      std::make_shared<const ErrorEffects>(error_effects(context, best, plan.objective, runs, options));
  if (const Candidate* second = runner_up(plan)) {
    const ErrorEffects effects = plan_effects(scenario, *second, plan.objective, options);
    plan.runner_up = compare_candidates({context.scenario, best, *plan.effects}, {scenario, *second, effects},
                                        plan.objective);
    if (plan.runner_up->a == plan.runner_up->b)
      plan.runner_up->b = "the same layers on GPUs in another order";
  }
  for (std::string& text : assumed_operators(context, best.layout)) plan.reasons.push_back(std::move(text));
}

}  // namespace

void run_parallel(int count, int threads, const std::function<void(int)>& task) {
  const int cores =
      threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  std::atomic<int> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    for (int i; (i = next++) < count;) {
      try {
        task(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < std::min(cores, count); ++t) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  if (failure) std::rethrow_exception(failure);
}

Plan make_plan(const Scenario& given, const PlanOptions& options) {
  Scenario scenario = given;
  if (options.seed) scenario.workload.seed = *options.seed;
  load_trace(scenario.workload);
  const Choices choices = planned_choices(scenario, options);

  Plan plan;
  plan.scenario = scenario.name;
  plan.objective = scenario.search.objective;
  const Proposals proposed = proposals(scenario, choices, options, plan);
  const std::vector<Proposal>& all = proposed.all;
  if (scenario.workload.find_highest) {
    if (options.needs_possible_slo) require_possible_slo(proposed.divisions, options);
    find_loads(all, choices, options, plan);
  } else {
    simulate_proposals(all, choices, options, plan);
  }
  if (options.best_so_far && options.stop != nullptr && options.stop->load()) {
    keep_best_so_far(all.front().layout, all.size(), plan);
    if (plan.candidates.empty()) return plan;
  }
  std::stable_sort(
      plan.candidates.begin(), plan.candidates.end(),
      [&](const Candidate& a, const Candidate& b) { return ranks_before(plan.objective, a, b); });
  sum_up(scenario, plan);
  Candidate& best = plan.candidates.front();
  if (best.metrics.finished == 0) nothing_served(scenario, best);

  const Scenario answered = answered_scenario(scenario, best);
  const SearchContext context{answered, choices[best.choice]->context().machine,
                              summarise_workload(answered.workload),
                              fault_epochs(answered, options.find_profile)};
  if (!best.meets_slo && options.needs_possible_slo && (!scenario.deployment || best.load))
    check_possible(best, proposed, options);
  for (std::string& text : explain(context, plan)) plan.reasons.push_back(std::move(text));
  if (!proposed.proofs.empty()) {
    plan.proof = proposed.proofs[best.choice];
    for (std::string& text : explain_search(context, plan)) plan.reasons.push_back(std::move(text));
  }
  if (options.intervals && !plan.interrupted) add_uncertainty(scenario, context, options, plan);
  return plan;
}

}  // namespace sextant
