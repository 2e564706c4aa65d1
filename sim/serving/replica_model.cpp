#include "sim/serving/replica_model.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "models/base/error.hpp"
#include "models/cost/engine_kernels.hpp"
#include "models/cost/group_curve.hpp"
#include "models/cost/sampler_time.hpp"
#include "models/profile/operator_rules.hpp"
#include "models/profile/power.hpp"
#include "models/profile/shared_link.hpp"

namespace sextant {
namespace {

StageShape shape_of(const std::vector<StagePlacement>& stages, std::size_t index, LayerCut cut) {
  return {stages[index].layers, cut.tensor_parallel, index == 0, index + 1 == stages.size(),
          cut.expert_parallel};
}

}  // namespace

Machine::Machine(const Cluster& cluster, const std::string& engine_profile,
                 const GpuProfileFinder& find_profile, bool may_be_split)
    : topology_(cluster, may_be_split), engine_(find_engine_profile(engine_profile)) {
  for (const int device : cluster.gpus()) {
    const std::string kind = cluster.kind(device);
    if (profiles_.find(kind) != profiles_.end()) continue;
    const Device& gpu = cluster.devices[static_cast<std::size_t>(device)];
    GpuProfile profile = with_engine_kernels(find_profile(gpu.model), engine_, cluster.gpu(device));
    if (!profile.power) profile.power = find_power_model(gpu.model);
    if (gpu.power_limit_watts) profile = at_power_limit(profile, *gpu.power_limit_watts);
    if (gpu.clock) profile = at_clock(profile, *gpu.clock, gpu.power_limit_watts);
    profiles_.emplace(kind, std::make_shared<const GpuProfile>(std::move(profile)));
  }
}

namespace {

bool staged(const Route& route) {
  return route.kind == RouteKind::pcie_staged || route.kind == RouteKind::network_staged;
}

/// The GPUs of a group by the node they stand in.
std::map<int, std::vector<int>> by_node(const Cluster& cluster, const std::vector<int>& gpus) {
  std::map<int, std::vector<int>> nodes;
  for (const int gpu : gpus) nodes[cluster.devices[static_cast<std::size_t>(gpu)].node].push_back(gpu);
  return nodes;
}

/// The curves of several GPUs on each of several nodes, if the link inside the nodes has a ring model and
/// nothing is staged through host memory.
std::optional<LinkProfile> link_across_nodes(const Topology& topology, const std::vector<int>& gpus) {
  const auto nodes = by_node(topology.cluster(), gpus);
  if (nodes.size() < 2 || nodes.size() == gpus.size()) return std::nullopt;
  std::vector<int> one_each, most;
  std::size_t nics = gpus.size();
  for (const auto& [node, members] : nodes) {
    one_each.push_back(members.front());
    if (members.size() > most.size()) most = members;
    nics = std::min(nics, topology.cluster().nodes[static_cast<std::size_t>(node)].nics.size());
  }
  const Route inside = topology.slowest_route(most), between = topology.slowest_route(one_each);
  if (!inside.profile.ring || staged(inside) || staged(between)) return std::nullopt;
  NodeGroup group;
  group.ranks = static_cast<int>(gpus.size());
  group.nodes = static_cast<int>(nodes.size());
  group.nics = static_cast<int>(std::clamp<std::size_t>(nics, 1, most.size()));
  return across_nodes(inside.profile, between.profile, group);
}

}  // namespace

namespace {

/// Rings that NCCL lays between the nodes of a group, each over a NIC of its own: the slowest paces all.
int rings_between_nodes(const Cluster& cluster, const std::vector<int>& gpus) {
  const auto nodes = by_node(cluster, gpus);
  if (nodes.size() < 2) return 1;
  std::size_t rings = gpus.size();
  for (const auto& [node, members] : nodes)
    rings = std::min({rings, members.size(), cluster.nodes[static_cast<std::size_t>(node)].nics.size()});
  return static_cast<int>(std::max<std::size_t>(1, rings));
}

LinkProfile undisturbed_group_link(const Topology& topology, const std::vector<int>& gpus) {
  if (auto across = link_across_nodes(topology, gpus)) return std::move(*across);
  const Route slowest = topology.slowest_route(gpus);
  const bool one_node = by_node(topology.cluster(), gpus).size() == 1;
  const LinkProfile link =
      one_node ? with_group_curves(slowest.profile, static_cast<int>(gpus.size())) : slowest.profile;
  return staged(slowest) ? through_host_memory(link) : link;
}

}  // namespace

LinkProfile group_link(const Topology& topology, const std::vector<int>& gpus) {
  LinkProfile link = undisturbed_group_link(topology, gpus);
  const double left = topology.ring_rate_left(gpus) * rings_between_nodes(topology.cluster(), gpus);
  return std::isfinite(left) ? with_rate_left(std::move(link), left) : link;
}

LinkProfile Machine::group_link(const std::vector<int>& gpus) const {
  LinkProfile link = sextant::group_link(topology_, gpus);
  return engine_.custom_all_reduce ? link : by_nccl_alone(std::move(link));
}

const std::shared_ptr<const GpuProfile>& Machine::profile(int device) const {
  return profiles_.at(cluster().kind(device));
}

KvPool replica_pool(const ServedModel& model, const EngineOptions& options, std::int64_t tensor_parallel) {
  return kv_pool(model.architecture, model.kv, tensor_parallel, options.block_size,
                 !options.disable_hybrid_kv_cache_manager);
}

std::vector<StageMemory> replica_memory(const ServedModel& model, const EngineOptions& options,
                                        const EngineProfile& engine, const Cluster& cluster,
                                        const std::vector<StagePlacement>& stages, LayerCut cut) {
  const BatchLimits limits{options.max_num_batched_tokens, options.max_num_seqs};
  const KvPool pool = replica_pool(model, options, cut.tensor_parallel);
  std::vector<StageMemory> result;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    StageMemory memory;
    memory.shape = shape_of(stages, s, cut);
    memory.weights = stage_weights(model.architecture, model.weights, memory.shape);
    const int neighbours = (s > 0 ? 1 : 0) + (s + 1 < stages.size() ? 1 : 0);
    for (const int device : stages[s].gpus) {
      MemoryBudget budget = memory_budget(
          model.architecture, model.weights, model.kv, memory.shape, limits, engine.memory,
          cluster.gpu(device).memory_bytes.value, options.gpu_memory_utilization,
          neighbours + (cut.tensor_parallel > 1 ? 1 : 0) + (cut.shares_experts() ? 1 : 0), pool);
      if (model.drafter && s + 1 == stages.size())
        model.drafter->take_memory(budget, static_cast<int>(cut.tensor_parallel));
      if (memory.device == -1 || budget.for_kv() < memory.budget.for_kv()) {
        memory.budget = budget;
        memory.device = device;
      }
    }
    result.push_back(memory);
  }
  return result;
}

