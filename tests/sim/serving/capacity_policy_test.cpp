// TensorRT-LLM's limits: whole outputs reserved, max_num_seqs for each batch, one process that schedules them
// all.
#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "sim/kernel/random.hpp"
#include "tests/sim/serving/toy_fabric.hpp"

namespace sextant {
namespace {

// 16 + 40 tokens cache 55 of them: 4 blocks of 16. Two requests need 8 of the 6 there are: by utilization
// both start and one is preempted; without eviction the second waits for the first: 40 steps of 1 ms each.
TEST(CapacityPolicy, WithoutEvictionAWholeOutputMustFit) {
  EngineOptions options = engine();
  EXPECT_EQ(run({}, 6, options, closed_loop(2, 2, 16, 40)).preemptions, 1);
  options.guaranteed_no_evict = true;
  for (const bool step_by_step : {false, true}) {
    const ServingMetrics m = run({}, 6, options, closed_loop(2, 2, 16, 40), step_by_step);
    EXPECT_EQ(m.preemptions, 0);
    EXPECT_EQ(m.finished, 2);
    EXPECT_NEAR(m.duration_s, 0.080, 1e-9);
  }
  // 8 blocks hold both outputs: they run side by side.
  EXPECT_NEAR(run({}, 8, options, closed_loop(2, 2, 16, 40)).duration_s, 0.040, 1e-9);
}

/// 400 requests of up to 200 + 150 tokens, every other with a beginning that others share.
Workload crowd(std::int64_t clients) {
  std::vector<Request> requests;
  RandomStream random(1, "capacity test");
  for (std::uint64_t i = 0; i < 400; ++i) {
    Request next{{},
                 1 + static_cast<std::int64_t>(random.below(200)),
                 1 + static_cast<std::int64_t>(random.below(150)),
                 {},
                 0,
                 0};
    if (i % 2 == 0)
      next.prompt_blocks = {std::make_shared<const std::vector<std::uint64_t>>(
                                std::vector<std::uint64_t>{i % 10, i % 10 + 100, i % 10 + 200}),
                            48, 16};
    next.priority = static_cast<std::int64_t>(i % 3);
    requests.push_back(std::move(next));
  }
  Workload w = these(std::move(requests));
  w.arrival = Workload::Arrival::concurrency;
  w.max_concurrency = clients;
  return w;
}

// 60 blocks are wanted by 30 requests of 11 on average. By utilization some are preempted; without eviction
// nobody, whatever else holds blocks: batches scheduled ahead of what has ended, copies from host memory,
// speculated tokens, priorities.
TEST(CapacityPolicy, WithoutEvictionNobodyIsPreempted) {
  ToyPipeline toy;
  toy.kv_bytes_per_token = 1000;
  toy.host_per_token = Time{5'000};
  const Speculation speculation{Speculation::Method::ngram, 3, {0.5, 0.5, 0.5}, ""};
  for (const int with : {0, 1, 2, 3, 4}) {
    EngineOptions options = engine();
    options.async_scheduling = with == 1;
    if (with == 2) options.kv_offloading_gib = 1;
    if (with == 3) options.speculation = speculation;
    if (with == 4) options.scheduling_policy = SchedulingPolicy::priority;
    EXPECT_GT(run(toy, 60, options, crowd(30)).preemptions, 0) << with;
    options.guaranteed_no_evict = true;
    const ServingMetrics fast = run(toy, 60, options, crowd(30));
    EXPECT_EQ(fast.preemptions, 0) << with;
    EXPECT_EQ(fast.finished, 400) << with;
    EXPECT_EQ(fast.fingerprint, run(toy, 60, options, crowd(30), true).fingerprint) << with;
  }
}

// The same of a decode pool, whose requests hold the blocks of their prompts before they run.
TEST(CapacityPolicy, WithoutEvictionADecodePoolPreemptsNobody) {
  ToyPools pools;
  pools.decode_blocks = 60;
  EngineOptions options = engine();
  EXPECT_GT(pools.run(options, crowd(30)).preemptions, 0);
  options.guaranteed_no_evict = true;
  const ServingMetrics m = pools.run(options, crowd(30));
  EXPECT_EQ(m.preemptions, 0);
  EXPECT_EQ(m.finished, 400);
}

// Two stages of 1 ms: a request alone takes 2 ms a token. One at a time, 10 + 10 tokens take 40 ms; one in
// each of two batches, the second is a stage behind the first: 21 ms.
TEST(CapacityPolicy, TheLimitOfSequencesMayBeOfABatch) {
  ToyPipeline toy;
  toy.stage_count = 2;
  EngineOptions options = engine(1);
  EXPECT_NEAR(run(toy, 100, options, closed_loop(2, 2, 16, 10)).duration_s, 0.040, 1e-9);
  options.max_num_seqs_per_batch = true;
  EXPECT_NEAR(run(toy, 100, options, closed_loop(2, 2, 16, 10)).duration_s, 0.021, 1e-9);
}

// Scheduling takes 3 ms and two stages 1 ms each. Two batches ask the one process for 6 ms a round, more than
// the 5 that one batch is under way: the second's first token comes at 3 + 3 + 2 = 8 ms, its nine others 6 ms
// after each other.
TEST(CapacityPolicy, OneProcessSchedulesAllBatches) {
  ToyPipeline toy;
  toy.stage_count = 2;
  toy.host_time = Time{3'000'000};
  EngineOptions options = engine(1);
  options.max_num_seqs_per_batch = true;
  EXPECT_NEAR(run(toy, 100, options, closed_loop(2, 2, 16, 10)).duration_s, 0.062, 1e-9);
}

// Two stages of 1 ms, hops of 0.5 ms, one prompt of one token in each of two batches. The second begins on
// stage 0 when the first's message leaves it: half a millisecond beside it at 1.2 times the time is 0.1 ms
// more, and nothing else runs beside a message (stage 1 has begun its pass when the second message comes).
TEST(PipelineHops, SlowThePassBesideThem) {
  ToyPipeline toy;
  toy.stage_count = 2;
  toy.hop_time = Time{500'000};
  EngineOptions options = engine(1);
  options.max_num_seqs_per_batch = true;
  const double alone = run(toy, 100, options, closed_loop(2, 2, 16, 1)).duration_s;
  toy.beside = 1.2;
  for (const bool step_by_step : {false, true})
    EXPECT_NEAR(run(toy, 100, options, closed_loop(2, 2, 16, 1), step_by_step).duration_s, alone + 0.0001,
                1e-9);
}

TEST(CapacityPolicy, IsReadByName) {
  const auto read = [](const std::string& engine) {
    const JsonValue value = JsonValue::parse(engine, "s.json");
    return read_engine_options(&value, Cluster{});
  };
  EXPECT_FALSE(read(R"({"profile": "vllm-0.19"})").guaranteed_no_evict);
  EXPECT_TRUE(read(R"({"capacity_scheduler_policy": "guaranteed_no_evict"})").guaranteed_no_evict);
  const EngineOptions tensorrt = read(R"({"profile": "trtllm-1.0", "max_num_seqs": 64})");
  EXPECT_TRUE(tensorrt.guaranteed_no_evict);
  EXPECT_EQ(tensorrt.running_limit(4), 256);
  EXPECT_FALSE(read(R"({"profile": "trtllm-1.0", "capacity_scheduler_policy": "max_utilization"})")
                   .guaranteed_no_evict);
  try {
    read(R"({"capacity_scheduler_policy": "no_evict"})");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "s.json: capacity_scheduler_policy: found \"no_evict\", expected \"guaranteed_no_evict\" or "
                 "\"max_utilization\"");
  }
}

}  // namespace
}  // namespace sextant
