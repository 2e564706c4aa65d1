#include "sim/planner/first_token.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/planner/shared_experts.hpp"

namespace sextant {
namespace {

double front_end_seconds(const SearchContext& context) {
  const EngineProfile& engine = context.machine.engine();
  return 1e-6 * (engine.front_end_us.value +
                 engine.front_end_us_per_prompt_token.value * std::max(1.0, context.workload.prompt));
}

/// A prompt's way through the stages of a replica that has nothing else to do, chunk behind chunk.
double alone(CostTables& tables, const std::vector<StageChoice>& stages) {
  const SearchContext& context = tables.context();
  const double prompt = std::max(1.0, context.workload.prompt);
  const auto most = static_cast<double>(context.scenario.engine.max_num_batched_tokens);
  const double chunks = std::ceil(prompt / most);
  const std::int64_t chunk = std::max<std::int64_t>(1, std::llround(prompt / chunks));
  const double host = tables.host_seconds(1);
  double way = host, slowest = 0;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const bool first = s == 0, last = s + 1 == stages.size();
    const double pass = tables.prefill_seconds(stages[s].group, stages[s].layers, first, last);
    way += pass + tables.hop_seconds(stages[s].hop, last, last ? 1 : chunk);
    slowest = std::max(slowest, pass + (first ? host : 0));
  }
  return way + (chunks - 1) * slowest + front_end_seconds(context);
}

/// Whether a replica of an open loop runs as many requests as it can and still serves less than its share.
bool overloaded(CostTables& tables, const std::vector<StageChoice>& stages, int dp) {
  const WorkloadSummary& load = tables.context().workload;
  const ReplicaEstimate replica = tables.replica(stages, dp);
  const double most = std::max(1.0, std::min(tables.most_running(dp, stages.size()),
                                             tables.running_in(stages.front().group, replica.kv_blocks)));
  constexpr double rounding = 1e-9;
  return replica.throughput < load.rate * load.output / dp &&
         replica.throughput * replica.token_seconds > most * (1 - rounding);
}

/// What a prompt waits for where requests are already being served: `lone` seconds is its way through the
/// `stages` of an idle replica.
double after_queue(const WorkloadSummary& load, const EstimatedLayout& estimated, double lone,
                   double stages) {
  const Layout& layout = estimated.layout;
  const double token = estimated.token_seconds, served = estimated.output_throughput;
  const double decoding = served * token / layout.dp;
  const double busy = std::min(1.0, decoding);
  const double beside_others = lone + busy * token * (1 + 1 / (2 * stages));
  if (load.concurrency == 0) return beside_others;
  const double by_littles_law = load.concurrency * load.output / served - (load.output - 1) * token;
  return std::max(load.concurrency > layout.dp ? beside_others : lone, by_littles_law);
}

/// The same of ranks in lock step, all taken to be like the first.
double of_sharing(const SearchContext& context, const EstimatedLayout& estimated) {
  const WorkloadSummary& load = context.workload;
  const int dp = estimated.layout.dp;
  const SharingServer server(context, estimated.layout.replicas.front());
  const double running = estimated.output_throughput * estimated.token_seconds / dp;
  constexpr double rounding = 1e-9;
  if (load.concurrency == 0 && estimated.output_throughput < load.rate * load.output &&
      running > server.most_at_once(dp / server.ranks()) * (1 - rounding))
    return std::numeric_limits<double>::infinity();
  return after_queue(load, estimated, server.prompt_seconds() + front_end_seconds(context), 1);
}

}  // namespace

double first_token_seconds(CostTables& tables, const EstimatedLayout& estimated) {
  if (estimated.kv_blocks <= 0) return std::numeric_limits<double>::quiet_NaN();
  if (estimated.layout.shares_experts()) return of_sharing(tables.context(), estimated);
  const WorkloadSummary& load = tables.context().workload;
  const Layout& layout = estimated.layout;
  double lone = 0, stages = 0;
  for (const auto& replica : layout.replicas) {
    const std::vector<StageChoice> choices = stage_choices(tables, replica);
    if (load.concurrency == 0 && overloaded(tables, choices, layout.dp))
      return std::numeric_limits<double>::infinity();
    lone += alone(tables, choices) / layout.dp;
    stages += static_cast<double>(replica.size()) / layout.dp;
  }
  return after_queue(load, estimated, lone, stages);
}

}  // namespace sextant