std::int64_t kv_blocks(const std::vector<StageMemory>& stages, const EngineOptions& options) {
  if (stages.empty()) return 0;
  std::int64_t blocks = std::numeric_limits<std::int64_t>::max();
  for (const StageMemory& stage : stages) blocks = std::min(blocks, stage.budget.kv_blocks());
  return std::max<std::int64_t>(0, blocks - options.reserved_kv_blocks);
}

namespace {

QueryTile mixed_tile(const EngineProfile& engine, const Gpu& gpu) {
  for (const SharedAttentionKernel& kernel : engine.shared_attention_kernels)
    if (is_of_major(gpu, kernel.compute_capability_majors))
      return {kernel.query_tile_rows, kernel.packs_query_heads};
  return {};
}

/// 10^9 B/s each way between a GPU and its host's memory, by the catalogue; where they are one, its own.
double host_link_gbps(const Gpu& gpu) {
  if (gpu.pcie_generation > 0) return pcie_gbps(gpu.pcie_generation, gpu.pcie_lanes);
  return gpu.host_gbps ? gpu.host_gbps->value : memory_gbps(gpu);
}

std::int64_t pass_tokens(const PassShape& shape) {
  std::int64_t tokens = shape.decodes * shape.tokens_per_decode;
  for (const PrefillChunk& chunk : shape.chunks) tokens += chunk.new_tokens;
  return tokens;
}

std::int64_t pass_padding(const std::vector<std::int64_t>& sizes, const PassShape& shape) {
  return graph_padding(sizes, pass_tokens(shape));
}

}  // namespace

