#include "sim/planner/shared_experts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sextant {
namespace {

/// Rounds of ranks that are all alike.
class EvenRanks {
 public:
  EvenRanks(const SearchContext& context, const ReplicaModel& model, int ranks)
      : context_(context), model_(model), ranks_(static_cast<std::size_t>(ranks)) {
    const WorkloadSummary& load = context.workload;
    const std::int64_t most = context.scenario.engine.max_num_batched_tokens;
    chunk_ = {std::clamp<std::int64_t>(std::llround(load.prompt), 1, most), 0};
    chunks_per_token_ = load.prompt / load.output / static_cast<double>(chunk_.new_tokens);
  }

  /// Seconds of a round in which so many requests of each rank get a token.
  double seconds(double running) const {
    const std::int64_t batch = std::max<std::int64_t>(1, std::llround(running));
    const double chunks = running * chunks_per_token_ * static_cast<double>(ranks_);  // of all ranks
    const auto together = static_cast<std::size_t>(
        std::ceil(std::clamp(chunks, 1.0, static_cast<double>(ranks_))));  // ranks that have one
    const double plain = pass(batch, 0);
    const double held_up = (pass(batch, together) - plain) * chunks / static_cast<double>(together);
    return model_.host(batch).seconds() + plain + held_up;
  }

 private:
  double pass(std::int64_t batch, std::size_t with_chunk) const {
    std::vector<PassShape> shapes(ranks_,
                                  decode_pass(context_.scenario.engine, batch, context_.workload.context()));
    for (std::size_t r = 0; r < with_chunk; ++r) {
      shapes[r].chunks = {&chunk_, 1};
      ++shapes[r].samples;
    }
    return model_.pass_together(shapes).total.seconds();
  }

  const SearchContext& context_;
  const ReplicaModel& model_;
  std::size_t ranks_;
  PrefillChunk chunk_;
  double chunks_per_token_ = 0;
};

std::int64_t blocks_of(const SearchContext& context, const Layout& layout) {
  return std::max<std::int64_t>(0, kv_blocks(tightest_replica(context, layout), context.scenario.engine));
}

}  // namespace

void share_experts(Layout& layout, int ranks) {
  const auto count = static_cast<std::size_t>(ranks);
  for (std::size_t first = 0; first + count <= layout.replicas.size(); first += count) {
    std::vector<int> gpus;
    for (std::size_t r = first; r < first + count; ++r)
      for (const StagePlacement& stage : layout.replicas[r])
        gpus.insert(gpus.end(), stage.gpus.begin(), stage.gpus.end());
    for (std::size_t r = first; r < first + count; ++r)
      for (StagePlacement& stage : layout.replicas[r]) stage.expert_gpus = gpus;
  }
}

std::vector<ReplicaSetup> sharing_setups(const SearchContext& context, const Layout& layout,
                                         CostLevel level) {
  const Scenario& scenario = context.scenario;
  const auto ranks = static_cast<std::size_t>(layout.sharing_ranks());
  std::vector<ReplicaSetup> setups;
  for (std::size_t r = 0; r < layout.replicas.size(); ++r) {
    const auto& replica = layout.replicas[r];
    const auto memory = replica_memory(scenario.model, scenario.engine, context.machine.engine(),
                                       scenario.cluster, replica, layout.cut(replica));
    // Ranks of one server are alike.
    const auto pipeline = r % ranks > 0 ? setups.back().pipeline
                                        : std::make_shared<ReplicaModel>(scenario.model, context.machine,
                                                                         replica, layout.cut(replica), level);
    setups.push_back({pipeline, kv_blocks(memory, scenario.engine), ReplicaRole::whole,
                      memory.front().budget.pool, static_cast<int>(r / ranks)});
  }
  return setups;
}

EstimatedLayout estimate_sharing(const SearchContext& context, const Layout& layout) {
  EstimatedLayout result{layout, blocks_of(context, layout), 0, 0};
  if (result.kv_blocks <= 0) return result;
  const WorkloadSummary& load = context.workload;
  const Scenario& scenario = context.scenario;
  const auto& replica = layout.replicas.front();
  const ReplicaModel model(scenario.model, context.machine, replica, layout.cut(replica));
  const EvenRanks ranks(context, model, layout.sharing_ranks());

  const KvPool pool = replica_pool(scenario.model, scenario.engine, layout.tp);
  double most = std::min(
      static_cast<double>(result.kv_blocks * pool.block_tokens) / pool.token_slots(load.prompt + load.output),
      static_cast<double>(scenario.engine.running_limit(1)));
  if (const std::int64_t at_once = scenario.workload.max_concurrency; at_once > 0)
    most = std::min(most, static_cast<double>(at_once) / layout.dp);
  if (load.concurrency > 0) most = std::min(most, load.concurrency / layout.dp);
  most = std::max(most, 1.0);
  const double demand = load.concurrency > 0 ? std::numeric_limits<double>::infinity()
                                             : load.rate * load.output / layout.dp;  // of one rank
  double running = most, seconds = ranks.seconds(running);
  if (running / seconds > demand) {
    double low = 0, high = most;
    for (int i = 0; i < 12; ++i) {
      running = (low + high) / 2;
      seconds = ranks.seconds(running);
      (running / seconds > demand ? high : low) = running;
    }
  }
  result.output_throughput = std::min(demand, running / seconds) * layout.dp;
  result.token_seconds = seconds;
  return result;
}

}  // namespace sextant
