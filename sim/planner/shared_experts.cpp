#include "sim/planner/shared_experts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/sites.hpp"

namespace sextant {

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

SharingServer::SharingServer(const SearchContext& context, std::vector<StagePlacement> rank)
    : context_(context), rank_(std::move(rank)) {
  const Scenario& scenario = context.scenario;
  const LayerCut cut{tensor_parallel(rank_), static_cast<std::int64_t>(rank_.front().expert_gpus.size())};
  ranks_ = static_cast<int>(cut.sharing_ranks());
  kv_blocks_ = sextant::kv_blocks(
      replica_memory(scenario.model, scenario.engine, context.machine.engine(), scenario.cluster, rank_, cut),
      scenario.engine);
  if (kv_blocks_ <= 0) return;
  model_ = std::make_shared<const ReplicaModel>(scenario.model, context.machine, rank_, cut);
  const WorkloadSummary& load = context.workload;
  chunk_ = {std::clamp<std::int64_t>(std::llround(load.prompt), 1, scenario.engine.max_num_batched_tokens),
            0};
  chunks_per_token_ = load.prompt / load.output / static_cast<double>(chunk_.new_tokens);
}

const SharingServer::Pass& SharingServer::pass(std::int64_t batch, int with_chunk) const {
  const auto [place, is_new] = passes_.try_emplace({batch, with_chunk});
  if (!is_new) return place->second;
  std::vector<PassShape> shapes(static_cast<std::size_t>(ranks_),
                                decode_pass(context_.scenario.engine, batch, context_.workload.context()));
  for (int r = 0; r < with_chunk; ++r) {
    PassShape& shape = shapes[static_cast<std::size_t>(r)];
    shape.chunks = {&chunk_, 1};
    ++shape.samples;
  }
  const PassTime time = model_->pass_together(shapes);
  place->second = {time.total.seconds(), time.communication.seconds()};
  return place->second;
}

/// Ranks that have a chunk in the same round, as far as there are chunks.
int SharingServer::chunk_ranks(double running) const {
  const double chunks = running * chunks_per_token_ * ranks_;
  return static_cast<int>(std::ceil(std::clamp(chunks, 1.0, static_cast<double>(ranks_))));
}

/// Seconds of a round in which so many requests of each rank get a token. Chunks are passes of their own, as
/// in every estimate (CostTables), so that layouts compare.
double SharingServer::round_seconds(double running) const {
  const std::int64_t batch = std::max<std::int64_t>(1, std::llround(running));
  const int together = chunk_ranks(running);
  const double chunks = running * chunks_per_token_ * ranks_;
  return model_->host(batch).seconds() + pass(batch, 0).seconds +
         pass(0, together).seconds * chunks / together;
}

double SharingServer::most_running() const {
  const Scenario& scenario = context_.scenario;
  const WorkloadSummary& load = context_.workload;
  const KvPool pool = replica_pool(scenario.model, scenario.engine, tensor_parallel(rank_));
  return std::max(1.0, std::min(static_cast<double>(kv_blocks_ * pool.block_tokens) /
                                    pool.token_slots(load.prompt + load.output),
                                static_cast<double>(scenario.engine.running_limit(1))));
}

namespace {

/// Requests of each of so many ranks at most, however much these can hold; below one where there are fewer
/// requests than ranks, which then take turns.
double offered(const SearchContext& context, int ranks) {
  double most = std::numeric_limits<double>::infinity();
  if (const std::int64_t at_once = context.scenario.workload.max_concurrency; at_once > 0)
    most = static_cast<double>(at_once);
  if (context.workload.concurrency > 0) most = std::min(most, context.workload.concurrency);
  return most / ranks;
}

}  // namespace

double SharingServer::most_at_once(int servers) const {
  return std::min(most_running(), offered(context_, servers * ranks_));
}

double SharingServer::prompt_seconds() const {
  const double chunks =
      std::ceil(std::max(1.0, context_.workload.prompt) / static_cast<double>(chunk_.new_tokens));
  return chunks * (model_->host(1).seconds() + pass(0, 1).seconds);
}

ServerEstimate SharingServer::estimate(int servers) const {
  ServerEstimate result{kv_blocks_, 0, 0};
  if (kv_blocks_ <= 0) return result;
  const WorkloadSummary& load = context_.workload;
  const int ranks = servers * ranks_;
  const double most = most_at_once(servers);
  const double demand = load.concurrency > 0 ? std::numeric_limits<double>::infinity()
                                             : load.rate * load.output / ranks;  // of one rank
  double running = most, seconds = round_seconds(running);
  if (running / seconds > demand) {
    double low = 0, high = most;
    for (int i = 0; i < 12; ++i) {
      running = (low + high) / 2;
      seconds = round_seconds(running);
      (running / seconds > demand ? high : low) = running;
    }
  }
  result.throughput = std::min(demand, running / seconds) * ranks_;
  result.token_seconds = seconds;
  return result;
}

double SharingServer::highest_rate() const {
  if (kv_blocks_ <= 0) return 0;
  const double most = most_at_once(1);
  const double chunks_per_request = chunks_per_token_ * ranks_;
  const auto alone = [](const Pass& one) { return one.seconds - one.exchange; };
  double highest = 0;
  for (std::int64_t batch = 1; batch <= std::max<std::int64_t>(1, std::llround(most)); ++batch) {
    const double host = model_->host(batch).seconds(), plain = alone(pass(batch, 0));
    // A batch stands for so many requests and half a one more; with as many ranks in a chunk, most at the
    // end.
    const double end = std::min(static_cast<double>(batch) + 0.5, most);
    for (int together = chunk_ranks(batch > 1 ? static_cast<double>(batch) - 0.5 : 0.0);; ++together) {
      const double running = together < ranks_ ? std::min(end, together / chunks_per_request) : end;
      const double seconds =
          host + plain + alone(pass(0, together)) * running * chunks_per_request / together;
      highest = std::max(highest, running / seconds);
      if (running >= end) break;
    }
  }
  return highest / tensor_parallel(rank_);
}

double SharingServer::least_round() const {
  double least = std::numeric_limits<double>::infinity();
  if (kv_blocks_ <= 0) return least;
  const double most = most_at_once(1);
  for (std::int64_t batch = 1; batch <= std::max<std::int64_t>(1, std::llround(most)); ++batch) {
    const Pass& plain = pass(batch, 0);
    least = std::min(least, model_->host(batch).seconds() + plain.seconds - plain.exchange);
  }
  return least;
}

EstimatedLayout join_servers(const SearchContext& context,
                             const std::vector<std::pair<ServerEstimate, int>>& servers) {
  EstimatedLayout result{{}, std::numeric_limits<std::int64_t>::max(), 0, 0};
  double slowest = std::numeric_limits<double>::infinity();
  int all = 0;
  for (const auto& [server, count] : servers) {
    result.kv_blocks = std::min(result.kv_blocks, server.kv_blocks);
    result.output_throughput += server.throughput * count;
    result.token_seconds = std::max(result.token_seconds, server.token_seconds);
    slowest = std::min(slowest, server.throughput);
    all += count;
  }
  // Turns give every server as many requests: the slowest one's rate is everybody's.
  if (context.scenario.router.policy == RouterOptions::Policy::round_robin)
    result.output_throughput = std::min(result.output_throughput, slowest * all);
  if (result.kv_blocks <= 0) result.output_throughput = result.token_seconds = 0;
  return result;
}

EstimatedLayout estimate_sharing(const SearchContext& context, const Layout& layout) {
  const auto ranks = static_cast<std::size_t>(layout.sharing_ranks());
  const int servers = layout.dp / static_cast<int>(ranks);
  // Requests are at no more servers than there are requests at once.
  const int at_work = std::min(servers, most_replicas(context.workload));
  const Sites sites(context.machine.topology());
  std::map<std::vector<int>, std::size_t> known;
  std::vector<std::pair<ServerEstimate, int>> all;
  for (std::size_t r = 0; r < layout.replicas.size(); r += ranks) {
    const auto& rank = layout.replicas[r];
    const auto [place, is_new] = known.try_emplace(sites.name(rank.front().expert_gpus), all.size());
    if (is_new) all.emplace_back(SharingServer(context, rank).estimate(at_work), 0);
    ++all[place->second].second;
  }
  EstimatedLayout result = join_servers(context, all);
  result.output_throughput *= static_cast<double>(at_work) / servers;
  result.layout = layout;
  return result;
}

}  // namespace sextant