std::shared_ptr<const SamplerWork> sampler_work(const ServedModel& model, const EngineProfile& engine,
                                                const Gpu& gpu) {
  const SamplingParameters& parameters = model.architecture.sampling;
  if (!engine.sampler || (parameters.greedy() && !parameters.penalises())) return nullptr;
  if (!gpu.streaming_multiprocessors)
    throw InputError(
        fmt::format("gpu {} has no streaming_multiprocessors in the catalogue, expected them: they tell what "
                    "choosing tokens takes",
                    gpu.name));
  const int multiprocessors = static_cast<int>(gpu.streaming_multiprocessors->value);
  return std::make_shared<const SamplerWork>(
      SamplerWork{*engine.sampler, parameters, model.architecture.vocabulary, multiprocessors});
}

std::int64_t graph_padding(const std::vector<std::int64_t>& sizes, std::int64_t tokens) {
  const auto next = std::lower_bound(sizes.begin(), sizes.end(), tokens);
  return tokens == 0 || next == sizes.end() ? 0 : *next - tokens;
}

PassShape decode_pass(const EngineOptions& engine, std::int64_t batch, double context) {
  PassShape shape;
  shape.decodes = batch;
  shape.tokens_per_decode = engine.tokens_per_decode();
  shape.samples = batch * shape.tokens_per_decode;
  shape.decode_context_sum =
      std::llround(static_cast<double>(batch) * context) + batch * (shape.tokens_per_decode - 1);
  return shape;
}

ReplicaModel::ReplicaModel(const ServedModel& model, const Machine& machine,
                           const std::vector<StagePlacement>& stages, LayerCut cut, CostLevel level)
    : engine_(machine.engine()), level_(level) {
  const Cluster& cluster = machine.cluster();
  const auto tp = static_cast<int>(cut.tensor_parallel);
  const OperatorRules rules = stages.size() > 1 ? shipped_operator_rules() : OperatorRules{};
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const StageOperators operators =
        stage_operators(model.architecture, model.weights, model.kv, shape_of(stages, s, cut));
    Stage stage;
    stage.hop_bytes_per_token = s + 1 < stages.size() ? operators.hop_bytes_per_token : bytes_per_token_id;
    const LinkProfile group = tp > 1 ? machine.group_link(stages[s].gpus) : LinkProfile{};
    const bool shares = cut.shares_experts();
    const LinkProfile sharing = shares ? machine.group_link(stages[s].expert_gpus) : LinkProfile{};
    double kv_bytes = kv_bytes_per_token(model.architecture, model.kv, shape_of(stages, s, cut));
    if (model.drafter && s + 1 == stages.size())
      kv_bytes +=
          kv_bytes_per_token(model.drafter->architecture, model.drafter->kv, model.drafter->shape(tp));
    kv_bytes_per_token_ += kv_bytes * static_cast<double>(stages[s].gpus.size());
    for (const int device : stages[s].gpus)
      host_seconds_per_token_ =
          std::max(host_seconds_per_token_, kv_bytes / (host_link_gbps(cluster.gpu(device)) * 1e9));
    std::vector<std::string> kinds;
    for (const int device : stages[s].gpus) {
      const std::string kind = cluster.kind(device);
      if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) continue;
      kinds.push_back(kind);
      stage.costs.emplace_back(operators, machine.profile(device), tp > 1 ? &group : nullptr, tp, level,
                               sampler_work(model, engine_, cluster.gpu(device)),
                               shares ? &sharing : nullptr);
      stage.mixed_tiles.push_back(mixed_tile(engine_, cluster.gpu(device)));
      if (!model.drafter || s + 1 < stages.size()) continue;
      const auto drafter_tp = static_cast<int>(model.drafter->cut(tp));
      draft_passes_ = model.drafter->tokens;
      draft_costs_.emplace_back(model.drafter->operators(tp), machine.profile(device),
                                drafter_tp > 1 ? &group : nullptr, drafter_tp, level);
    }
    if (stages.size() > 1) {
      const std::vector<int>& target = stages[(s + 1) % stages.size()].gpus;
      stage.next = machine.topology().route(stages[s].gpus.front(), target.front());
      const SendRule& beside =
          stage.next.kind == RouteKind::nvlink ? rules.beside_nvlink_send : rules.beside_other_send;
      stage.beside_prompts = beside.prompts.figure.value;
      stage.beside_decodes = beside.decodes.figure.value;
    }
    stages_.push_back(std::move(stage));
  }
}

