#include "sim/planner/candidate.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/planner/pools.hpp"
#include "sim/planner/shared_experts.hpp"

namespace sextant {
namespace {

/// Passes that stand for the run: its mean decode batch at its mean context, and a full prompt chunk.
struct TypicalPasses {
  PrefillChunk chunk;
  PassShape decode, prefill;
};

StageReport report_stage(const SearchContext& context, const Candidate& candidate, const ReplicaModel& model,
                         int stage, const StageMemory& memory, const TypicalPasses& typical) {
  const Scenario& scenario = context.scenario;
  const StagePlacement& placement = candidate.layout.replicas.front()[static_cast<std::size_t>(stage)];
  StageReport report;
  report.layers = placement.layers;
  for (const int gpu : placement.gpus)
    report.gpus.push_back(scenario.cluster.devices[static_cast<std::size_t>(gpu)].name);
  report.gpu = scenario.cluster.kinds(placement.gpus);
  report.memory = memory;
  report.kv_tokens = cached_tokens(context, memory.budget.pool, kv_blocks({memory}, scenario.engine));
  report.decode_families = model.families(stage, typical.decode);
  report.decode_pass_ms = model.pass(stage, typical.decode).total.ms();
  report.chunk_pass_ms = model.pass(stage, typical.prefill).total.ms();
  if (stage + 1 < model.stages()) {
    report.hop = model.route(stage).describe();
    report.decode_hop_bytes = model.hop_bytes(stage, candidate.decode_batch);
    report.chunk_hop_bytes = model.hop_bytes(stage, candidate.chunk_tokens);
    report.decode_hop_ms = model.hop(stage, candidate.decode_batch).ms();
    report.chunk_hop_ms = model.hop(stage, candidate.chunk_tokens).ms();
  }
  if (static_cast<std::size_t>(stage) < candidate.metrics.stages.size())
    report.shares = candidate.metrics.stages[static_cast<std::size_t>(stage)];
  return report;
}

}  // namespace

std::int64_t cached_tokens(const SearchContext& context, const KvPool& pool, std::int64_t blocks) {
  if (pool.plain()) return blocks * pool.block_tokens;
  const double each = context.workload.prompt + context.workload.output;
  return static_cast<std::int64_t>(static_cast<double>(blocks * pool.block_tokens) / pool.token_slots(each) *
                                   each);
}

bool holds_longest(const EngineOptions& engine, const KvPool& pool, std::int64_t blocks) {
  return pool.most_blocks(engine.max_model_len, engine.max_num_batched_tokens) <=
         blocks + engine.reserved_kv_blocks;
}

void judge_slo(const Scenario& scenario, Candidate& candidate) {
  if (scenario.slo.empty()) return;
  const ServingMetrics& m = candidate.metrics;
  if (m.rejected > 0)
    candidate.missed.push_back(fmt::format("{} of {} requests are rejected, bound 0", m.rejected, m.arrived));
  if (m.in_flight > 0)
    candidate.missed.push_back(
        fmt::format("{} of {} requests are never served, bound 0", m.in_flight, m.arrived));
  const auto metrics = named_metrics(m);
  for (const ServiceLevel& level : scenario.slo) {
    const auto found = std::find_if(metrics.begin(), metrics.end(),
                                    [&](const auto& named) { return named.first == level.metric; });
    const bool met = level.at_most ? found->second <= level.bound : found->second >= level.bound;
    if (met && m.finished > 0) continue;
    const std::string value =
        std::isnan(found->second) ? "has no sample" : fmt::format("is {:.5g}", found->second);
    candidate.missed.push_back(
        fmt::format("{} {}, bound {}{:.5g}", level.metric, value, level.at_most ? "<=" : ">=", level.bound));
  }
  candidate.meets_slo = candidate.missed.empty();
}

std::vector<ReplicaSetup> replica_setups(const SearchContext& context, const Layout& layout,
                                         CostLevel level) {
  const Scenario& scenario = context.scenario;
  if (layout.shares_experts()) return sharing_setups(context, layout, level);
  std::vector<ReplicaSetup> setups;
  for (const auto& replica : layout.replicas) {
    const auto memory = replica_memory(scenario.model, scenario.engine, context.machine.engine(),
                                       scenario.cluster, replica, layout.cut(replica));
    setups.push_back(
        {std::make_shared<ReplicaModel>(scenario.model, context.machine, replica, layout.cut(replica), level),
         kv_blocks(memory, scenario.engine), ReplicaRole::whole, memory.front().budget.pool});
  }
  return setups;
}

Candidate simulate_candidate(const SearchContext& context, const EstimatedLayout& estimated,
                             const PlanOptions& options) {
  const Scenario& scenario = context.scenario;
  Candidate candidate;
  candidate.layout = estimated.layout;
  candidate.estimate = estimated.output_throughput;
  const EngineOptions& engine = scenario.engine;
  const KvPool pool = replica_pool(scenario.model, engine, candidate.layout.tp);
  candidate.kv_tokens = cached_tokens(context, pool, estimated.kv_blocks);
  candidate.startable = holds_longest(engine, pool, estimated.kv_blocks);
  const PreparedRun run = prepare_run(context, candidate.layout, estimated.prefill);
  const std::vector<ReplicaSetup>& setups = run.setups;
  SimulationOptions simulation{options.step_by_step, options.replication, scenario.goodput,
                               options.stop,         scenario.router,     options.observer};
  simulation.changes = replica_changes(scenario, context.epochs, candidate.layout, {});
  simulation.percentiles = options.percentiles;
  candidate.metrics = run.simulate(context, simulation);
  candidate.simulated = true;

  const ServingMetrics& metrics = candidate.metrics;
  candidate.decode_batch = std::max<std::int64_t>(1, std::llround(metrics.mean_batch_decodes));
  candidate.decode_context = std::max<std::int64_t>(1, std::llround(context.workload.context()));
  candidate.chunk_tokens = std::clamp<std::int64_t>(std::llround(context.workload.prompt), 1,
                                                    scenario.engine.max_num_batched_tokens);
  if (context.workload.prompt * static_cast<double>(scenario.engine.max_num_seqs) >
      static_cast<double>(scenario.engine.max_num_batched_tokens))
    candidate.chunk_tokens = scenario.engine.max_num_batched_tokens;

  report_stages(context, candidate);
  candidate.grade = model_grade(setups);
  candidate.extrapolated = std::any_of(setups.begin(), setups.end(), [](const ReplicaSetup& setup) {
    return dynamic_cast<const ReplicaModel&>(*setup.pipeline).extrapolated();
  });
  if (estimated.prefill) report_prefill_pool(context, *estimated.prefill, candidate);
  judge_slo(scenario, candidate);
  candidate.energy = candidate.prefill ? energy_of_pools(context, candidate) : energy_of(context, candidate);
  if (scenario.economics && metrics.output_throughput > 0)
    candidate.usd_per_million_output_tokens =
        scenario.economics->usd_per_hour(candidate.energy ? candidate.energy->gpu_watts : 0) /
        (metrics.output_throughput * 3600) * 1e6;
  return candidate;
}

void report_stages(const SearchContext& context, Candidate& candidate) {
  const Scenario& scenario = context.scenario;
  TypicalPasses typical;
  typical.chunk = {candidate.chunk_tokens, 0};
  typical.prefill.chunks = {&typical.chunk, 1};
  typical.prefill.samples = 1;
  typical.decode =
      decode_pass(scenario.engine, candidate.decode_batch, static_cast<double>(candidate.decode_context));

  const auto& replica = candidate.layout.replicas.front();
  const ReplicaModel model(scenario.model, context.machine, replica, candidate.layout.cut(replica));
  const auto memory = replica_memory(scenario.model, scenario.engine, context.machine.engine(),
                                     scenario.cluster, replica, candidate.layout.cut(replica));
  for (int s = 0; s < model.stages(); ++s)
    candidate.stages.push_back(
        report_stage(context, candidate, model, s, memory[static_cast<std::size_t>(s)], typical));
}

}  // namespace sextant
