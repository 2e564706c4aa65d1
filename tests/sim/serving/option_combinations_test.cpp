// Runs of options drawn by chance, in combinations that nobody chose: whatever they are, nothing is lost and
// the plain implementation takes the same way. SEXTANT_RANDOM_RUNS=N makes N runs instead of the usual 400,
// from number SEXTANT_FIRST_RUN on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include "sim/kernel/random.hpp"
#include "tests/sim/serving/toy_fabric.hpp"

namespace sextant {
namespace {

constexpr std::int64_t longest = 420;  // tokens of a request

/// Draws by chance, in words.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed, "option combinations") {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool one_in(std::int64_t n) { return between(1, n) == 1; }
  /// Often nothing, so that events meet at one instant.
  Time time(std::int64_t most_ns) { return Time{one_in(2) ? 0 : between(0, most_ns)}; }

 private:
  RandomStream random_;
};

/// A toy machine whose hops have bytes, for links that several use.
class ToyHops final : public PipelineModel {
 public:
  ToyPipeline toy;
  double bytes_per_token = 0;
  int stages() const override { return toy.stages(); }
  PassTime pass(int stage, const PassShape& shape) const override { return toy.pass(stage, shape); }
  Time hop(int stage, std::int64_t tokens) const override {
    return Time{toy.hop(stage, tokens).ns + static_cast<std::int64_t>(hop_bytes(stage, tokens))};
  }
  double beside_hop(int stage, bool prompts) const override { return toy.beside_hop(stage, prompts); }
  double hop_bytes(int stage, std::int64_t tokens) const override {
    return stage + 1 < toy.stages() ? bytes_per_token * static_cast<double>(tokens) : 0;
  }
  Time host(std::int64_t requests) const override { return toy.host(requests); }
  Time front_end(std::int64_t tokens) const override { return toy.front_end(tokens); }
  HostCopy host_copy(std::int64_t tokens) const override { return toy.host_copy(tokens); }
};

enum class Deployment { whole, lock_step, apart };

struct Combination {
  std::vector<ReplicaSetup> setups;
  EngineOptions engine;
  Workload workload;
  SimulationOptions options;
  Deployment deployment = Deployment::whole;
};

std::shared_ptr<ToyHops> machine(Chance& chance, int stages, bool offloads) {
  auto hops = std::make_shared<ToyHops>();
  ToyPipeline& toy = hops->toy;
  toy.stage_count = stages;
  toy.base = Time{chance.one_in(3) ? 1'000'000 : chance.between(10'000, 2'000'000)};
  toy.per_prompt_token = chance.time(20'000);
  toy.per_decode = chance.time(50'000);
  toy.hop_time = stages > 1 ? chance.time(300'000) : Time{};
  toy.host_time = chance.time(500'000);
  toy.front_end_time = chance.time(400'000);
  toy.host_per_token = chance.time(20'000);
  toy.kv_bytes_per_token = offloads ? 1000 : 0;
  toy.beside = chance.one_in(2) ? 1 : 1.2;
  hops->bytes_per_token = static_cast<double>(chance.between(0, 5'000));
  return hops;
}

EngineOptions random_engine(Chance& chance, Deployment deployment) {
  EngineOptions options;
  options.max_num_seqs = chance.between(1, 20);
  options.max_num_batched_tokens = std::max<std::int64_t>(options.max_num_seqs, chance.between(16, 400));
  options.max_model_len = chance.between(300, longest + 50);
  options.block_size = std::int64_t{4} << chance.between(0, 3);
  if (chance.one_in(6)) {
    options.enable_chunked_prefill = false;
    options.max_num_batched_tokens = options.max_model_len;
  }
  if (chance.one_in(4)) options.long_prefill_token_threshold = chance.between(1, 200);
  options.enable_prefix_caching = !chance.one_in(4);
  options.scheduler_reserve_full_isl = chance.one_in(2);
  options.guaranteed_no_evict = chance.one_in(3);
  options.max_num_seqs_per_batch = chance.one_in(4);
  options.async_scheduling = chance.one_in(2);
  if (chance.one_in(3)) options.scheduling_policy = SchedulingPolicy::priority;
  if (options.enable_prefix_caching && deployment != Deployment::apart && chance.one_in(2))
    options.kv_offloading_gib = static_cast<double>(chance.between(1, 4000)) * 16e3 / (1024.0 * 1024 * 1024);
  if (deployment == Deployment::whole && chance.one_in(3)) {
    const auto method = chance.one_in(2) ? Speculation::Method::ngram : Speculation::Method::eagle;
    options.speculation = {method, 3, {0.8, 0.6, 0.4}, ""};
    options.max_num_batched_tokens = std::max(options.max_num_batched_tokens, 4 * options.max_num_seqs);
  }
  return options;
}

std::optional<KvPool> random_pool(Chance& chance, const EngineOptions& engine, Deployment deployment) {
  if (engine.kv_offloading_gib > 0 || deployment == Deployment::apart || chance.one_in(2))
    return std::nullopt;
  KvPool pool;
  pool.block_tokens = engine.block_size;
  pool.full_groups = chance.between(0, 2);
  for (auto windows = chance.between(pool.full_groups == 0 ? 1 : 0, 2); windows > 0; --windows)
    pool.windows.push_back({chance.between(2, 150), chance.between(1, 3)});
  if (chance.one_in(3)) pool.state_groups = chance.between(1, 3);
  return pool;
}

PromptBlocks random_names(Chance& chance, std::int64_t prompt, std::int64_t output) {
  const std::int64_t block = std::int64_t{8} << chance.between(0, 3);
  std::vector<std::uint64_t> names;
  const std::int64_t named = chance.one_in(3) ? prompt + output : chance.between(1, prompt);
  for (std::int64_t t = 0; t < named; t += block) {
    const auto drawn = static_cast<std::uint64_t>(chance.between(0, 1));
    names.push_back(names.empty() ? drawn + static_cast<std::uint64_t>(1000 * block)
                                  : names.back() * 3 + drawn);
  }
  return {std::make_shared<const std::vector<std::uint64_t>>(std::move(names)), named, block};
}

/// Requests of their own, at their own times or as clients are free.
Workload random_requests(Chance& chance, std::int64_t count) {
  std::vector<Request> requests;
  Time at;
  const std::int64_t gap = chance.between(0, 8'000'000);
  for (std::int64_t i = 0; i < count; ++i) {
    at += chance.time(gap);
    Request request{at, chance.between(1, 300), chance.between(1, 120), {}, chance.between(0, 2), 0};
    if (chance.one_in(40)) request.output_tokens = 0;
    if (request.output_tokens > 0 && chance.one_in(2))
      request.prompt_blocks = random_names(chance, request.prompt_tokens, request.output_tokens);
    requests.push_back(std::move(request));
  }
  Workload w = these(std::move(requests));
  if (chance.one_in(3)) w.arrival = Workload::Arrival::concurrency;
  return w;
}

Workload random_conversations(Chance& chance, std::int64_t count) {
  Workload w;
  w.num_prompts = count;
  w.request_rate = static_cast<double>(chance.between(20, 2000));
  if (chance.one_in(2)) w.arrival = Workload::Arrival::concurrency;
  w.prompt = {LengthDistribution::Kind::uniform, 40, 0, 1, 80};
  w.output = {LengthDistribution::Kind::uniform, 20, 0, 1, 40};
  if (chance.one_in(4)) return w;
  w.conversations.emplace();
  w.conversations->num_turns = {LengthDistribution::Kind::uniform, 3, 0, 1, 5};
  w.conversations->think_time_s = chance.one_in(2) ? 0 : 0.05;
  w.conversations->exponential_think_time = chance.one_in(2);
  w.conversations->common_prefix_num_tokens = chance.between(0, 64);
  w.conversations->common_prefixes = chance.between(1, 3);
  return w;
}

Workload random_workload(Chance& chance, std::uint64_t seed) {
  Workload w = chance.one_in(3) ? random_conversations(chance, chance.between(1, 80))
                                : random_requests(chance, chance.between(1, 80));
  if (w.arrival == Workload::Arrival::concurrency || chance.one_in(4))
    w.max_concurrency = chance.between(1, 30);
  if (chance.one_in(3)) w.priorities = {{-1, 0.25}, {2, 0.75}};
  w.seed = seed;
  return w;
}

std::vector<ReplicaChange> random_changes(Chance& chance, const std::vector<ReplicaSetup>& setups,
                                          bool offloads) {
  std::vector<ReplicaChange> changes;
  for (auto left = chance.between(0, 10); left > 0; --left) {
    const auto replica =
        static_cast<std::uint32_t>(chance.between(0, static_cast<std::int64_t>(setups.size()) - 1));
    ReplicaChange change{Time{chance.between(0, 400) * 500'000}, replica, nullptr};
    if (chance.one_in(2)) change.pipeline = machine(chance, setups[replica].pipeline->stages(), offloads);
    changes.push_back(change);
  }
  return changes;
}

std::shared_ptr<ServingFabric> random_fabric(Chance& chance, Combination& c, int prefill) {
  auto fabric = std::make_shared<ServingFabric>();
  fabric->capacities = {1, static_cast<double>(chance.between(1, 20)) / 10};
  for (const ReplicaSetup& setup : c.setups) {
    std::vector<std::vector<int>> hops(static_cast<std::size_t>(setup.pipeline->stages()));
    for (std::size_t s = 0; s + 1 < hops.size(); ++s)
      if (chance.one_in(2)) hops[s] = chance.one_in(2) ? std::vector<int>{0} : std::vector<int>{0, 1};
    fabric->shared_hops.push_back(std::move(hops));
  }
  const std::vector<KvFlow> flows(
      static_cast<std::size_t>(chance.between(1, 2)),
      KvFlow{{1}, static_cast<double>(chance.between(0, 50'000)), {}, chance.between(1, 5)});
  if (prefill > 0)
    fabric->kv.assign(static_cast<std::size_t>(prefill),
                      {c.setups.size() - static_cast<std::size_t>(prefill), flows});
  return fabric;
}

Combination random_combination(std::uint64_t seed) {
  Chance chance(seed);
  Combination c;
  c.deployment = static_cast<Deployment>(chance.between(0, 2));
  c.engine = random_engine(chance, c.deployment);
  const bool offloads = c.engine.kv_offloading_gib > 0;
  const auto replicas = static_cast<int>(chance.between(c.deployment == Deployment::apart ? 2 : 1, 4));
  const bool layer_by_layer = c.deployment == Deployment::apart && chance.one_in(2);
  const bool one_stage = c.deployment == Deployment::lock_step || layer_by_layer;
  const auto pool = random_pool(chance, c.engine, c.deployment);
  KvPool counted = pool.value_or(KvPool{});
  counted.block_tokens = c.engine.block_size;
  const std::int64_t one = counted.most_blocks(longest, c.engine.max_num_batched_tokens);
  const int prefill =
      c.deployment == Deployment::apart ? static_cast<int>(chance.between(1, replicas - 1)) : 0;
  for (int r = 0; r < replicas; ++r) {
    const int stages = one_stage ? 1 : static_cast<int>(chance.between(1, 3));
    ReplicaSetup setup{machine(chance, stages, offloads), chance.between(one / 2, 3 * one),
                       ReplicaRole::whole, pool, -1};
    if (prefill > 0) setup.role = r < prefill ? ReplicaRole::prefill : ReplicaRole::decode;
    if (c.deployment == Deployment::lock_step) setup.lock_step = r / 2;
    c.setups.push_back(std::move(setup));
  }
  c.workload = random_workload(chance, seed);
  c.options.router.policy = static_cast<RouterOptions::Policy>(chance.between(0, 2));
  if (prefill > 0 || (c.deployment == Deployment::whole && chance.one_in(2)))
    c.options.fabric = random_fabric(chance, c, prefill);
  c.options.first_token = chance.one_in(2) ? FirstToken::prefill : FirstToken::decode;
  if (layer_by_layer) c.options.kv_connector = KvConnector::p2p_nccl;
  if (c.deployment == Deployment::whole && chance.one_in(2))
    c.options.changes = random_changes(chance, c.setups, offloads);
  std::stable_sort(c.options.changes.begin(), c.options.changes.end(),
                   [](const ReplicaChange& a, const ReplicaChange& b) { return a.at < b.at; });
  return c;
}

/// What every run must keep to, seen from outside.
class Rules final : public RunObserver {
 public:
  std::map<std::uint64_t, std::string> broken;
  std::int64_t finished_requests = 0, rejected_requests = 0;

  void finished(const RequestTimes& request) override {
    ++finished_requests;
    if (request.first_token <= request.arrival) broken[request.id] = "a first token before its request";
    if (request.last_token < request.first_token) broken[request.id] = "a last token before the first";
    if (request.output_tokens == 1 && request.last_token != request.first_token)
      broken[request.id] = "one token at two times";
    if (!ended_.insert({request.id, true}).second) broken[request.id] = "it ended twice";
  }
  void pass(const ObservedPass&) override {
    if (++passes_ > most_passes) throw std::logic_error("it goes on and on");
  }
  void rejected(std::uint64_t id, Time) override {
    ++rejected_requests;
    if (!ended_.insert({id, false}).second) broken[id] = "it ended twice";
  }

 private:
  static constexpr std::int64_t most_passes = 1'000'000;
  std::map<std::uint64_t, bool> ended_;
  std::int64_t passes_ = 0;
};

ServingMetrics simulate(const Combination& c, bool step_by_step, Rules& rules) {
  SimulationOptions options = c.options;
  options.step_by_step = step_by_step;
  options.observer = &rules;
  return simulate(c.setups, c.engine, c.workload, options);
}

void expect_shares(const std::vector<StageShares>& stages) {
  for (const StageShares& stage : stages) {
    EXPECT_GE(stage.compute, -1e-9);
    EXPECT_GE(stage.communication, -1e-9);
    EXPECT_GE(stage.bubble, -1e-9);
    EXPECT_NEAR(stage.compute + stage.communication + stage.bubble, 1, 1e-9);
    EXPECT_GE(stage.hop_busy, -1e-9);
  }
}

void expect_sound(const Combination& c, const ServingMetrics& m, const Rules& rules) {
  for (const auto& [id, rule] : rules.broken) ADD_FAILURE() << "request " << id << ": " << rule;
  EXPECT_EQ(m.arrived, m.finished + m.rejected + m.in_flight);
  EXPECT_EQ(rules.finished_requests, m.finished);
  EXPECT_EQ(rules.rejected_requests, m.rejected);
  if (c.options.changes.empty()) {
    EXPECT_EQ(m.in_flight, 0);
    EXPECT_EQ(m.arrived, c.workload.num_prompts);
  }
  if (c.engine.guaranteed_no_evict) {
    EXPECT_EQ(m.preemptions, 0);
  }
  EXPECT_LE(m.kv_occupancy_peak, 1);
  EXPECT_LE(m.kv_occupancy_mean, m.kv_occupancy_peak + 1e-9);
  if (m.finished > 0) {
    expect_shares(m.stages);
    if (m.disaggregation) expect_shares(m.disaggregation->prefill.stages);
  }
}

void expect_alike(const ServingMetrics& fast, const ServingMetrics& plain) {
  EXPECT_EQ(fast.fingerprint, plain.fingerprint);
  EXPECT_EQ(fast.finished, plain.finished);
  EXPECT_EQ(fast.rejected, plain.rejected);
  EXPECT_EQ(fast.preemptions, plain.preemptions);
  EXPECT_EQ(fast.recomputed_tokens, plain.recomputed_tokens);
  EXPECT_EQ(fast.offload.hit_tokens, plain.offload.hit_tokens);
  EXPECT_EQ(fast.kv_occupancy_mean, plain.kv_occupancy_mean);
  EXPECT_EQ(fast.kv_occupancy_peak, plain.kv_occupancy_peak);
  if (fast.finished == 0) return;
  EXPECT_EQ(fast.ttft.p99, plain.ttft.p99);
  EXPECT_EQ(fast.e2el.mean, plain.e2el.mean);
}

TEST(OptionCombinations, NothingIsLostAndThePlainRunIsTheSame) {
  const char* asked = std::getenv("SEXTANT_RANDOM_RUNS");
  const char* first = std::getenv("SEXTANT_FIRST_RUN");
  const auto from = static_cast<std::uint64_t>(first ? std::atoll(first) : 0);
  const auto runs = static_cast<std::uint64_t>(asked ? std::atoll(asked) : 400);
  std::int64_t preemptions = 0, rejections = 0, from_host = 0, rerouted = 0, apart = 0;
  for (std::uint64_t seed = from; seed < from + runs; ++seed) {
    SCOPED_TRACE(seed);
    const Combination c = random_combination(seed);
    try {
      Rules of_fast, of_plain;
      const ServingMetrics fast = simulate(c, false, of_fast);
      const ServingMetrics plain = simulate(c, true, of_plain);
      expect_sound(c, fast, of_fast);
      expect_alike(fast, plain);
      preemptions += fast.preemptions;
      rejections += fast.rejected;
      from_host += fast.offload.hit_tokens;
      rerouted += fast.rerouted;
      apart += fast.disaggregation ? fast.disaggregation->kv.transfers : 0;
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
  if (asked) return;
  EXPECT_GT(preemptions, 100);
  EXPECT_GT(rejections, 100);
  EXPECT_GT(from_host, 1000);
  EXPECT_GT(rerouted, 100);
  EXPECT_GT(apart, 100);
}

// What such runs have found, each by itself.

// 99 of at most 100 tokens are the prompt: one is left, which the prefill replica gives. A request of five is
// done with it, cut at max_model_len; it used to decode for ever.
TEST(OptionCombinations, AnOutputCutToOneTokenEndsWithThePrefill) {
  EngineOptions options = engine();
  options.max_model_len = 100;
  ToyPools pools;
  pools.first_token = FirstToken::prefill;
  for (const KvConnector connector : {KvConnector::nixl, KvConnector::p2p_nccl}) {
    pools.connector = connector;
    const ServingMetrics m = pools.run(options, closed_loop(1, 2, 99, 5));
    EXPECT_EQ(m.finished, 2);
    EXPECT_EQ(m.truncated, 2);
    EXPECT_EQ(m.output_tokens, 2);
  }
}

/// The longest queue that was told of.
class Queue final : public RunObserver {
 public:
  std::int64_t longest = 0;
  void load(std::uint32_t, Time, const ReplicaLoad& load) override {
    longest = std::max(longest, load.waiting);
  }
};

// One runs, three that come while its pass is under way wait: nothing but the queue changes with each.
TEST(OptionCombinations, AnObserverHearsOfAQueueThatGrows) {
  Queue queue;
  SimulationOptions options;
  options.observer = &queue;
  std::vector<Request> requests;
  for (const std::int64_t us : {0, 100, 200, 300}) requests.push_back({Time{us * 1000}, 10, 5, {}, 0, 0});
  simulate({{std::make_shared<ToyPipeline>(), 1000}}, engine(1), these(requests), options);
  EXPECT_EQ(queue.longest, 3);
}

// 10 tokens at 1 ms each: three requests end at 10 ms, the next three at 20, and at 25 ms the replica goes
// down for good amid the third three's. It has worked 25 ms of 25, not of the 20 to the last token that
// counts.
TEST(OptionCombinations, WorkForRequestsInFlightIsOfTheRunsTime) {
  SimulationOptions options;
  options.changes = {{Time{25'000'000}, 0, nullptr}};
  const ServingMetrics m =
      simulate({{std::make_shared<ToyPipeline>(), 1000}}, engine(), closed_loop(3, 30, 10, 10), options);
  EXPECT_EQ(m.finished, 6);
  EXPECT_EQ(m.in_flight, 3);
  EXPECT_NEAR(m.stages[0].compute, 1, 1e-9);
  EXPECT_NEAR(m.mean_running, 3, 1e-9);
}

}  // namespace
}  // namespace sextant