PassTime ReplicaModel::pass(int stage, const PassShape& shape) const {
  const FamilySeconds seconds = families(stage, shape);
  return {Time::seconds(seconds.total() * level_.scale),
          Time::seconds(seconds[Family::collective] * level_.scale)};
}

namespace {

/// Whether they hold the same work.
bool alike(const PassShape& a, const PassShape& b) {
  return a.decodes == b.decodes && a.decode_context_sum == b.decode_context_sum &&
         a.chunks.data() == b.chunks.data() && a.chunks.size() == b.chunks.size() && a.samples == b.samples &&
         a.tokens_per_decode == b.tokens_per_decode && a.duty == b.duty;
}

}  // namespace

PassTime ReplicaModel::pass_together(std::span<const PassShape> ranks) const {
  const std::vector<std::int64_t>& captured = engine_.cudagraph_capture_sizes;
  std::int64_t largest = 1, all = 0;
  for (const PassShape& rank : ranks) {
    const std::int64_t tokens = std::max<std::int64_t>(1, pass_tokens(rank));
    largest = std::max(largest, tokens);
    all += tokens;
  }
  const bool by_graph = !captured.empty() && largest <= captured.back();
  const std::int64_t padded = largest + graph_padding(captured, largest);
  FamilySeconds slowest;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const PassShape& rank = ranks[r];
    if (r > 0 && alike(rank, ranks[r - 1])) continue;
    PassShape own = rank;
    own.padding = by_graph ? padded - pass_tokens(rank) : 0;
    own.expert_tokens = by_graph ? padded * static_cast<std::int64_t>(ranks.size()) : all;
    if (const FamilySeconds seconds = padded_families(0, own); seconds.total() > slowest.total())
      slowest = seconds;
  }
  return {Time::seconds(slowest.total() * level_.scale),
          Time::seconds(slowest[Family::collective] * level_.scale)};
}

FamilySeconds ReplicaModel::families(int stage, const PassShape& shape) const {
  PassShape own = shape;
  own.padding = pass_padding(engine_.cudagraph_capture_sizes, shape);
  return padded_families(stage, own);
}

FamilySeconds ReplicaModel::padded_families(int stage, const PassShape& shape) const {
  FamilySeconds slowest;
  const Stage& server = stages_[static_cast<std::size_t>(stage)];
  PassShape own = shape;
  for (std::size_t i = 0; i < server.costs.size(); ++i) {
    own.mixed_tile = server.mixed_tiles[i];
    FamilySeconds seconds = server.costs[i].cost(own);
    if (!draft_costs_.empty() && stage + 1 == stages()) seconds += draft(i, own);
    if (seconds.total() > slowest.total()) slowest = seconds;
  }
  if (stages() > 1) {
    const auto requests = shape.decodes + static_cast<std::int64_t>(shape.chunks.size());
    slowest[Family::host] += 1e-6 * engine_.pipeline_us_per_request.value * static_cast<double>(requests) *
                             spread_factor(engine_.host_spread, level_.of(Family::host));
  }
  return slowest;
}

