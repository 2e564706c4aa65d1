#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>

#include "models/base/error.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

/// The tightest bound on the time between tokens, in seconds; infinity without one.
double token_seconds_allowed(const Scenario& scenario) {
  double allowed = std::numeric_limits<double>::infinity();
  for (const ServiceLevel& level : scenario.slo)
    if (level.at_most && level.metric.ends_with("_tpot_ms")) allowed = std::min(allowed, level.bound / 1e3);
  return allowed;
}

/// A prompt that few are longer than, and the seconds to the first token that the SLO allows; infinity
/// without.
struct PromptDemand {
  std::int64_t tokens = 0;
  double seconds_allowed = std::numeric_limits<double>::infinity();
};

PromptDemand prompt_demand(const Scenario& scenario) {
  constexpr int drawn = 400;
  PromptDemand demand;
  for (const ServiceLevel& level : scenario.slo)
    if (level.at_most && level.metric == "p99_ttft_ms")
      demand.seconds_allowed = std::min(demand.seconds_allowed, level.bound / 1e3);
  if (!std::isfinite(demand.seconds_allowed)) return demand;
  const auto source = make_request_source(scenario.workload);
  std::vector<std::int64_t> tokens;
  for (int i = 0; i < drawn; ++i)
    if (const auto request = source->next()) tokens.push_back(request->prompt_tokens);
  if (tokens.empty()) return demand;
  std::sort(tokens.begin(), tokens.end());
  demand.tokens = tokens[(tokens.size() - 1) * 99 / 100];
  return demand;
}

/// Seconds of such a prompt through all stages, undisturbed.
double prompt_seconds(const SearchContext& context, const Layout& layout, std::int64_t tokens) {
  const ReplicaModel model(context.scenario.model, context.machine, layout.replicas.front(),
                           layout.cut(layout.replicas.front()));
  const PrefillChunk chunk{
      std::clamp<std::int64_t>(tokens, 1, context.scenario.engine.max_num_batched_tokens), 0};
  PassShape pass;
  pass.chunks = {&chunk, 1};
  pass.samples = 1;
  double seconds = 0;
  for (int s = 0; s < model.stages(); ++s) seconds += model.pass(s, pass).total.seconds();
  return seconds * static_cast<double>(tokens) / static_cast<double>(chunk.new_tokens);
}

/// The best of two looks at one model: first what keeps the SLO's times, then throughput.
bool better(const Outlook& a, const Outlook& b) {
  if (a.fits != b.fits) return a.fits;
  if (a.meets_times != b.meets_times) return a.meets_times;
  return a.output_throughput > b.output_throughput;
}

Outlook even_layouts(const SearchContext& context) {
  constexpr int depths =
      3;  // pipelines longer than needed only add latency: the shortest that fit are enough
  Outlook best;
  best.meets_times = false;
  const Scenario& scenario = context.scenario;
  const int gpus = static_cast<int>(scenario.cluster.gpus().size());
  const int layers = scenario.model.architecture.layer_count();
  const double allowed = token_seconds_allowed(scenario);
  const PromptDemand demand = prompt_demand(scenario);
  for (int tp = 1; tp <= gpus; ++tp) {
    if (tensor_parallel_obstacle(scenario.model, tp)) continue;
    int fitting = 0;
    for (int pp = 1; pp * tp <= gpus && pp <= layers && fitting < depths; ++pp) {
      try {
        FixedDeployment fixed;
        fixed.tp = tp;
        fixed.pp = pp;
        fixed.dp = gpus / (tp * pp);
        const Layout layout = fixed_layout(scenario, fixed);
        const EstimatedLayout estimated = estimate(context, layout);
        if (estimated.kv_blocks <= 0) continue;
        ++fitting;
        const bool in_time =
            estimated.token_seconds <= allowed &&
            (demand.tokens == 0 || prompt_seconds(context, layout, demand.tokens) <= demand.seconds_allowed);
        const Outlook look{true, in_time, estimated.output_throughput, {}};
        if (better(look, best)) best = look;
      } catch (const InputError& error) {
        best.failure = error.what();
      }
    }
  }
  return best;
}

}  // namespace

Outlook outlook_of(const PurchaseQuestion& question, const Purchase& purchase,
                   const GpuProfileFinder& find_profile) {
  Outlook all;
  all.fits = true;
  const std::string cluster = cluster_of(question, purchase);
  for (const PurchaseModel& model : question.models) {
    try {
      Scenario scenario = purchase_scenario(question, model, cluster);
      load_trace(scenario.workload);
      const Machine machine(scenario.cluster, scenario.engine.profile, find_profile);
      const Outlook one = even_layouts({scenario, machine, summarise_workload(scenario.workload)});
      all.fits = all.fits && one.fits;
      all.meets_times = all.meets_times && one.meets_times;
      all.output_throughput += model.share * one.output_throughput;
      if (!one.fits) all.failure = one.failure.empty() ? "no even layout holds " + model.name : one.failure;
    } catch (const InputError& error) {
      return {false, false, 0, error.what()};
    }
    if (!all.fits) break;
  }
  return all;
}

GpuProfileFinder remembering(GpuProfileFinder find) {
  struct Memory {
    std::mutex mutex;
    std::map<std::string, GpuProfile> known;
  };
  return [memory = std::make_shared<Memory>(), find = std::move(find)](const std::string& gpu) {
    const std::lock_guard lock(memory->mutex);
    const auto found = memory->known.find(gpu);
    if (found != memory->known.end()) return found->second;
    return memory->known.emplace(gpu, find(gpu)).first->second;
  };
}

ModelPlan plan_model(const PurchaseQuestion& question, const PurchaseModel& model, const Purchase& purchase,
                     const PlanOptions& options, const PurchaseLimits& limits) {
  ModelPlan result;
  try {
    ModelAnswer answer;
    answer.model = model.name;
    answer.scenario = purchase_scenario(question, model, cluster_of(question, purchase));
    if (options.seed) answer.scenario.workload.seed = *options.seed;
    load_trace(answer.scenario.workload);
    Plan plan = make_plan(answer.scenario, options);
    std::erase_if(plan.candidates, [&](const Candidate& c) {
      return static_cast<double>(c.kv_tokens) * c.layout.dp < question.bounds.kv_tokens;
    });
    if (plan.candidates.empty())
      return {std::nullopt, "no layout caches the KV tokens asked for of " + model.name};
    if (plan.candidates.size() > static_cast<std::size_t>(limits.layouts_kept))
      plan.candidates.resize(static_cast<std::size_t>(limits.layouts_kept));
    answer.candidates = std::move(plan.candidates);
    result.answer = std::move(answer);
  } catch (const InfeasibleError&) {
    result.failure = "no layout holds " + model.name;
  } catch (const InputError& error) {
    result.failure = error.what();
  }
  return result;
}

}  // namespace sextant
