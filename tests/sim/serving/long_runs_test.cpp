#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "tests/sim/serving/toy_run.hpp"

// Whole runs: what is turned away, what never drains, conversations, fleets behind a router.

namespace sextant {
namespace {

// Without a prompt or without an output there is nothing to do: rejected and counted, as vLLM does; the
// closed loop goes on. Two of the four finish.
TEST(Simulation, RequestsWithoutTokensAreRejected) {
  std::vector<Request> requests(4);
  for (std::size_t i = 0; i < 4; ++i) {
    requests[i].prompt_tokens = i == 1 ? 0 : 10;
    requests[i].output_tokens = i == 2 ? 0 : 5;
    requests[i].id = i;
  }
  for (const bool closed : {false, true}) {
    Workload w = these(requests);
    if (closed) {
      w.arrival = Workload::Arrival::concurrency;
      w.max_concurrency = 1;
    }
    const ServingMetrics m = run({}, 1000, engine(), w);
    EXPECT_EQ(m.arrived, 4);
    EXPECT_EQ(m.rejected, 2);
    EXPECT_EQ(m.finished, 2);
  }
}

// One at a time, each alone 5 steps of 1 ms: 200 requests/s are served. 400/s arrive: after 10 s half of
// 4,000 wait, and the run goes on until more than most_waiting do: 0.5 of those that arrive, so after some 2
// x 500 arrivals.
TEST(Simulation, AWorkloadThatNeverDrainsEndsTheRun) {
  Workload w;
  w.request_rate = 400;
  w.num_prompts = 1'000'000;
  w.prompt.mean = 10;
  w.output.mean = 5;
  SimulationOptions options;
  options.most_waiting = 500;
  std::string message;
  try {
    simulate({{std::make_shared<ToyPipeline>(), 1000}}, engine(1), w, options);
  } catch (const InputError& error) {
    message = error.what();
  }
  EXPECT_NE(message.find("never drains"), std::string::npos) << message;
  EXPECT_NE(message.find("501 requests waiting"), std::string::npos) << message;
  EXPECT_NE(message.find("200 requests/s served"), std::string::npos) << message;
}

// The same for 4 s: it drains, and the result says that 400/s arrived and 200/s were served from the start
// on.
TEST(Simulation, SaysHowMuchTooMuch) {
  Workload w;
  w.request_rate = 400;
  w.num_prompts = 1600;
  w.prompt.mean = 10;
  w.output.mean = 5;
  const ServingMetrics m = run({}, 1000, engine(1), w);
  EXPECT_TRUE(m.overloaded);
  EXPECT_NEAR(m.overload.capacity, 200, 2);
  EXPECT_NEAR(m.overload.arrival_rate, 400, 40);
  EXPECT_LT(m.overload.from_s, 0.5);
}

// One client, three conversations of two turns, passes of 1 ms: a turn of five tokens takes 5 ms, the think
// time 95 ms: turns begin at 0, 100, then the next conversation at once at 105, 205, 210, 310; the last ends
// at 315 ms.
TEST(Simulation, ConversationsThinkBetweenTurns) {
  Workload w = closed_loop(1, 6, 10, 5);
  w.conversations.emplace();
  w.conversations->num_turns.mean = 2;
  w.conversations->think_time_s = 0.095;
  const ServingMetrics m = run({}, 1000, engine(), w);
  EXPECT_EQ(m.finished, 6);
  EXPECT_NEAR(m.duration_s, 0.315, 1e-9);
  // Prompts of 10 and 10 + 5 + 10 tokens.
  EXPECT_EQ(m.prompt_tokens, 3 * (10 + 25));
}

ServingMetrics fleet(RouterOptions::Policy policy, bool step_by_step) {
  ToyPipeline toy;
  toy.per_prompt_token = Time{10'000};
  Workload w;
  w.request_rate = 300;
  w.num_prompts = 3000;
  w.prompt.mean = 40;
  w.output = {LengthDistribution::Kind::lognormal, 30, 0.8, 1, 200};
  w.conversations.emplace();
  w.conversations->num_turns = {LengthDistribution::Kind::uniform, 3, 0, 1, 5};
  w.conversations->common_prefix_num_tokens = 64;
  w.conversations->common_prefixes = 3;
  w.conversations->think_time_s = 0.2;
  w.conversations->exponential_think_time = true;
  SimulationOptions options;
  options.step_by_step = step_by_step;
  options.router.policy = policy;
  const auto pipeline = std::make_shared<ToyPipeline>(toy);
  return simulate({{pipeline, 200}, {pipeline, 200}, {pipeline, 200}}, engine(32, 256), w, options);
}

// Whatever the router, nothing is lost and both implementations take the same path; the policies differ.
TEST(Simulation, FleetsAreFastAndPlainAlike) {
  using Policy = RouterOptions::Policy;
  std::vector<std::string> fingerprints;
  for (const Policy policy : {Policy::round_robin, Policy::least_requests, Policy::prefix_aware}) {
    const ServingMetrics fast = fleet(policy, false), plain = fleet(policy, true);
    EXPECT_EQ(fast.finished, 3000);
    EXPECT_EQ(fast.fingerprint, plain.fingerprint);
    EXPECT_EQ(fast.e2el.p99, plain.e2el.p99);
    EXPECT_EQ(fast.itl.mean, plain.itl.mean);
    fingerprints.push_back(fast.fingerprint);
  }
  EXPECT_NE(fingerprints[0], fingerprints[1]);
  EXPECT_NE(fingerprints[1], fingerprints[2]);
}

}  // namespace
}  // namespace sextant