FamilySeconds ReplicaModel::draft(std::size_t kind, const PassShape& verified) const {
  const auto requests = verified.decodes + static_cast<std::int64_t>(verified.chunks.size());
  PassShape first = verified;
  first.samples = requests;
  FamilySeconds seconds = draft_costs_[kind].cost(first);
  if (draft_passes_ < 2 || requests == 0) return seconds;
  PassShape next;
  next.decodes = next.samples = requests;
  next.decode_context_sum = verified.decode_context_sum + requests;
  for (const PrefillChunk& chunk : verified.chunks)
    next.decode_context_sum += chunk.past_tokens + chunk.new_tokens;
  next.padding = pass_padding(engine_.cudagraph_capture_sizes, next);
  FamilySeconds one = draft_costs_[kind].cost(next);
  for (double& family : one.seconds) family *= static_cast<double>(draft_passes_ - 1);
  return seconds += one;
}

double ReplicaModel::memory_bound_share(int stage, const PassShape& shape) const {
  return stages_[static_cast<std::size_t>(stage)].costs.front().memory_bound_share(shape);
}

double ReplicaModel::beside_hop(int stage, bool prompts) const {
  const Stage& sender = stages_[static_cast<std::size_t>(stage)];
  return prompts ? sender.beside_prompts : sender.beside_decodes;
}

double ReplicaModel::hop_bytes(int stage, std::int64_t tokens) const {
  return stages_[static_cast<std::size_t>(stage)].hop_bytes_per_token * static_cast<double>(tokens);
}

Time ReplicaModel::hop(int stage, std::int64_t tokens) const {
  const Route& next = stages_[static_cast<std::size_t>(stage)].next;
  if (next.kind == RouteKind::same_gpu) return {};
  return Time::seconds(next.seconds(hop_bytes(stage, tokens), level_.of(Family::point_to_point)) *
                       level_.scale);
}

Time ReplicaModel::host(std::int64_t requests) const {
  const double level = level_.of(Family::host);
  const double stated =
      engine_.step_us.value + engine_.step_us_per_request.value * static_cast<double>(requests);
  const double us =
      stated * spread_factor(engine_.host_spread, level) + engine_.step_us_hi90 * std::max(0.0, level);
  return Time::seconds(us * 1e-6 * level_.scale);
}

HostCopy ReplicaModel::host_copy(std::int64_t tokens) const {
  const auto count = static_cast<double>(tokens);
  return {Time::seconds(count * host_seconds_per_token_ * level_.scale), count * kv_bytes_per_token_};
}

Time ReplicaModel::front_end(std::int64_t prompt_tokens) const {
  const double us = engine_.front_end_us.value +
                    engine_.front_end_us_per_prompt_token.value * static_cast<double>(prompt_tokens);
  return Time::seconds(us * 1e-6 * spread_factor(engine_.front_end_spread, level_.of(Family::host)));
}

Grade ReplicaModel::grade() const {
  Grade grade = Grade::measured;
  for (const Stage& stage : stages_) {
    for (const StageCost& cost : stage.costs) grade = weakest(grade, cost.grade());
    if (stage.next.kind != RouteKind::same_gpu) grade = weakest(grade, stage.next.grade());
  }
  for (const StageCost& cost : draft_costs_) grade = weakest(grade, cost.grade());
  return grade;
}

bool ReplicaModel::extrapolated() const {
  const auto beyond = [](const StageCost& cost) { return cost.extrapolated(); };
  return std::any_of(draft_costs_.begin(), draft_costs_.end(), beyond) ||
         std::any_of(stages_.begin(), stages_.end(), [&](const Stage& stage) {
           return std::any_of(stage.costs.begin(), stage.costs.end(), beyond);
         });
}

}  // namespace sextant
