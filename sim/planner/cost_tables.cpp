#include "sim/planner/cost_tables.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::size_t index(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

/// The first layer of each kind.
std::vector<int> examples_of_kinds(const Architecture& architecture) {
  std::vector<int> examples(architecture.kinds.size(), -1);
  for (int i = architecture.layer_count() - 1; i >= 0; --i)
    examples[index(architecture.layers[index(i)])] = i;
  return examples;
}

}  // namespace

CostTables::CostTables(const SearchContext& context, bool divide_experts)
    : context_(context), divide_experts_(divide_experts), sites_(context.machine.topology()) {
  const Architecture& architecture = context.scenario.model.architecture;
  layers_ = architecture.layer_count();
  kinds_ = architecture.kinds.size();
  before_.assign(kinds_ * index(layers_ + 1), 0);
  for (std::size_t k = 0; k < kinds_; ++k)
    for (int i = 0; i < layers_; ++i)
      before_[k * index(layers_ + 1) + index(i + 1)] =
          layers_of_kind(k, i) + (architecture.layers[index(i)] == static_cast<int>(k) ? 1 : 0);
  const ServedModel& model = context.scenario.model;
  hop_bytes_ =
      stage_operators(architecture, model.weights, model.kv, {{0, 0}, 1, false, false}).hop_bytes_per_token;
  const WorkloadSummary& load = context.workload;
  chunk_ = {
      std::clamp<std::int64_t>(std::llround(load.prompt), 1, context.scenario.engine.max_num_batched_tokens),
      0};
  computes_prompts_alone_ = context.role == ReplicaRole::prefill;
  chunks_per_token_ = context.role == ReplicaRole::decode
                          ? 0
                          : load.prompt / load.output / static_cast<double>(chunk_.new_tokens);
  yield_ = context.scenario.engine.expected_tokens();
  captured_ = context.machine.engine().cudagraph_capture_sizes;
}

CostTables::Group CostTables::make_group(const std::vector<int>& gpus, const LinkProfile* link) const {
  const ServedModel& model = context_.scenario.model;
  const Cluster& cluster = context_.scenario.cluster;
  Group group;
  group.tp = static_cast<int>(gpus.size());
  group.pool = replica_pool(model, context_.scenario.engine, group.tp);
  std::vector<std::string> kinds;
  for (const int gpu : gpus) {
    const double bytes = cluster.gpu(gpu).memory_bytes.value;
    if (std::find(group.memory.begin(), group.memory.end(), bytes) == group.memory.end())
      group.memory.push_back(bytes);
    const std::string kind = cluster.kind(gpu);
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) continue;
    kinds.push_back(kind);
    Member member;
    const auto add = [&](LayerRange layers, bool first, bool last) {
      StageOperators operators =
          stage_operators(model.architecture, model.weights, model.kv,
                          {layers, group.tp, first, last, cut(group.tp).expert_parallel});
      if (link == nullptr) {
        operators.collectives.clear();
        operators.sample_collectives.clear();
      }
      member.parts.emplace_back(operators, context_.machine.profile(gpu), group.tp > 1 ? link : nullptr,
                                group.tp, CostLevel{},
                                sampler_work(model, context_.machine.engine(), cluster.gpu(gpu)));
    };
    for (const int i : examples_of_kinds(model.architecture)) add({i, i + 1}, false, false);
    add({0, 0}, true, false);
    add({0, 0}, false, true);
    member.prefill = computed_chunk(member, chunk_);
    group.members.push_back(std::move(member));
  }
  return group;
}

int CostTables::group(const std::vector<int>& gpus) {
  const auto [place, is_new] = group_names_.try_emplace(sites_.name(gpus), static_cast<int>(groups_.size()));
  if (!is_new) return place->second;
  try {
    const LinkProfile link = gpus.size() > 1 ? context_.machine.group_link(gpus) : LinkProfile{};
    groups_.push_back(make_group(gpus, &link));
  } catch (...) {
    group_names_.erase(place);
    throw;
  }
  return place->second;
}

