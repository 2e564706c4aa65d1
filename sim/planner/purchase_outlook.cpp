#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/cost_tables.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {

double token_seconds_allowed(const Scenario& scenario) {
  double allowed = std::numeric_limits<double>::infinity();
  for (const ServiceLevel& level : scenario.slo)
    if (level.at_most && level.metric.ends_with("_tpot_ms")) allowed = std::min(allowed, level.bound / 1e3);
  return allowed;
}

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

bool more_promising(const Outlook& a, const Outlook& b) {
  if (a.fits != b.fits) return a.fits;
  if (a.meets_times != b.meets_times) return a.meets_times;
  return a.output_throughput > b.output_throughput;
}

namespace {

/// Seconds of such a prompt through all stages, undisturbed, chunk by chunk.
double prompt_seconds(CostTables& tables, const Layout& layout, std::int64_t tokens) {
  const std::int64_t most = tables.context().scenario.engine.max_num_batched_tokens;
  const std::int64_t chunk = std::clamp<std::int64_t>(tokens, 1, most);
  return tables.chunk_seconds(stage_choices(tables, layout.replicas.front()), chunk) *
         static_cast<double>(tokens) / static_cast<double>(chunk);
}

Outlook even_layouts(const SearchContext& context, const PromptDemand& demand) {
  constexpr int depths =
      3;  // pipelines longer than needed only add latency: the shortest that fit are enough
  Outlook best;
  best.meets_times = false;
  const Scenario& scenario = context.scenario;
  const int gpus = static_cast<int>(scenario.cluster.gpus().size());
  const int layers = scenario.model.architecture.layer_count();
  const double allowed = token_seconds_allowed(scenario);
  const int replicas = most_replicas(context.workload);
  CostTables tables(context);
  for (int tp = 1; tp <= gpus; ++tp) {
    if (tensor_parallel_obstacle(scenario.model, tp)) continue;
    int fitting = 0;
    for (int pp = 1; pp * tp <= gpus && pp <= layers && fitting < depths; ++pp) {
      try {
        FixedDeployment fixed;
        fixed.tp = tp;
        fixed.pp = pp;
        fixed.dp = std::min(gpus / (tp * pp), replicas);
        const EstimatedLayout estimated = estimate(tables, fixed_layout(scenario, fixed));
        if (estimated.kv_blocks <= 0) continue;
        ++fitting;
        const bool in_time = estimated.token_seconds <= allowed &&
                             (demand.tokens == 0 || prompt_seconds(tables, estimated.layout, demand.tokens) <=
                                                        demand.seconds_allowed);
        const Outlook look{true, in_time, estimated.output_throughput, {}};
        if (more_promising(look, best)) best = look;
      } catch (const InputError& error) {
        best.failure = error.what();
      }
    }
  }
  return best;
}

}  // namespace

PurchaseEstimator::PurchaseEstimator(const PurchaseQuestion& question, const std::vector<ModelBound>& models,
                                     GpuProfileFinder find_profile)
    : question_(question), find_profile_(std::move(find_profile)) {
  for (const ModelBound& model : models)
    models_.push_back({model.model, model.workload, prompt_demand(model.scenario)});
}

Scenario PurchaseEstimator::scenario(std::size_t model, const Purchase& purchase,
                                     const std::string& cluster) const {
  std::pair<std::size_t, std::set<std::string>> key{model, {}};
  for (const auto& [name, unused] : gpus_of(question_, purchase)) key.second.insert(name);
  std::shared_ptr<const Scenario> alike;
  {
    const std::lock_guard lock(mutex_);
    alike = alike_[key];
  }
  if (alike && alike->faults.empty() && alike->cluster.background.empty()) {
    Scenario scenario = *alike;
    scenario.cluster = read_cluster(JsonValue::parse(cluster, question_.file));
    return scenario;
  }
  Scenario scenario = purchase_scenario(question_, question_.models[model], cluster);
  const std::lock_guard lock(mutex_);
  alike_[key] = std::make_shared<const Scenario>(scenario);
  return scenario;
}

Machine PurchaseEstimator::machine(const Scenario& scenario) const {
  return {scenario.cluster, scenario.engine.profile, find_profile_};
}

Outlook PurchaseEstimator::look(const Purchase& purchase) const {
  Outlook all;
  all.fits = true;
  const std::string cluster = cluster_of(question_, purchase);
  std::optional<Machine> machine;
  for (std::size_t m = 0; m < models_.size(); ++m) {
    try {
      const Scenario served = scenario(m, purchase, cluster);
      if (!machine) machine.emplace(served.cluster, served.engine.profile, find_profile_);
      const Outlook one = even_layouts({served, *machine, models_[m].workload}, models_[m].demand);
      all.fits = all.fits && one.fits;
      all.meets_times = all.meets_times && one.meets_times;
      all.output_throughput += models_[m].model->share * one.output_throughput;
      if (!one.fits)
        all.failure = one.failure.empty() ? "no even layout holds " + models_[m].model->name : one.failure;
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
