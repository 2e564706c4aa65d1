#include "sim/planner/pools.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/pool_search.hpp"

namespace sextant {
namespace {

std::string name_of(const Cluster& cluster, int gpu) {
  return cluster.devices[static_cast<std::size_t>(gpu)].name;
}

std::size_t gpus_of(const FixedDeployment& d) {
  return static_cast<std::size_t>(d.tp) * static_cast<std::size_t>(d.pp) * static_cast<std::size_t>(d.dp);
}

/// Names of the GPUs that a pool without a placement takes: groups of tp inside a node, in order, from those
/// that are left.
std::vector<std::string> default_placement(const Cluster& cluster, const FixedDeployment& pool,
                                           const std::set<std::string>& taken) {
  std::vector<std::vector<std::string>> by_node(cluster.nodes.size());
  std::size_t left = 0;
  for (const int gpu : cluster.gpus()) {
    if (taken.contains(name_of(cluster, gpu))) continue;
    const int node = cluster.devices[static_cast<std::size_t>(gpu)].node;
    by_node[static_cast<std::size_t>(node)].push_back(name_of(cluster, gpu));
    ++left;
  }
  if (left < gpus_of(pool))
    throw InputError(
        fmt::format("{}: found {} GPUs that the other pool leaves, expected tp x pp x dp, which is {}",
                    pool.where, left, gpus_of(pool)));
  std::vector<std::string> names, rest;
  const auto tp = static_cast<std::size_t>(pool.tp);
  for (const auto& node : by_node) {
    const std::size_t whole = node.size() / tp * tp;
    names.insert(names.end(), node.begin(), node.begin() + static_cast<std::ptrdiff_t>(whole));
    rest.insert(rest.end(), node.begin() + static_cast<std::ptrdiff_t>(whole), node.end());
  }
  names.insert(names.end(), rest.begin(), rest.end());
  names.resize(gpus_of(pool));
  return names;
}

struct Pools {
  Layout prefill, decode;
};

Pools place(const Scenario& scenario) {
  FixedDeployment prefill = scenario.prefill->deployment, decode = *scenario.deployment;
  const Cluster& cluster = scenario.cluster;
  const auto set_of = [](const std::vector<std::string>& names) {
    return std::set<std::string>(names.begin(), names.end());
  };
  if (prefill.placement.empty())
    prefill.placement = default_placement(cluster, prefill, set_of(decode.placement));
  const std::set<std::string> taken = set_of(prefill.placement);
  if (decode.placement.empty()) decode.placement = default_placement(cluster, decode, taken);
  for (const std::string& name : decode.placement)
    if (taken.contains(name))
      throw InputError(fmt::format(
          "{}.placement: found the GPU '{}' in both pools, expected it in one of them", decode.where, name));
  return {fixed_layout(scenario, prefill), fixed_layout(scenario, decode)};
}

void reject_without_room(const SearchContext& context, const Layout& layout, const char* pool,
                         std::vector<Rejection>& rejections) {
  const std::vector<StageMemory> memory = tightest_replica(context, layout);
  if (kv_blocks(memory, context.scenario.engine) > 0) return;
  rejections.push_back(memory_rejection(layout, memory));
  rejections.back().layout = fmt::format("the {} pool's {}", pool, rejections.back().layout);
}

std::int64_t kv_blocks_of(const SearchContext& context, const Layout& layout) {
  return kv_blocks(tightest_replica(context, layout), context.scenario.engine);
}

}  // namespace

ServingMetrics PreparedRun::simulate(const SearchContext& context, SimulationOptions options) const {
  return simulate(context, context.scenario.workload, std::move(options));
}

ServingMetrics PreparedRun::simulate(const SearchContext& context, const Workload& workload,
                                     SimulationOptions options) const {
  options.fabric = fabric;
  if (const auto& pool = context.scenario.prefill) {
    options.first_token = pool->first_token;
    options.kv_connector = pool->kv_connector;
  }
  return sextant::simulate(setups, context.scenario.engine, workload, options);
}

PreparedRun prepare_run(const SearchContext& context, const Layout& main,
                        const std::optional<Layout>& prefill, CostLevel level) {
  PreparedRun run;
  if (prefill) {
    run.setups = replica_setups(context, *prefill, level);
    for (ReplicaSetup& setup : run.setups) setup.role = ReplicaRole::prefill;
  }
  for (ReplicaSetup& setup : replica_setups(context, main, level)) {
    if (prefill) setup.role = ReplicaRole::decode;
    run.setups.push_back(std::move(setup));
  }
  run.fabric = std::make_shared<const ServingFabric>(serving_fabric(
      context.machine.topology(), context.scenario.model, prefill ? &*prefill : nullptr, main, level));
  return run;
}

EstimatedLayout pools_layout(const SearchContext& context, std::vector<Rejection>& rejections) {
  const Pools pools = place(context.scenario);
  reject_without_room(context, pools.prefill, "prefill", rejections);
  reject_without_room(context, pools.decode, "decode", rejections);
  if (!rejections.empty()) return {};
  return pools_estimate(context, pools.prefill, pools.decode);
}

EstimatedLayout pools_estimate(const SearchContext& context, const Layout& prefill, const Layout& decode) {
  const WorkloadSummary& load = context.workload;
  const double demand =
      load.concurrency > 0 ? std::numeric_limits<double>::infinity() : load.rate * load.output;
  EstimatedLayout estimated = estimate(context, decode);
  estimated.prefill = prefill;
  estimated.output_throughput = std::min(demand, pool_rates(context, prefill, decode).lowest());
  return estimated;
}

Grade model_grade(const std::vector<ReplicaSetup>& setups) {
  Grade grade = dynamic_cast<const ReplicaModel&>(*setups.front().pipeline).grade();
  for (const ReplicaSetup& setup : setups)
    if (setup.role == ReplicaRole::decode)
      grade = weakest(grade, dynamic_cast<const ReplicaModel&>(*setup.pipeline).grade());
  return grade;
}

void report_prefill_pool(const SearchContext& context, const Layout& prefill, Candidate& candidate) {
  const EngineOptions& engine = context.scenario.engine;
  const std::int64_t blocks = kv_blocks_of(context, prefill);
  auto pool = std::make_shared<Candidate>();
  pool->layout = prefill;
  const KvPool kv = replica_pool(context.scenario.model, engine, prefill.tp);
  pool->kv_tokens = cached_tokens(context, kv, blocks);
  pool->startable = holds_longest(engine, kv, blocks);
  pool->decode_batch = candidate.decode_batch;
  pool->decode_context = candidate.decode_context;
  pool->chunk_tokens = candidate.chunk_tokens;
  pool->metrics = candidate.metrics;
  if (candidate.metrics.disaggregation)
    pool->metrics.stages = candidate.metrics.disaggregation->prefill.stages;
  report_stages(context, *pool);
  candidate.startable = candidate.startable && pool->startable;
  candidate.prefill = std::move(pool);
}

std::optional<Energy> energy_of_pools(const SearchContext& context, const Candidate& candidate) {
  Candidate decode = candidate;
  decode.metrics.prompt_tokens = 0;
  const std::optional<Energy> tokens = energy_of(context, decode),
                              prompts = energy_of(context, *candidate.prefill);
  if (!tokens || !prompts) return std::nullopt;
  Energy both = tokens->upper_bound ? *tokens : *prompts;
  both.upper_bound = tokens->upper_bound || prompts->upper_bound;
  both.gpu_watts = tokens->gpu_watts + prompts->gpu_watts;
  both.joules_per_output_token = both.gpu_watts / candidate.metrics.output_throughput;
  both.grade = weakest(tokens->grade, prompts->grade);
  return both;
}

namespace {

/// Share of the time that the busiest stage works, in percent.
double busy(const std::vector<StageShares>& stages) {
  double most = 0;
  for (const StageShares& stage : stages) most = std::max(most, stage.compute + stage.communication);
  return 100 * most;
}

std::string figures(const Candidate& c) {
  std::string text = c.load ? fmt::format("{:.4g} {}", c.load->highest, c.load->unit)
                            : fmt::format("{:.1f} output tokens/s", c.metrics.output_throughput);
  text += fmt::format(" (p99 TTFT {:.0f} ms, p99 TPOT {:.1f}, p99 ITL {:.1f})", c.metrics.ttft.p99,
                      c.metrics.tpot.p99, c.metrics.itl.p99);
  return c.meets_slo ? text : text + ", which misses the SLO";
}

}  // namespace

void explain_disaggregation(const Plan& plan, std::vector<std::string>& reasons) {
  const Candidate *apart = nullptr, *together = nullptr;
  for (const Candidate& c : plan.candidates) {
    const Candidate*& first = c.prefill ? apart : together;
    if (first == nullptr) first = &c;
  }
  if (apart == nullptr || together == nullptr || !apart->metrics.disaggregation) return;
  const DisaggregationMetrics& pools = *apart->metrics.disaggregation;
  double chunk = 0;
  for (const StageReport& stage : together->stages) chunk = std::max(chunk, stage.chunk_pass_ms);
  reasons.push_back(fmt::format(
      "{}: two pools (prefill on {}, decode on {}) give {}; one pool ({}) gives {}",
      &plan.candidates.front() == apart ? "prefill and decode apart win" : "prefill and decode apart lose",
      apart->prefill->layout.describe(), apart->layout.describe(), figures(*apart),
      together->layout.describe(), figures(*together)));
  reasons.push_back(fmt::format(
      "what two pools gain: no chunk of {} tokens ({:.1f} ms a pass) comes between two tokens; what they "
      "give "
      "up: a pool cannot help the other (prefill {:.0f} % busy, decode {:.0f} %, one pool {:.0f} %), and a "
      "prompt's KV takes {:.1f} ms to get across",
      together->chunk_tokens, chunk, busy(pools.prefill.stages), busy(apart->metrics.stages),
      busy(together->metrics.stages), pools.kv.handover.mean));
}

void explain_pools(const SearchContext& context, const Candidate& best, std::vector<std::string>& reasons) {
  const ServingMetrics& m = best.metrics;
  if (!m.disaggregation || m.disaggregation->kv.transfers == 0) return;
  const KvTransferMetrics& kv = m.disaggregation->kv;
  reasons.push_back(
      fmt::format("the prefill pool is {:.0f} % busy, the decode pool {:.0f} % with {:.1f} requests a step",
                  busy(m.disaggregation->prefill.stages), busy(m.stages), m.mean_batch_decodes));
  std::string text = fmt::format(
      "a request's KV is {:.0f} MB on average and takes {:.1f} ms to the decode pool (p99 {:.1f}), {:.1f} ms "
      "after the end of its prefill with the wait for room there; the client's first token comes from the {} "
      "pool",
      kv.bytes / static_cast<double>(kv.transfers) / 1e6, kv.transfer.mean, kv.transfer.p99, kv.handover.mean,
      context.scenario.prefill && context.scenario.prefill->first_token == FirstToken::prefill ? "prefill"
                                                                                               : "decode");
  reasons.push_back(text);
  const PoolRates rates = pool_rates(context, best.prefill->layout, best.layout);
  std::string carried = fmt::format(
      "by the estimate the prefill pool carries {:.1f} output tokens/s and the decode pool {:.1f}",
      rates.prefill, rates.decode);
  if (std::isfinite(rates.transfer)) carried += fmt::format(", the transfer of KV {:.1f}", rates.transfer);
  reasons.push_back(carried + fmt::format(": {} is full first", rates.bottleneck()));
}

}  // namespace sextant
