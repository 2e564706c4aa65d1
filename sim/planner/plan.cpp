#include "sim/planner/plan.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/pools.hpp"
#include "sim/planner/search.hpp"

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
  throw InfeasibleError(fmt::format(
      "{}: no layout serves a request; {} rejects all {}: a prompt and its output may have {} tokens "
      "(max_model_len) and must fit in the {} that a replica caches",
      scenario.name, best.layout.describe(), best.metrics.arrived, scenario.engine.max_model_len,
      best.kv_tokens));
}

/// Of layouts ordered by estimate, the best of each tp x pp x dp x ep first, then the next best of all,
/// `most` together: an estimate may err between divisions more than within one.
std::vector<EstimatedLayout> most_promising(std::vector<EstimatedLayout> layouts, std::size_t most) {
  std::set<std::array<int, 5>> divisions;
  std::stable_partition(layouts.begin(), layouts.end(), [&](const EstimatedLayout& e) {
    const Layout& layout = e.layout;
    return divisions.insert({layout.tp, layout.pp, layout.dp, layout.ep, layout.alike() ? 1 : 0}).second;
  });
  if (layouts.size() > most) layouts.resize(most);
  return layouts;
}

/// The layouts to simulate: of a fixed deployment the one given, of a search the best by estimate.
std::vector<EstimatedLayout> layouts_to_simulate(const SearchContext& context, const PlanOptions& options,
                                                 Plan& plan) {
  const Scenario& scenario = context.scenario;
  if (scenario.prefill) {
    plan.considered = 1;
    const EstimatedLayout pools = pools_layout(context, plan.rejections);
    if (!plan.rejections.empty()) nothing_fits(scenario, plan.rejections);
    return {pools};
  }
  if (scenario.deployment) {
    const Layout layout = fixed_layout(scenario, *scenario.deployment);
    EstimatedLayout estimated = estimate(context, layout);
    plan.considered = 1;
    if (estimated.kv_blocks > 0) return {estimated};
    plan.rejections.push_back(memory_rejection(layout, tightest_replica(context, layout)));
    nothing_fits(scenario, plan.rejections);
  }
  SearchOptions search;
  search.stop = options.best_so_far ? options.stop : nullptr;
  if (options.search_progress)
    search.progress = [&](std::int64_t done, std::int64_t total, const EstimatedLayout*) {
      options.search_progress(done, total);
    };
  SearchResult found = search_layouts(context, search);
  plan.proof = std::move(found.proof);
  plan.rejections = std::move(found.rejections);
  plan.considered = static_cast<int>(found.layouts.size());
  if (found.layouts.empty()) nothing_fits(scenario, plan.rejections);
  return most_promising(std::move(found.layouts),
                        static_cast<std::size_t>(std::max(1, options.simulate_at_most)));
}

/// A stopped plan keeps what was simulated; its first reason says how far it got.
void keep_best_so_far(const EstimatedLayout& best, Plan& plan) {
  plan.interrupted = true;
  const std::size_t all = plan.candidates.size();
  std::erase_if(plan.candidates, [](const Candidate& candidate) { return !candidate.simulated; });
  if (plan.candidates.empty())
    plan.reasons.push_back(fmt::format(
        "interrupted before any simulation ended; best by the analytic estimate: {}, {:.1f} output tokens/s",
        best.layout.describe(), best.output_throughput));
  else
    plan.reasons.push_back(
        fmt::format("interrupted: {} of {} layouts are simulated", plan.candidates.size(), all));
}

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
  else if (largest < 0.5)
    text += ": under 0.5 %, nothing anyone would notice";
  else if (largest < 3)
    text += ": a small change, within the error of the prediction";
  const std::string layout = variant.candidates.front().layout.describe();
  if (layout != base.candidates.front().layout.describe()) text += "; best layout becomes " + layout;
  return text;
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
  const Machine machine(scenario.cluster, scenario.engine.profile, options.find_profile);
  const SearchContext context{scenario, machine, summarise_workload(scenario.workload),
                              fault_epochs(scenario, options.find_profile)};

  Plan plan;
  plan.scenario = scenario.name;
  const std::vector<EstimatedLayout> layouts = layouts_to_simulate(context, options, plan);
  plan.candidates.resize(layouts.size());
  std::atomic<int> done{0};
  std::mutex progress;
  run_parallel(static_cast<int>(layouts.size()), options.threads, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    try {
      plan.candidates[at] = simulate_candidate(context, layouts[at], options);
    } catch (const Interrupted&) {
      if (!options.best_so_far) throw;
      return;
    }
    const std::lock_guard lock(progress);
    ++done;
    if (options.progress) options.progress(done, static_cast<int>(layouts.size()));
  });
  if (options.best_so_far && options.stop != nullptr && options.stop->load()) {
    keep_best_so_far(layouts.front(), plan);
    if (plan.candidates.empty()) return plan;
  }
  std::stable_sort(plan.candidates.begin(), plan.candidates.end(), ranks_before);
  Candidate& best = plan.candidates.front();
  if (best.metrics.finished == 0) nothing_served(scenario, best);
  for (std::string& text : explain(context, plan)) plan.reasons.push_back(std::move(text));
  if (!scenario.deployment)
    for (std::string& text : explain_search(context, plan)) plan.reasons.push_back(std::move(text));
  if (options.intervals && !plan.interrupted) {
    MetricIntervals intervals = metric_intervals(context, best, options);
    best.intervals = std::move(intervals.intervals);
    plan.reasons.push_back(std::move(intervals.cause));
    for (std::string& text : assumed_operators(context, best.layout)) plan.reasons.push_back(std::move(text));
  }
  return plan;
}

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
      result.plan = make_plan(read_scenario(with_changes(document, variant.changes)), quick);
      const bool same_workload = std::none_of(variant.changes.begin(), variant.changes.end(),
                                              [](const auto& c) { return c.first.starts_with("workload"); });
      result.verdict = verdict(base, *result.plan, same_workload);
    } catch (const InfeasibleError& error) {
      result.infeasible = error.what();
      result.verdict = "no layout fits";
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace sextant
