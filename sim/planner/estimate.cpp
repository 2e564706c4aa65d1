#include <algorithm>
#include <cmath>

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
  for (; drawn < enough; ++drawn) {
    const auto request = source->next();
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
                                 replica, layout.tp);
    double room = memory.front().budget.for_kv();
    for (const StageMemory& stage : memory) room = std::min(room, stage.budget.for_kv());
    if (tightest.empty() || room < least) {
      tightest = std::move(memory);
      least = room;
    }
  }
  return tightest;
}

EstimatedLayout estimate(const SearchContext& context, const Layout& layout) {
  const Scenario& scenario = context.scenario;
  const WorkloadSummary& load = context.workload;
  EstimatedLayout result{layout, kv_blocks(tightest_replica(context, layout), scenario.engine.block_size), 0};
  if (result.kv_blocks <= 0) return result;

  const double kv_requests =
      static_cast<double>(result.kv_blocks * scenario.engine.block_size) / (load.prompt + load.output);
  double running = std::min(kv_requests, static_cast<double>(scenario.engine.max_num_seqs));
  if (load.concurrency > 0) running = std::min(running, load.concurrency / layout.dp);
  running = std::max(running, 1.0);

  for (const auto& replica : layout.replicas) {
    const ReplicaModel model(scenario.model, context.machine, replica, layout.tp);
    const double batches = std::min<double>(layout.pp, running);
    const auto batch = std::max<std::int64_t>(1, std::llround(running / batches));
    PassShape decode;
    decode.decodes = decode.samples = batch;
    decode.decode_context_sum = std::llround(static_cast<double>(batch) * load.context());
    const PrefillChunk chunk{
        std::clamp<std::int64_t>(std::llround(load.prompt), 1, scenario.engine.max_num_batched_tokens), 0};
    PassShape prefill;
    prefill.chunks = {&chunk, 1};
    prefill.samples = 1;
    const double chunks = load.prompt / static_cast<double>(chunk.new_tokens);
    double slowest = 0, around = model.host(batch).seconds();
    // A round: every request in flight gets one token, and running / output of them end and are replaced by a
    // prompt.
    const double prompts = running / load.output;
    for (int s = 0; s < model.stages(); ++s) {
      const double decode_seconds = model.pass(s, decode).total.seconds();
      const double prefill_seconds = chunks * model.pass(s, prefill).total.seconds() * prompts;
      slowest = std::max(
          slowest, batches * (decode_seconds + (s == 0 ? model.host(batch).seconds() : 0)) + prefill_seconds);
      around += decode_seconds + prefill_seconds / batches + model.hop(s, batch).seconds();
    }
    result.output_throughput += running / std::max(slowest, around);
  }
  if (load.concurrency <= 0)
    result.output_throughput = std::min(result.output_throughput, load.rate * load.output);
  return result;
}

}  // namespace sextant
