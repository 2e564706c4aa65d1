#include "sim/serving/simulation.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "models/base/error.hpp"
#include "tests/sim/serving/toy_run.hpp"

namespace sextant {
namespace {

// One request of 100 + 11 tokens, passes of 1 ms: the prompt's pass yields the first token at 1 ms, ten more
// passes the rest.
TEST(Simulation, OneRequestAlone) {
  const ServingMetrics m = run({}, 1000, engine(), closed_loop(1, 1, 100, 11));
  EXPECT_DOUBLE_EQ(m.ttft.mean, 1);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 11);
  EXPECT_DOUBLE_EQ(m.tpot.mean, 1);
  EXPECT_DOUBLE_EQ(m.itl.p99, 1);
  EXPECT_EQ(m.steps, 11);
  EXPECT_EQ(m.output_tokens, 11);
  EXPECT_NEAR(m.output_throughput, 1000, 1e-6);
  EXPECT_NEAR(m.stages[0].bubble, 0, 1e-9);
}

// Budget 64: a prompt of 150 tokens takes chunks of 64, 64 and 22; its first token comes after the third
// pass.
TEST(Simulation, PromptIsCutIntoChunks) {
  const ServingMetrics m = run({}, 1000, engine(8, 64), closed_loop(1, 1, 150, 2));
  EXPECT_DOUBLE_EQ(m.ttft.mean, 3);
  EXPECT_EQ(m.steps, 4);
}

// Prompt tokens cost 10 us each and passes 1 ms: while a second prompt of 100 tokens is prefilled the first
// request's decode waits for the mixed pass of 1 + 1 = 2 ms.
TEST(Simulation, PrefillDelaysDecodesOfTheSameStep) {
  ToyPipeline toy;
  toy.per_prompt_token = Time{10'000};
  Workload w = closed_loop(2, 2, 100, 5);
  w.max_concurrency = 2;
  const ServingMetrics m = run(toy, 1000, engine(8, 100), w);
  // t=0: request A's prompt fills the budget (2 ms). Then B's prompt up to 99 tokens beside A's decode (1.99
  // ms), then B's last token beside A's decode (1.01 ms), then decodes of 1 ms.
  EXPECT_NEAR(m.ttft.mean, (2.0 + 5.0) / 2, 1e-9);
  EXPECT_NEAR(m.itl.p99, 1.99, 0.1);
}

// Three stages of 1 ms, one request: a token takes 3 ms and each stage works a third of the time.
TEST(Simulation, OneRequestLeavesPipelineBubbles) {
  ToyPipeline toy;
  toy.stage_count = 3;
  const ServingMetrics m = run(toy, 1000, engine(), closed_loop(1, 1, 10, 100));
  EXPECT_NEAR(m.tpot.mean, 3, 1e-9);
  for (const StageShares& stage : m.stages) EXPECT_NEAR(stage.bubble, 2.0 / 3, 1e-9);
}

// Three stages, three requests that each fill the token budget: three batches in flight, every stage busy, a
// token of each request every 3 ms: one token a millisecond in all.
TEST(Simulation, AsManyBatchesAsStagesFillThePipeline) {
  ToyPipeline toy;
  toy.stage_count = 3;
  const ServingMetrics m = run(toy, 1000, engine(8, 10), closed_loop(3, 3, 10, 1000));
  EXPECT_NEAR(m.tpot.mean, 3, 0.01);
  EXPECT_NEAR(m.output_throughput, 1000, 10);
  for (const StageShares& stage : m.stages) EXPECT_LT(stage.bubble, 0.01);
}

// Hops of 0.5 ms between two stages of 1 ms, two batches: a round is 1 + 0.5 + 1 + 0.5 = 3 ms of which a
// stage works 2.
TEST(Simulation, HopsAreBubbles) {
  ToyPipeline toy;
  toy.stage_count = 2;
  toy.hop_time = Time{500'000};
  const ServingMetrics m = run(toy, 1000, engine(8, 10), closed_loop(2, 2, 10, 1000));
  EXPECT_NEAR(m.tpot.mean, 3, 0.01);
  EXPECT_NEAR(m.stages[0].bubble, 1.0 / 3, 0.01);
}

// 10 blocks of 16; a request of 33 + 15 tokens ends with 47 cached, 3 blocks. Three fit at once, the fourth
// waits.
TEST(Simulation, KvBlocksLimitConcurrency) {
  const ServingMetrics m = run({}, 10, engine(), closed_loop(8, 40, 33, 15));
  EXPECT_EQ(m.finished, 40);
  EXPECT_EQ(m.preemptions, 0);
  EXPECT_LE(m.mean_running, 3.0 + 1e-9);
  EXPECT_GT(m.limits.kv_blocks, 0.9);
  EXPECT_GT(m.kv_occupancy_peak, 0.89);
}

// Two requests of 16 + 40 tokens on 6 blocks: each needs 4 at its end (55 cached). Both start (1 block each),
// grow in step, and when both hold 3 blocks (48 cached) none is left: the one admitted last is preempted,
// once, and recomputed after the first.
TEST(Simulation, LastAdmittedIsPreemptedWhenBlocksRunOut) {
  const ServingMetrics m = run({}, 6, engine(), closed_loop(2, 2, 16, 40));
  EXPECT_EQ(m.finished, 2);
  EXPECT_EQ(m.preemptions, 1);
  // The first request is undisturbed: 40 tokens in 40 ms. The second yields 33 tokens with it, waits for its
  // last 7 steps, then prefills 16 + 33 tokens in one pass (token 34) and decodes 6 more.
  EXPECT_DOUBLE_EQ(m.e2el.mean, (40.0 + 47.0) / 2);
}

// 10 blocks of 16, budget 32. A of 64 + 33 tokens prefills in two steps (4 blocks) and decodes, ending with
// 96 cached, 6 blocks. B of 112 + 1 tokens needs 7 blocks. Without the gate B enters in step 3, when A has
// taken a 5th block and 5 are free: its chunks of 31 tokens (budget 32, one for A's decode) take 2, 4 (62)
// and then 6 blocks (93), and 5 + 6 > 10: A keeps its place, B is preempted. With the gate B waits until A
// has ended, 7 of 10 are free: no preemption, and B's first token comes 4 steps (112 / 32 = 3.5) after A's
// end.
TEST(Simulation, WholePromptMustFitWhereTheEngineReservesIt) {
  const Workload w = these({{Time{}, 64, 33, {}}, {Time{}, 112, 1, {}}});
  EngineOptions options = engine(8, 32);
  for (const bool step_by_step : {false, true}) {
    options.scheduler_reserve_full_isl = false;
    EXPECT_GT(run({}, 10, options, w, step_by_step).preemptions, 0);
    options.scheduler_reserve_full_isl = true;
    const ServingMetrics gated = run({}, 10, options, w, step_by_step);
    EXPECT_EQ(gated.preemptions, 0);
    // A: 2 steps to its first token, 32 more to its last: 34 ms. B: 4 steps after that.
    EXPECT_DOUBLE_EQ(gated.e2el.mean, (34.0 + 38.0) / 2);
    EXPECT_NEAR(gated.limits.kv_blocks, 32.0 / 34, 1e-9) << "for 2 ms B waited for the token budget";
  }
}

// Steps of 1 ms. A comes at 0 and decodes for 10 steps; B comes at 2.5 ms, during step 3. Its prompt runs in
// step 4 (3 to 4 ms), TTFT 1.5 ms; scheduled a step ahead, step 4 is full since 2 ms and B runs in step
// 5: 2.5 ms.
TEST(Simulation, AsynchronousSchedulingDelaysAnArrivalByAStep) {
  const Workload w = these({{Time{}, 10, 10, {}}, {Time{2'500'000}, 10, 2, {}}});
  EngineOptions options = engine();
  EXPECT_DOUBLE_EQ(run({}, 1000, options, w).ttft.mean, (1 + 1.5) / 2);
  options.async_scheduling = true;
  EXPECT_DOUBLE_EQ(run({}, 1000, options, w).ttft.mean, (1 + 2.5) / 2);
  // An idle engine schedules at once: A ends at 10 ms, C comes at 20.
  const Workload idle = these({{Time{}, 10, 10, {}}, {Time{20'000'000}, 10, 2, {}}});
  EXPECT_DOUBLE_EQ(run({}, 1000, options, idle).ttft.mean, 1);
  // B comes during A's last step: step 11, scheduled at 9 ms, would be empty, so B is scheduled at 10:
  // TTFT 1.5.
  const Workload last = these({{Time{}, 10, 10, {}}, {Time{9'500'000}, 10, 2, {}}});
  EXPECT_DOUBLE_EQ(run({}, 1000, options, last).ttft.mean, (1 + 1.5) / 2);
  // A pipeline keeps as many batches in flight as stages, with or without it.
  ToyPipeline two;
  two.stage_count = 2;
  const std::string asynchronous = run(two, 1000, options, w).fingerprint;
  options.async_scheduling = false;
  EXPECT_EQ(asynchronous, run(two, 1000, options, w).fingerprint);
}

// Two places: A ends with its third token at 3 ms, C runs on, B waits for a place from 0. Step 4 was
// scheduled at 2 ms, when A still had its place: B's first token comes at the end of step 5, not of step 4.
TEST(Simulation, AsynchronousSchedulingSeesAFreePlaceAStepLate) {
  const Workload w = these({{Time{}, 10, 3, {}}, {Time{}, 10, 10, {}}, {Time{}, 10, 2, {}}});
  EngineOptions options = engine(2);
  EXPECT_DOUBLE_EQ(run({}, 1000, options, w).ttft.mean, (1 + 1 + 4) / 3.0);
  options.async_scheduling = true;
  EXPECT_DOUBLE_EQ(run({}, 1000, options, w).ttft.mean, (1 + 1 + 5) / 3.0);
}

PromptBlocks one_name(std::uint64_t name, std::int64_t tokens) {
  return {std::make_shared<const std::vector<std::uint64_t>>(1, name), tokens, tokens};
}

// Prompt tokens cost 10 us, passes 1 ms. A's prompt of 160 tokens takes 1 + 1.6 ms. B, the same prompt when A
// has long ended, computes only the last block, for its last token must be: 16 tokens, 1.16 ms. C is another
// prompt. Without the cache all take 2.6 ms.
TEST(Simulation, PrefixCacheSparesWhatIsKnown) {
  ToyPipeline toy;
  toy.per_prompt_token = Time{10'000};
  const Workload w = these({{Time{}, 160, 2, one_name(1, 160)},
                            {Time{100'000'000}, 160, 2, one_name(1, 160)},
                            {Time{200'000'000}, 160, 2, one_name(2, 160)}});
  EngineOptions options = engine();
  EXPECT_NEAR(run(toy, 1000, options, w).ttft.mean, (2.6 + 1.16 + 2.6) / 3, 1e-9);
  options.enable_prefix_caching = false;
  EXPECT_NEAR(run(toy, 1000, options, w).ttft.mean, 2.6, 1e-9);
}

// Two requests of 16 + 40 tokens on 6 blocks, as above: the one preempted with 48 cached tokens (3 blocks)
// comes back after 7 steps. By then the first has taken one of the three freed blocks, the last: 2 are
// found, so 49 - 32 = 17 of its tokens are computed again, not 49. At 10 us a token: 0.17 for 0.49 ms.
TEST(Simulation, PreemptedRequestsFindTheirOwnBlocks) {
  ToyPipeline toy;
  toy.per_prompt_token = Time{10'000};
  EngineOptions options = engine();
  const Workload w = these({{Time{}, 16, 40, {}}, {Time{}, 16, 40, {}}});
  const ServingMetrics cached = run(toy, 6, options, w);
  options.enable_prefix_caching = false;
  const ServingMetrics computed = run(toy, 6, options, w);
  EXPECT_EQ(cached.preemptions, 1);
  EXPECT_NEAR(computed.e2el.mean - cached.e2el.mean, 0.32 / 2, 1e-9);
}

// A front end of 5 ms puts every token off by 5 ms and leaves the gaps as they are: 1 + 5 to the first token,
// ten more to the last.
TEST(Simulation, FrontEndComesBeforeTheScheduler) {
  ToyPipeline toy;
  toy.front_end_time = Time{5'000'000};
  const ServingMetrics m = run(toy, 1000, engine(), closed_loop(1, 1, 100, 11));
  EXPECT_DOUBLE_EQ(m.ttft.mean, 6);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 16);
  EXPECT_DOUBLE_EQ(m.tpot.mean, 1);
}

// Budget 100, threshold 40: a prompt of 100 tokens takes steps of 40, 40 and 20, and a short one beside it
// finds room in the first.
TEST(Simulation, LongPrefillTokenThresholdLeavesRoomForOthers) {
  EngineOptions options = engine(8, 100);
  const Workload w = these({{Time{}, 100, 1, {}}, {Time{}, 30, 1, {}}});
  EXPECT_DOUBLE_EQ(run({}, 1000, options, w).ttft.mean, (1 + 2) / 2.0);
  options.long_prefill_token_threshold = 40;
  EXPECT_DOUBLE_EQ(run({}, 1000, options, w).ttft.mean, (3 + 1) / 2.0);
}

// One place, A runs. B waits with priority 1, C, which came later, with 0: C goes first.
TEST(Simulation, PriorityGoesBeforeArrival) {
  const Workload w = these({{Time{}, 10, 3, {}, 0}, {Time{}, 10, 3, {}, 1}, {Time{1'000}, 10, 3, {}, 0}});
  EngineOptions options = engine(1);
  for (const bool step_by_step : {false, true}) {
    options.scheduling_policy = SchedulingPolicy::fcfs;
    EXPECT_NEAR(run({}, 1000, options, w, step_by_step).ttft.median, 4, 1e-9) << "B after A";
    options.scheduling_policy = SchedulingPolicy::priority;
    const ServingMetrics m = run({}, 1000, options, w, step_by_step);
    // A at 1, C at 4 (less the 1 us), B at 7.
    EXPECT_NEAR(m.ttft.mean, (1 + 3.999 + 7) / 3, 1e-9);
    EXPECT_NEAR(m.ttft.median, 3.999, 1e-9);
  }
}

// 5 blocks. A (priority 5) is prefilled from 0 to 1 ms, B (priority 1, 1 us later) from 1 to 2. At 18 ms A
// holds 3 blocks (33 cached) and B needs its third: A was admitted first and yet must go. B ends with its
// 32nd token at 33 ms; then A, with 18 tokens yielded, is prefilled again (the 19th at 34) and has 21 to go.
TEST(Simulation, TheLowestPriorityIsPreempted) {
  const Workload w = these({{Time{}, 16, 40, {}, 5}, {Time{1'000}, 16, 32, {}, 1}});
  EngineOptions options = engine();
  options.scheduling_policy = SchedulingPolicy::priority;
  for (const bool step_by_step : {false, true}) {
    const ServingMetrics m = run({}, 5, options, w, step_by_step);
    EXPECT_EQ(m.preemptions, 1);
    EXPECT_EQ(m.finished, 2);
    EXPECT_NEAR(m.e2el.mean, (55 + 32.999) / 2, 1e-9);
  }
}

TEST(Simulation, RejectsWhatCanNeverRun) {
  EngineOptions options = engine();
  options.max_model_len = 100;
  EXPECT_EQ(run({}, 1000, options, closed_loop(1, 5, 100, 10)).rejected, 5) << "no room for a token";
  EXPECT_EQ(run({}, 2, options, closed_loop(1, 5, 40, 10)).rejected, 5)
      << "49 cached tokens need 4 blocks of 2";
  const ServingMetrics cut = run({}, 1000, options, closed_loop(1, 5, 95, 10));
  EXPECT_EQ(cut.truncated, 5);
  EXPECT_EQ(cut.output_tokens, 25) << "5 tokens fit under max_model_len";
}

// One request of one 1 ms pass at a time: 1,000 a second is the capacity. At 1,111 a tenth of the arrivals is
// left over: the queue grows from 0 to 100 of 1,000, 25 and 75 on average over the halves: 50 more, and the
// root of 1,000 is 32. At 900 a queue of 0.9^2 / (2 x 0.1) = 4 on average stays as it is. Three requests tell
// nothing, nor do a thousand that come all at once, as in an offline run.
TEST(Simulation, SaysWhenItIsOverloaded) {
  Workload w;
  w.num_prompts = 1000;
  w.prompt.mean = 10;
  w.output.mean = 1;
  const auto overloaded = [&w](double rate) {
    w.request_rate = rate;
    return run({}, 1000, engine(1, 16), w).overloaded;
  };
  EXPECT_TRUE(overloaded(2000));
  EXPECT_TRUE(overloaded(1111));
  EXPECT_FALSE(overloaded(900));
  EXPECT_FALSE(overloaded(100));
  EXPECT_FALSE(overloaded(std::numeric_limits<double>::infinity()));
  w.num_prompts = 3;
  EXPECT_FALSE(overloaded(100));
  EXPECT_FALSE(overloaded(2000));
}

TEST(Simulation, RoundRobinSharesReplicas) {
  const auto toy = std::make_shared<ToyPipeline>();
  const ServingMetrics one = simulate({{toy, 100}}, engine(1), closed_loop(4, 100, 10, 10));
  const ServingMetrics two = simulate({{toy, 100}, {toy, 100}}, engine(1), closed_loop(4, 100, 10, 10));
  EXPECT_NEAR(two.output_throughput / one.output_throughput, 2, 0.05);
}

TEST(Simulation, StopsWhenTold) {
  const std::atomic<bool> stop{true};
  SimulationOptions options;
  options.stop = &stop;
  EXPECT_THROW(
      simulate({{std::make_shared<ToyPipeline>(), 1000}}, engine(), closed_loop(1, 100000, 10, 10), options),
      Interrupted);
}

// ---- property: nothing is lost, and the fast path takes the very steps of the plain one
// ---------------------------------

struct Case {
  int stages;
  std::int64_t blocks, seqs, tokens, clients;
  double rate;
};

/// vLLM's options that change who is admitted when.
struct Admission {
  bool reserve_full_isl, async_scheduling;
  bool prefixes = false, priorities = false;
};

/// A third of the requests repeat one of ten prompts, with the tokens they yield; priorities from 0 to 2.
Workload with_prefixes_and_priorities(const Workload& workload, const Admission& admission) {
  const auto source = make_request_source(workload);
  std::vector<Request> requests;
  while (auto request = source->next()) {
    const auto i = static_cast<std::uint64_t>(requests.size());
    if (admission.prefixes && i % 3 == 0) {
      request->prompt_blocks.names = std::make_shared<const std::vector<std::uint64_t>>(
          std::vector<std::uint64_t>{i % 30, 100 + i % 30, 200 + i % 30, 300 + i % 30});
      request->prompt_blocks.hash_block_tokens = 100;
      request->prompt_blocks.named_tokens = 400;
    }
    if (admission.priorities) request->priority = static_cast<std::int64_t>(i * 7 % 3);
    requests.push_back(std::move(*request));
  }
  if (workload.arrival == Workload::Arrival::poisson) return these(std::move(requests));
  Workload closed = these(std::move(requests));
  closed.arrival = workload.arrival;
  closed.max_concurrency = workload.max_concurrency;
  return closed;
}

class FastAndPlain : public testing::TestWithParam<std::tuple<Case, Admission>> {};

TEST_P(FastAndPlain, AgreeBitByBit) {
  const auto& [c, admission] = GetParam();
  EngineOptions options = engine(c.seqs, c.tokens);
  options.scheduler_reserve_full_isl = admission.reserve_full_isl;
  options.async_scheduling = admission.async_scheduling;
  ToyPipeline toy;
  toy.stage_count = c.stages;
  toy.per_prompt_token = Time{1'003};
  toy.per_decode = Time{7'001};
  toy.hop_time = Time{20'011};
  Workload w;
  w.arrival = c.rate > 0 ? Workload::Arrival::poisson : Workload::Arrival::concurrency;
  w.max_concurrency = c.clients;
  w.request_rate = c.rate;
  w.num_prompts = 2000;
  w.prompt = {LengthDistribution::Kind::lognormal, 200, 0.8, 1, 3000};
  w.output = {LengthDistribution::Kind::lognormal, 60, 0.9, 1, 800};
  w.seed = 3;
  options.scheduling_policy = admission.priorities ? SchedulingPolicy::priority : SchedulingPolicy::fcfs;
  options.long_prefill_token_threshold = admission.prefixes ? 100 : 0;
  if (admission.prefixes || admission.priorities) w = with_prefixes_and_priorities(w, admission);
  const ServingMetrics fast = run(toy, c.blocks, options, w, false);
  const ServingMetrics plain = run(toy, c.blocks, options, w, true);
  EXPECT_EQ(fast.arrived, 2000);
  EXPECT_EQ(fast.arrived, fast.finished + fast.rejected + fast.in_flight);
  EXPECT_EQ(fast.fingerprint, plain.fingerprint);
  EXPECT_EQ(fast.preemptions, plain.preemptions);
  EXPECT_EQ(fast.itl.mean, plain.itl.mean);
  EXPECT_EQ(fast.itl.p99, plain.itl.p99);
  EXPECT_EQ(fast.e2el.mean, plain.e2el.mean);
  EXPECT_EQ(fast.ttft.p99, plain.ttft.p99);
  EXPECT_EQ(fast.kv_occupancy_mean, plain.kv_occupancy_mean);
  EXPECT_LE(fast.kv_occupancy_peak, 1.0);
}

// Plenty of room; tight memory with preemptions; pipelines; few sequences; overload.
INSTANTIATE_TEST_SUITE_P(
    Cases, FastAndPlain,
    testing::Combine(testing::Values(Case{1, 100000, 256, 2048, 32, 0}, Case{1, 300, 256, 512, 64, 0},
                                     Case{3, 300, 64, 256, 48, 0}, Case{3, 5000, 64, 2048, 0, 30},
                                     Case{2, 250, 16, 128, 0, 200}, Case{1, 300, 64, 512, 40, 200},
                                     Case{4, 400, 200, 200, 100, 0}),
                     testing::Values(Admission{false, false}, Admission{true, false}, Admission{false, true},
                                     Admission{true, true}, Admission{false, true, true, false},
                                     Admission{true, true, true, true},
                                     Admission{false, false, true, true})));

}  // namespace
}  // namespace sextant