int CostTables::bare_group(int gpu, int tp) {
  const auto [place, is_new] =
      bare_names_.try_emplace({sites_.sort(gpu), tp}, static_cast<int>(groups_.size()));
  if (!is_new) return place->second;
  try {
    groups_.push_back(make_group(std::vector<int>(index(tp), gpu), nullptr));
  } catch (...) {
    bare_names_.erase(place);
    throw;
  }
  return place->second;
}

int CostTables::linked_group(int gpu, int tp, const LinkProfile& link) {
  groups_.push_back(make_group(std::vector<int>(index(tp), gpu), &link));
  return static_cast<int>(groups_.size()) - 1;
}

int CostTables::hop(int from_gpu, int to_gpu) {
  const auto [place, is_new] =
      hop_names_.try_emplace(sites_.name({from_gpu, to_gpu}), static_cast<int>(hops_.size()));
  if (!is_new) return place->second;
  try {
    Hop hop;
    hop.route = context_.machine.topology().route(from_gpu, to_gpu);
    hop.route.seconds(hop_bytes_);
    hops_.push_back(std::move(hop));
  } catch (...) {
    hop_names_.erase(place);
    throw;
  }
  return place->second;
}

PartSeconds CostTables::computed_parts(const Member& member, std::int64_t batch) const {
  PassShape decode = decode_pass(context_.scenario.engine, batch, context_.workload.context());
  decode.padding = graph_padding(captured_, batch * decode.tokens_per_decode);
  PartSeconds seconds;
  seconds.reserve(member.parts.size());
  for (const StageCost& part : member.parts) seconds.push_back(part.cost(decode).total());
  return seconds;
}

const PartSeconds& CostTables::decode_parts(Member& member, std::int64_t batch) const {
  if (member.decode.size() <= index(batch)) member.decode.resize(index(batch) + 1);
  PartSeconds& parts = member.decode[index(batch)];
  if (!parts.empty()) return parts;
  parts = computes_prompts_alone_ ? PartSeconds(member.parts.size(), 0.0) : computed_parts(member, batch);
  return parts;
}

double CostTables::sum(const PartSeconds& parts, LayerRange layers, bool first, bool last) const {
  double seconds = (first ? parts[kinds_] : 0) + (last ? parts[kinds_ + 1] : 0);
  if (kinds_ == 1) return seconds + parts[0] * (layers.end - layers.begin);
  for (std::size_t k = 0; k < kinds_; ++k)
    seconds += parts[k] * (layers_of_kind(k, layers.end) - layers_of_kind(k, layers.begin));
  return seconds;
}

double CostTables::parts_sum(const std::vector<PartSeconds>& of_gpus, LayerRange layers, bool first,
                             bool last) const {
  double slowest = 0;
  for (const PartSeconds& parts : of_gpus) slowest = std::max(slowest, sum(parts, layers, first, last));
  return slowest;
}

double CostTables::decode_seconds(int group, LayerRange layers, bool first, bool last, std::int64_t batch) {
  double slowest = 0;
  for (Member& member : at(group).members)
    slowest = std::max(slowest, sum(decode_parts(member, batch), layers, first, last));
  return slowest;
}

double CostTables::prefill_seconds(int group, LayerRange layers, bool first, bool last) {
  double slowest = 0;
  for (const Member& member : at(group).members)
    slowest = std::max(slowest, sum(member.prefill, layers, first, last));
  return slowest;
}

double CostTables::hop_seconds(int hop, bool back, std::int64_t batch) {
  if (hop < 0) return 0;
  Hop& known = hops_[index(hop)];
  std::vector<double>& by_batch = back ? known.back : known.forward;
  if (by_batch.size() <= index(batch)) by_batch.resize(index(batch) + 1, -1);
  double& seconds = by_batch[index(batch)];
  if (seconds < 0)
    seconds = known.route.seconds((back ? bytes_per_token_id : hop_bytes_) * static_cast<double>(batch));
  return seconds;
}

