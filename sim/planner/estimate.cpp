#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/cost_tables.hpp"
#include "sim/planner/search.hpp"
#include "sim/planner/shared_experts.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {

WorkloadSummary summarise_workload(const Workload& workload) {
  constexpr int enough = 2000;
  WorkloadSummary summary;
  const auto source = make_request_source(workload);
  int drawn = 0;
  Time last;
  std::optional<Request> request;
  for (; drawn < enough; ++drawn) {
    // All turns of a conversation, one after another, before the next conversation.
    if (request) request = source->following(request->id, true, request->arrival);
    if (!request) request = source->next();
    if (!request) break;
    summary.prompt += static_cast<double>(request->prompt_tokens);
    summary.output += static_cast<double>(request->output_tokens);
    last = request->arrival;
  }
  if (drawn == 0) throw InputError("workload: found no request, expected at least one");
  summary.prompt /= drawn;
  summary.output /= drawn;
  if (workload.arrival == Workload::Arrival::concurrency)
    summary.concurrency = static_cast<double>(std::min(workload.max_concurrency, workload.num_prompts));
  else if (workload.arrival != Workload::Arrival::trace)
    summary.rate = workload.request_rate;
  else
    summary.rate = last.seconds() > 0 ? drawn / last.seconds() : std::numeric_limits<double>::infinity();
  return summary;
}

std::vector<StageMemory> tightest_replica(const SearchContext& context, const Layout& layout) {
  const Scenario& scenario = context.scenario;
  std::vector<StageMemory> tightest;
  double least = 0;
  for (const auto& replica : layout.replicas) {
    auto memory = replica_memory(scenario.model, scenario.engine, context.machine.engine(), scenario.cluster,
                                 replica, layout.cut(replica));
    double room = memory.front().budget.for_kv();
    for (const StageMemory& stage : memory) room = std::min(room, stage.budget.for_kv());
    if (tightest.empty() || room < least) {
      tightest = std::move(memory);
      least = room;
    }
  }
  return tightest;
}

std::vector<StageChoice> stage_choices(CostTables& tables, const std::vector<StagePlacement>& replica) {
  std::vector<StageChoice> stages;
  for (std::size_t s = 0; s < replica.size(); ++s) {
    const std::vector<int>& target = replica[(s + 1) % replica.size()].gpus;
    const int hop = replica.size() > 1 ? tables.hop(replica[s].gpus.front(), target.front()) : -1;
    stages.push_back({tables.group(replica[s].gpus), replica[s].layers, hop});
  }
  return stages;
}

EstimatedLayout estimate(CostTables& tables, const Layout& layout) {
  EstimatedLayout result{layout, std::numeric_limits<std::int64_t>::max(), 0, 0};
  // Equal replicas are worked out once.
  std::map<std::vector<std::array<int, 4>>, ReplicaEstimate> known;
  double slowest = std::numeric_limits<double>::infinity();
  for (const auto& replica : layout.replicas) {
    const std::vector<StageChoice> stages = stage_choices(tables, replica);
    std::vector<std::array<int, 4>> key;
    for (const StageChoice& stage : stages)
      key.push_back({stage.group, stage.layers.begin, stage.layers.end, stage.hop});
    const auto [place, is_new] = known.try_emplace(std::move(key));
    if (is_new) place->second = tables.replica(stages, layout.dp);
    result.kv_blocks = std::min(result.kv_blocks, place->second.kv_blocks);
    result.output_throughput += place->second.throughput;
    slowest = std::min(slowest, place->second.throughput);
    result.token_seconds = std::max(result.token_seconds, place->second.token_seconds);
  }
  // Turns give every replica as many requests: the slowest one's rate is everybody's.
  if (tables.context().scenario.router.policy == RouterOptions::Policy::round_robin)
    result.output_throughput = std::min(result.output_throughput, slowest * layout.dp);
  // Requests are at no more replicas than there are requests at once: which ones, chance decides.
  if (const int most = most_replicas(tables.context().workload); most < layout.dp)
    result.output_throughput *= static_cast<double>(most) / layout.dp;
  // Every replica must fit.
  if (result.kv_blocks <= 0) result.output_throughput = result.token_seconds = 0;
  return result;
}

EstimatedLayout estimate(const SearchContext& context, const Layout& layout) {
  if (layout.shares_experts()) return estimate_sharing(context, layout);
  CostTables tables(context, layout.ep > 1);
  return estimate(tables, layout);
}

bool better_estimate(const EstimatedLayout& a, const EstimatedLayout& b) {
  const double grade_a = throughput_grade(a.output_throughput),
               grade_b = throughput_grade(b.output_throughput);
  return grade_a != grade_b ? grade_a > grade_b : a.token_seconds < b.token_seconds;
}

double throughput_grade(double output_throughput) {
  return output_throughput > 0 ? std::floor(std::log(output_throughput) / std::log(1.01))
                               : -std::numeric_limits<double>::infinity();
}

}  // namespace sextant
