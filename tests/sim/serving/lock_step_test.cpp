// Data-parallel ranks that share experts make every pass together. Passes of 1 ms and more by hand.
#include "sim/serving/lock_step.hpp"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "sim/kernel/random.hpp"
#include "tests/sim/serving/toy_run.hpp"

namespace sextant {
namespace {

/// Host time grows with the requests.
class SlowHost final : public PipelineModel {
 public:
  int stages() const override { return 1; }
  PassTime pass(int, const PassShape&) const override { return {Time{1'000'000}, {}}; }
  Time hop(int, std::int64_t) const override { return {}; }
  Time host(std::int64_t requests) const override { return Time{100'000 * requests}; }
};

class Times final : public RunObserver {
 public:
  void finished(const RequestTimes& times) override { of[times.id] = times; }
  double ttft(std::uint64_t id) const { return (of.at(id).first_token - of.at(id).arrival).ms(); }
  double e2el(std::uint64_t id) const { return (of.at(id).last_token - of.at(id).arrival).ms(); }
  std::map<std::uint64_t, RequestTimes> of;
};

std::vector<ReplicaSetup> ranks(const std::shared_ptr<const PipelineModel>& pipeline, int count,
                                std::int64_t blocks = 1000, int group = 0) {
  std::vector<ReplicaSetup> setups;
  for (int i = 0; i < count; ++i)
    setups.push_back({pipeline, blocks, ReplicaRole::whole, std::nullopt, group});
  return setups;
}

Request request(double at_ms, std::int64_t prompt, std::int64_t output, std::uint64_t id) {
  Request r;
  r.arrival = Time{static_cast<std::int64_t>(at_ms * 1e6)};
  r.prompt_tokens = prompt;
  r.output_tokens = output;
  r.id = id;
  return r;
}

/// Ids are given anew in order of arrival: 0, 1, ...
ServingMetrics observed(const std::vector<ReplicaSetup>& setups, const Workload& workload, Times& times) {
  SimulationOptions options;
  options.observer = &times;
  return simulate(setups, engine(), workload, options);
}

// Turns: the first request is rank 0's, the second, at 0.5 ms, rank 1's. Rank 1 has a pass of nothing under
// way with the others' until 1 ms; then both step together. Alone it would have its first token after 1 ms.
TEST(LockStep, AnIdleRanksRequestWaitsForTheRoundToEnd) {
  Times times;
  const ServingMetrics m = observed(ranks(std::make_shared<ToyPipeline>(), 2),
                                    these({request(0, 100, 11, 0), request(0.5, 100, 11, 1)}), times);
  EXPECT_DOUBLE_EQ(times.ttft(0), 1);
  EXPECT_DOUBLE_EQ(times.e2el(0), 11);
  EXPECT_DOUBLE_EQ(times.ttft(1), 1.5);
  EXPECT_DOUBLE_EQ(times.e2el(1), 11.5);
  EXPECT_EQ(m.finished, 2);
  // Both GPUs work from 0 to 12 ms, rank 1 in the first round and rank 0 in the last for the other's tokens.
  EXPECT_NEAR(m.stages[0].compute, 1, 1e-9);

  Times alone;
  observed(ranks(std::make_shared<ToyPipeline>(), 2, 1000, -1),
           these({request(0, 100, 11, 0), request(0.5, 100, 11, 1)}), alone);
  EXPECT_DOUBLE_EQ(alone.ttft(1), 1);
}

// Rank 0 has two requests, rank 1 one. Their prompts take 1 + 2 x 1 and 1 + 1 ms: 3 for both. A token then
// takes 1 + 2 x 0.1 and 1 + 0.1: 1.2 for both, ten times.
TEST(LockStep, TheSlowestRankPacesAll) {
  auto toy = std::make_shared<ToyPipeline>();
  toy->per_prompt_token = Time{10'000};
  toy->per_decode = Time{100'000};
  Times times;
  observed(ranks(toy, 2), these({request(0, 100, 11, 0), request(0, 100, 11, 1), request(0, 100, 11, 2)}),
           times);
  for (const std::uint64_t id : {0, 1, 2}) {
    EXPECT_DOUBLE_EQ(times.ttft(id), 3) << id;
    EXPECT_DOUBLE_EQ(times.e2el(id), 15) << id;
  }
}

// Two requests take rank 0's host 0.2 ms, one takes rank 1's 0.1: the pass begins at 0.2 and ends at 1.2.
TEST(LockStep, TheSlowestHostDelaysAll) {
  Times times;
  observed(ranks(std::make_shared<SlowHost>(), 2),
           these({request(0, 100, 1, 0), request(0, 100, 1, 1), request(0, 100, 1, 2)}), times);
  for (const std::uint64_t id : {0, 1, 2}) EXPECT_DOUBLE_EQ(times.ttft(id), 1.2) << id;
}

// Replicas 0 and 1 are ranks of one server, 2 and 3 of another: what the first do is nothing to the second.
TEST(LockStep, ServersDoNotWaitForEachOther) {
  auto toy = std::make_shared<ToyPipeline>();
  std::vector<ReplicaSetup> setups = ranks(toy, 2, 1000, 0);
  for (const ReplicaSetup& setup : ranks(toy, 2, 1000, 1)) setups.push_back(setup);
  Times times;
  observed(setups,
           these({request(0, 100, 5, 0), request(0.25, 100, 5, 1), request(0.5, 100, 5, 2),
                  request(0.75, 100, 5, 3)}),
           times);
  EXPECT_DOUBLE_EQ(times.ttft(0), 1);
  EXPECT_DOUBLE_EQ(times.ttft(1), 1.75);
  EXPECT_DOUBLE_EQ(times.ttft(2), 1);
  EXPECT_DOUBLE_EQ(times.ttft(3), 1.75);
}

TEST(LockStep, IsNotSimulatedWithFaultsOrStages) {
  auto stages = std::make_shared<ToyPipeline>();
  stages->stage_count = 2;
  EXPECT_THROW(simulate(ranks(stages, 2), engine(), closed_loop(1, 1, 10, 1), {}), std::logic_error);
  auto toy = std::make_shared<ToyPipeline>();
  SimulationOptions faults;
  faults.changes = {{Time{1}, 0, nullptr}};
  EXPECT_THROW(simulate(ranks(toy, 2), engine(), closed_loop(1, 1, 10, 1), faults), std::logic_error);
}

/// Poisson arrivals of mixed lengths on few blocks, so that some are preempted.
Workload mixed(std::uint64_t seed) {
  Workload w;
  w.request_rate = 120;
  w.num_prompts = 300;
  w.seed = seed;
  w.prompt.kind = LengthDistribution::Kind::uniform;
  w.prompt.low = 1;
  w.prompt.high = 900;
  w.output.kind = LengthDistribution::Kind::uniform;
  w.output.low = 1;
  w.output.high = 120;
  return w;
}

ToyPipeline busy_toy() {
  ToyPipeline toy;
  toy.per_prompt_token = Time{1'700};
  toy.per_decode = Time{90'000};
  toy.host_time = Time{130'000};
  return toy;
}

void expect_same(const ServingMetrics& a, const ServingMetrics& b) {
  EXPECT_EQ(a.finished, b.finished);
  EXPECT_EQ(a.rejected, b.rejected);
  EXPECT_EQ(a.preemptions, b.preemptions);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.duration_s, b.duration_s);
  EXPECT_EQ(a.ttft.mean, b.ttft.mean);
  EXPECT_EQ(a.ttft.p99, b.ttft.p99);
  EXPECT_EQ(a.itl.mean, b.itl.mean);
  EXPECT_EQ(a.itl.p99, b.itl.p99);
  EXPECT_EQ(a.e2el.p99, b.e2el.p99);
  EXPECT_EQ(a.mean_running, b.mean_running);
  EXPECT_EQ(a.kv_occupancy_mean, b.kv_occupancy_mean);
}

TEST(LockStep, ARankWithoutOthersIsAReplica) {
  for (const bool ahead : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      EngineOptions options = engine(32, 512);
      options.async_scheduling = ahead;
      const auto toy = std::make_shared<ToyPipeline>(busy_toy());
      const ServingMetrics alone = simulate(ranks(toy, 1, 150, -1), options, mixed(seed), {});
      const ServingMetrics together = simulate(ranks(toy, 1, 150, 0), options, mixed(seed), {});
      expect_same(alone, together);
      if (seed == 1) {
        EXPECT_GT(alone.preemptions, 0);
      }
    }
  }
}

// The counts are those that every run keeps; visiting every request in every step changes nothing.
TEST(LockStep, StepByStepGivesTheSameBits) {
  for (const bool ahead : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      EngineOptions options = engine(32, 512);
      options.async_scheduling = ahead;
      const auto toy = std::make_shared<ToyPipeline>(busy_toy());
      SimulationOptions fast, slow;
      slow.step_by_step = true;
      const ServingMetrics a = simulate(ranks(toy, 3, 90), options, mixed(seed), fast);
      const ServingMetrics b = simulate(ranks(toy, 3, 90), options, mixed(seed), slow);
      expect_same(a, b);
      EXPECT_EQ(a.fingerprint, b.fingerprint);
      EXPECT_EQ(a.arrived, 300);
      EXPECT_EQ(a.arrived, a.finished + a.rejected + a.in_flight);
      EXPECT_EQ(a.in_flight, 0);
    }
  }
}

}  // namespace
}  // namespace sextant
