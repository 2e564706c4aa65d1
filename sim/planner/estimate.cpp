#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "models/base/error.hpp"
#include "sim/planner/search.hpp"
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
                                 replica, layout.cut());
    double room = memory.front().budget.for_kv();
    for (const StageMemory& stage : memory) room = std::min(room, stage.budget.for_kv());
    if (tightest.empty() || room < least) {
      tightest = std::move(memory);
      least = room;
    }
  }
  return tightest;
}

namespace {

/// Seconds of a round at `running` requests on a replica: each of them gets its tokens, and running x tokens
/// / output of them end and are replaced by a prompt. The slowest stage's work, or the way of one batch
/// through all stages, whichever is longer.
double round_seconds(const SearchContext& context, const ReplicaModel& model, double running) {
  const WorkloadSummary& load = context.workload;
  const double batches = std::min<double>(model.stages(), std::max(1.0, running));
  const auto batch = std::max<std::int64_t>(1, std::llround(running / batches));
  const PassShape decode = decode_pass(context.scenario.engine, batch, load.context());
  const PrefillChunk chunk{
      std::clamp<std::int64_t>(std::llround(load.prompt), 1, context.scenario.engine.max_num_batched_tokens),
      0};
  PassShape prefill;
  prefill.chunks = {&chunk, 1};
  prefill.samples = 1;
  const double prompts = running * context.scenario.engine.expected_tokens() / load.output * load.prompt /
                         static_cast<double>(chunk.new_tokens);
  const double host = model.host(batch).seconds();
  double slowest = 0, around = host;
  for (int s = 0; s < model.stages(); ++s) {
    const double decode_seconds = model.pass(s, decode).total.seconds();
    const double prefill_seconds = model.pass(s, prefill).total.seconds() * prompts;
    slowest = std::max(slowest, batches * (decode_seconds + (s == 0 ? host : 0)) + prefill_seconds);
    around += decode_seconds + prefill_seconds / batches + model.hop(s, batch).seconds();
  }
  return std::max(slowest, around);
}

}  // namespace

EstimatedLayout estimate(const SearchContext& context, const Layout& layout) {
  const Scenario& scenario = context.scenario;
  const WorkloadSummary& load = context.workload;
  EstimatedLayout result{layout, kv_blocks(tightest_replica(context, layout), scenario.engine), 0, 0};
  if (result.kv_blocks <= 0) return result;

  const double kv_requests =
      static_cast<double>(result.kv_blocks * scenario.engine.block_size) / (load.prompt + load.output);
  double most = std::min(kv_requests, static_cast<double>(scenario.engine.max_num_seqs));
  if (const std::int64_t at_once = scenario.workload.max_concurrency; at_once > 0)
    most = std::min(most, static_cast<double>(at_once) / layout.dp);
  if (load.concurrency > 0) most = std::min(most, load.concurrency / layout.dp);
  most = std::max(most, 1.0);
  const double yield = scenario.engine.expected_tokens();  // tokens of a request in a round
  const double demand = load.concurrency > 0
                            ? std::numeric_limits<double>::infinity()
                            : load.rate * load.output / layout.dp;  // tokens/s of one replica

  double slowest_token = 0;
  std::map<std::string, std::pair<double, double>> known;  // equal replicas are worked out once
  for (const auto& replica : layout.replicas) {
    std::string key;
    for (const StagePlacement& stage : replica)
      key += scenario.cluster.kinds(stage.gpus) + std::to_string(stage.layers.size()) + " ";
    auto [place, is_new] = known.try_emplace(key);
    if (is_new) {
      const ReplicaModel model(scenario.model, context.machine, replica, layout.cut());
      double running = most, seconds = round_seconds(context, model, running);
      if (running * yield / seconds > demand) {
        // Fewer requests suffice: the number at which tokens leave as fast as they are asked for.
        double low = 0, high = most;
        for (int i = 0; i < 12; ++i) {
          running = (low + high) / 2;
          seconds = round_seconds(context, model, running);
          (running * yield / seconds > demand ? high : low) = running;
        }
      }
      place->second = {std::min(demand, running * yield / seconds), seconds / yield};
    }
    result.output_throughput += place->second.first;
    slowest_token = std::max(slowest_token, place->second.second);
  }
  result.token_seconds = slowest_token;
  return result;
}

}  // namespace sextant