double CostTables::host_seconds(std::int64_t batch) const {
  return computes_prompts_alone_ ? 0 : step_seconds(batch);
}

double CostTables::step_seconds(std::int64_t batch) const {
  const EngineProfile& engine = context_.machine.engine();
  return 1e-6 * (engine.step_us.value + engine.step_us_per_request.value * static_cast<double>(batch));
}

std::int64_t CostTables::stage_blocks(int group, LayerRange layers, bool first, bool last) {
  Group& server = at(group);
  if (server.blocks.empty()) server.blocks.resize(4);
  std::vector<std::int64_t>& known = server.blocks[(first ? 1U : 0U) + (last ? 2U : 0U)];
  // Layers of one kind are alike wherever they stand.
  const int side = layers_ + 1;
  const std::size_t place = kinds_ == 1 ? index(layers.size()) : index(layers.begin * side + layers.end);
  if (known.empty()) known.assign(index(kinds_ == 1 ? side : side * side), -1);
  if (known[place] >= 0) return known[place];
  const Scenario& scenario = context_.scenario;
  const EngineOptions& options = scenario.engine;
  const BatchLimits limits{options.max_num_batched_tokens, options.max_num_seqs};
  const int communicators = (first ? 0 : 1) + (last ? 0 : 1) + (server.tp > 1 ? 1 : 0);
  std::int64_t blocks = std::numeric_limits<std::int64_t>::max();
  const StageShape shape{layers, server.tp, first, last, cut(server.tp).expert_parallel};
  for (const double bytes : server.memory) {
    MemoryBudget budget = memory_budget(scenario.model.architecture, scenario.model.weights,
                                        scenario.model.kv, shape, limits, context_.machine.engine().memory,
                                        bytes, options.gpu_memory_utilization, communicators, server.pool);
    if (scenario.model.drafter && last) scenario.model.drafter->take_memory(budget, server.tp);
    blocks = std::min(blocks, budget.kv_blocks());
  }
  return known[place] = std::max<std::int64_t>(0, blocks);
}

double CostTables::running_in(int group, std::int64_t blocks) const {
  if (computes_prompts_alone_) return infinity;
  const WorkloadSummary& load = context_.workload;
  const KvPool& pool = groups_[index(group)].pool;
  return static_cast<double>(blocks * pool.block_tokens) / pool.token_slots(load.prompt + load.output);
}

double CostTables::most_running(int dp, std::optional<std::size_t> stages) const {
  const WorkloadSummary& load = context_.workload;
  // As many prompts as there can be stages keep all of them busy.
  if (computes_prompts_alone_) return layers_;
  double most = static_cast<double>(context_.scenario.engine.running_limit(
      static_cast<std::int64_t>(stages.value_or(static_cast<std::size_t>(layers_)))));
  if (const std::int64_t at_once = context_.scenario.workload.max_concurrency; at_once > 0)
    most = std::min(most, static_cast<double>(at_once) / dp);
  if (load.concurrency > 0) most = std::min(most, load.concurrency / dp);
  return std::max(most, 1.0);
}

/// Seconds of a round at `running` requests on a replica: each of them gets its tokens (one, or what
/// speculation yields), and running x tokens / output of them end and are replaced by a prompt. The slowest
/// stage's work, or the way of one batch through all stages, whichever is longer.
double CostTables::round_seconds(std::span<const StageChoice> stages, double running) {
  const auto count = static_cast<double>(stages.size());
  const double batches = std::min(count, std::max(1.0, running));
  const auto batch = std::max<std::int64_t>(1, std::llround(running / batches));
  const double prompts = running * yield_ * chunks_per_token_;
  const double host = host_seconds(batch);
  const double beside_stage = stages.size() > 1 ? 1e-6 * static_cast<double>(batch) *
                                                      context_.machine.engine().pipeline_us_per_request.value
                                                : 0;
  double slowest = 0, around = host;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const bool first = s == 0, last = s + 1 == stages.size();
    const double decode =
        decode_seconds(stages[s].group, stages[s].layers, first, last, batch) + beside_stage;
    const double prefill = prompts * prefill_seconds(stages[s].group, stages[s].layers, first, last);
    slowest = std::max(slowest, batches * (decode + (first ? host : 0)) + prefill);
    around += decode + prefill / batches + hop_seconds(stages[s].hop, last, batch);
  }
  return std::max(slowest, around);
}

