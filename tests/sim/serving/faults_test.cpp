// Replicas that go down, come back and change their speed while requests run.
#include "sim/serving/faults.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "tests/sim/serving/toy_run.hpp"

namespace sextant {
namespace {

std::shared_ptr<ToyPipeline> pipeline(std::int64_t pass_ns, int stages = 1) {
  auto toy = std::make_shared<ToyPipeline>();
  toy->base = Time{pass_ns};
  toy->host_per_token = Time{5'000};
  toy->kv_bytes_per_token = 1000;
  toy->stage_count = stages;
  return toy;
}

Time ms(std::int64_t count) {
  return Time{count * 1'000'000};
}

ServingMetrics run_with(const std::vector<ReplicaSetup>& setups, const Workload& workload,
                        std::vector<ReplicaChange> changes, bool step_by_step = false,
                        const EngineOptions& options = engine()) {
  SimulationOptions simulation;
  simulation.step_by_step = step_by_step;
  simulation.changes = std::move(changes);
  return simulate(setups, options, workload, simulation);
}

// One replica, passes of 1 ms, one request of 100 + 21 tokens: its prompt's pass ends at 1 ms with the first
// token. At 10.5 ms it has 10 tokens (the pass under way is lost), its cache holds 100 + 9. From 20 ms on it
// starts anew: the pass that computes the 110 tokens again yields token 11 at 21 ms, ten more until 31 ms.
TEST(Faults, OneReplicaWaitsAndComputesAgain) {
  const auto toy = pipeline(1'000'000);
  const ServingMetrics m =
      run_with({{toy, 1000}}, closed_loop(1, 1, 100, 21), {{Time{10'500'000}, 0, nullptr}, {ms(20), 0, toy}});
  EXPECT_EQ(m.finished, 1);
  EXPECT_EQ(m.rerouted, 1);
  EXPECT_EQ(m.recomputed_tokens, 109);
  EXPECT_DOUBLE_EQ(m.ttft.mean, 1);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 31);
  EXPECT_NEAR(m.replica_down_s, 0.0095, 1e-12);
  // Of 31 ms it worked 10.5 and 11.
  EXPECT_NEAR(m.stages[0].compute, 21.5 / 31, 1e-9);
}

// Two replicas, two requests, one on each. The second goes down at 5.5 ms for good: its request, with 5
// tokens of 20, joins the other at 6 ms (when the pass under way returns) and computes its 10 + 5 tokens
// again together with the other's decode: token 6 at 7 ms, the last at 21 ms.
TEST(Faults, TheOtherReplicaTakesOver) {
  const auto toy = pipeline(1'000'000);
  const ServingMetrics m =
      run_with({{toy, 1000}, {toy, 1000}}, closed_loop(2, 2, 10, 20), {{Time{5'500'000}, 1, nullptr}});
  EXPECT_EQ(m.finished, 2);
  EXPECT_EQ(m.rerouted, 1);
  EXPECT_EQ(m.recomputed_tokens, 14);
  EXPECT_DOUBLE_EQ(m.e2el.mean, (20.0 + 21.0) / 2);
  EXPECT_NEAR(m.replica_down_s, 0.021 - 0.0055, 1e-12);
}

// Never up again: what has arrived is in flight, and nothing is lost.
TEST(Faults, WhatCannotRunIsInFlight) {
  const auto toy = pipeline(1'000'000);
  const ServingMetrics m =
      run_with({{toy, 1000}}, closed_loop(3, 10, 10, 20), {{Time{30'500'000}, 0, nullptr}});
  // The first three end at 20 ms, the next three have 10 tokens of 20 when it goes down.
  EXPECT_EQ(m.arrived, 6);
  EXPECT_EQ(m.finished, 3);
  EXPECT_EQ(m.in_flight, 3);
  // The last token was at 20 ms; the run goes on until nothing can: to the fault at 30.5 ms.
  EXPECT_NEAR(m.duration_s, 0.0305, 1e-12);
  EXPECT_EQ(m.replica_down_s, 0);
}

// One request a second from 1 s to 5 s; down for good at 2.5 s: those of 1 and 2 s are served, the others
// never are. The run ends with the last arrival.
TEST(Faults, WhatArrivesLaterIsNeverServed) {
  const auto toy = pipeline(1'000'000);
  Workload workload = closed_loop(1, 5, 10, 20);
  workload.arrival = Workload::Arrival::gamma;
  workload.max_concurrency = 0;
  workload.request_rate = 1;
  workload.burstiness = std::numeric_limits<double>::infinity();
  const ServingMetrics m = run_with({{toy, 1000}}, workload, {{Time{2'500'000'000}, 0, nullptr}});
  EXPECT_EQ(m.finished, 2);
  EXPECT_EQ(m.in_flight, 3);
  EXPECT_NEAR(m.duration_s, 5 - 1, 1e-9);
  EXPECT_NEAR(m.replica_down_s, 5 - 2.5, 1e-9);
}

// A fault at time 0: the only request waits for the replica, then takes 1 ms for the prompt and 4 for the
// rest.
TEST(Faults, RequestsThatComeWhileNobodyIsUpWait) {
  const auto toy = pipeline(1'000'000);
  const ServingMetrics m =
      run_with({{toy, 1000}}, these({{ms(5), 10, 5, {}, 0, 0}}), {{Time{}, 0, nullptr}, {ms(50), 0, toy}});
  EXPECT_EQ(m.rerouted, 0);
  EXPECT_DOUBLE_EQ(m.ttft.mean, 46);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 50);
}

// Passes of 1 ms, of 2 ms from 5.5 ms on: five tokens by 5 ms, the sixth at 6 ms in the pass under way, four
// more at 2 ms each.
TEST(Faults, ASlowReplicaIsSlowFromTheNextPassOn) {
  const ServingMetrics m = run_with({{pipeline(1'000'000), 1000}}, closed_loop(1, 1, 10, 10),
                                    {{Time{5'500'000}, 0, pipeline(2'000'000)}});
  EXPECT_DOUBLE_EQ(m.e2el.mean, 6 + 4 * 2);
  EXPECT_EQ(m.rerouted, 0);
}

// A list of changes without effect leaves every figure but events and fingerprint as it was.
TEST(Faults, AChangeToTheSameTimesChangesNothing) {
  const auto toy = pipeline(1'000'000);
  const Workload w = closed_loop(8, 100, 50, 30);
  const ServingMetrics with = run_with({{toy, 1000}}, w, {{ms(7), 0, toy}, {ms(70), 0, toy}});
  const ServingMetrics without = run_with({{toy, 1000}}, w, {});
  EXPECT_EQ(with.e2el.mean, without.e2el.mean);
  EXPECT_EQ(with.itl.p99, without.itl.p99);
  EXPECT_EQ(with.duration_s, without.duration_s);
}

std::vector<ReplicaChange> random_changes(std::mt19937_64& random, int replicas, int stages) {
  std::vector<ReplicaChange> changes;
  const int count = std::uniform_int_distribution(0, 12)(random);
  for (int i = 0; i < count; ++i) {
    ReplicaChange change;
    change.at = Time{std::uniform_int_distribution<std::int64_t>(0, 400'000'000)(random)};
    change.replica =
        std::uniform_int_distribution<std::uint32_t>(0, static_cast<std::uint32_t>(replicas) - 1)(random);
    if (std::uniform_int_distribution(0, 1)(random) == 1)
      change.pipeline =
          pipeline(std::uniform_int_distribution<std::int64_t>(100'000, 3'000'000)(random), stages);
    changes.push_back(change);
  }
  return changes;
}

// Two prompts of the same 64 tokens on four blocks, between them one that takes their place: the third is
// copied from the host in 0.32 ms where its replica kept its memory. One that went down between has lost that
// too, and computes it again; nothing that was under way then is waited for.
TEST(Faults, WhatTheHostKeptIsLostToo) {
  const auto toy = pipeline(1'000'000);
  toy->per_prompt_token = Time{10'000};
  const auto names =
      std::make_shared<const std::vector<std::uint64_t>>(std::vector<std::uint64_t>{1, 2, 3, 4});
  const PromptBlocks shared{names, 64, 16};
  const Workload w = these({{ms(0), 64, 1, shared, 0, 0},
                            {ms(10), 80, 1, {}, 0, 0},
                            {ms(20), 65, 1, shared, 0, 0},
                            {ms(30), 80, 1, {}, 0, 0},
                            {ms(40), 65, 1, shared, 0, 0}});
  EngineOptions options = engine();
  options.kv_offloading_gib = 1;
  EXPECT_EQ(run_with({{toy, 5}}, w, {}, false, options).offload.hit_tokens, 128);
  const ServingMetrics down =
      run_with({{toy, 5}}, w, {{ms(15), 0, nullptr}, {ms(16), 0, toy}}, false, options);
  EXPECT_EQ(down.finished, 5);
  EXPECT_EQ(down.offload.hit_tokens, 64);
  // Down in the midst of the copy: the request computes its prompt when the replica is back.
  const ServingMetrics amid =
      run_with({{toy, 5}}, w, {{Time{20'100'000}, 0, nullptr}, {ms(21), 0, toy}}, false, options);
  EXPECT_EQ(amid.finished, 5);
  EXPECT_EQ(amid.rerouted, 1);
}

// Whatever breaks when: every request is finished, rejected or in flight, each finished one has all its
// tokens, and both implementations agree to the last bit.
TEST(Faults, NothingIsLostInRandomListsOfFaults) {
  std::mt19937_64 random(7);
  int with_rerouting = 0, with_preemption = 0, with_loads = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const int replicas = std::uniform_int_distribution(1, 3)(random);
    const int stages = std::uniform_int_distribution(1, 3)(random);
    std::vector<ReplicaSetup> setups;
    for (int r = 0; r < replicas; ++r)
      setups.push_back(
          {pipeline(1'000'000, stages), std::uniform_int_distribution<std::int64_t>(8, 40)(random)});
    const auto changes = random_changes(random, replicas, stages);
    Workload w = closed_loop(std::uniform_int_distribution(1, 20)(random), 60, 40, 30);
    w.seed = static_cast<std::uint64_t>(trial);
    EngineOptions options = engine(8, 64);
    options.async_scheduling = trial % 2 == 0;
    if (trial % 3 == 1) options.kv_offloading_gib = 1;
    if (trial % 3 == 2) options.speculation = {Speculation::Method::ngram, 2, {0.5, 0.5}, ""};
    const ServingMetrics fast = run_with(setups, w, changes, false, options);
    const ServingMetrics slow = run_with(setups, w, changes, true, options);
    EXPECT_EQ(fast.arrived, fast.finished + fast.rejected + fast.in_flight) << trial;
    EXPECT_EQ(fast.output_tokens, fast.finished * 30) << trial;
    EXPECT_EQ(fast.fingerprint, slow.fingerprint) << trial;
    if (fast.finished > 0) {
      EXPECT_EQ(fast.e2el.mean, slow.e2el.mean) << trial;
    }
    EXPECT_EQ(fast.duration_s, slow.duration_s) << trial;
    EXPECT_EQ(fast.recomputed_tokens, slow.recomputed_tokens) << trial;
    with_rerouting += fast.rerouted > 0 ? 1 : 0;
    with_preemption += fast.preemptions > 0 ? 1 : 0;
    with_loads += fast.offload.hit_tokens > 0 ? 1 : 0;
  }
  EXPECT_GT(with_rerouting, 50);  // the lists are not empty talk
  EXPECT_GT(with_preemption, 10);
  EXPECT_GT(with_loads, 10);
}

}  // namespace
}  // namespace sextant
