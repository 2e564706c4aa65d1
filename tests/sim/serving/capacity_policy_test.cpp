// TensorRT-LLM's limits: whole outputs reserved, max_num_seqs for each batch, one process that schedules them
// all.
#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "tests/sim/serving/toy_run.hpp"

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