void CostTables::estimate_prompts(std::span<const StageChoice> stages, double demand,
                                  ReplicaEstimate& result) {
  double slowest = 0;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const bool first = s == 0, last = s + 1 == stages.size();
    const double chunk =
        prefill_seconds(stages[s].group, stages[s].layers, first, last) + (first ? step_seconds(1) : 0);
    slowest = std::max(slowest, chunk);
    result.token_seconds += chunk + (last ? 0 : hop_seconds(stages[s].hop, false, chunk_.new_tokens));
  }
  result.throughput = std::min(demand, 1 / (chunks_per_token_ * slowest));
}

ReplicaEstimate CostTables::replica(std::span<const StageChoice> stages, int dp) {
  ReplicaEstimate result;
  std::int64_t blocks = std::numeric_limits<std::int64_t>::max();
  for (std::size_t s = 0; s < stages.size(); ++s)
    blocks =
        std::min(blocks, stage_blocks(stages[s].group, stages[s].layers, s == 0, s + 1 == stages.size()));
  result.kv_blocks = std::max<std::int64_t>(0, blocks - context_.scenario.engine.reserved_kv_blocks);
  if (result.kv_blocks <= 0) return result;

  const WorkloadSummary& load = context_.workload;
  const double most = std::max(
      1.0, std::min(most_running(dp, stages.size()), running_in(stages.front().group, result.kv_blocks)));
  // Tokens/s of one replica.
  const double demand = load.concurrency > 0 ? infinity : load.rate * load.output / dp;
  if (computes_prompts_alone_) {
    estimate_prompts(stages, demand, result);
    return result;
  }
  double running = most, seconds = round_seconds(stages, running);
  if (running * yield_ / seconds > demand) {
    // Fewer requests suffice: the number at which tokens leave as fast as they are asked for.
    double low = 0, high = most;
    for (int i = 0; i < 12; ++i) {
      running = (low + high) / 2;
      seconds = round_seconds(stages, running);
      (running * yield_ / seconds > demand ? high : low) = running;
    }
  }
  result.throughput = std::min(demand, running * yield_ / seconds);
  result.token_seconds = seconds / yield_;
  return result;
}

PartSeconds CostTables::computed_chunk(const Member& member, const PrefillChunk& chunk) const {
  PassShape prefill;
  prefill.chunks = {&chunk, 1};
  prefill.samples = 1;
  prefill.padding = graph_padding(captured_, chunk.new_tokens);
  PartSeconds seconds;
  for (const StageCost& part : member.parts) seconds.push_back(part.cost(prefill).total());
  return seconds;
}

const std::vector<PartSeconds>& CostTables::chunk_parts(int id, std::int64_t tokens) {
  Group& group = at(id);
  const auto [place, is_new] = group.chunks.try_emplace(tokens);
  if (is_new)
    for (const Member& member : group.members) place->second.push_back(computed_chunk(member, {tokens, 0}));
  return place->second;
}

double CostTables::chunk_seconds(std::span<const StageChoice> stages, std::int64_t tokens) {
  double seconds = 0;
  for (std::size_t s = 0; s < stages.size(); ++s)
    seconds +=
        parts_sum(chunk_parts(stages[s].group, tokens), stages[s].layers, s == 0, s + 1 == stages.size());
  return seconds;
}

}  // namespace sextant
