#include <gtest/gtest.h>

#include <algorithm>

#include "sim/kernel/random.hpp"
#include "tests/sim/serving/toy_run.hpp"

// Whole runs of models whose layers share a pool of KV blocks.

namespace sextant {
namespace {

ServingMetrics run_pool(const KvPool& pool, std::int64_t blocks, const EngineOptions& options,
                        const Workload& workload, bool step_by_step = false, int stages = 1) {
  ToyPipeline toy;
  toy.stage_count = stages;
  toy.per_prompt_token = Time{1000};
  SimulationOptions simulation;
  simulation.step_by_step = step_by_step;
  return simulate({{std::make_shared<ToyPipeline>(toy), blocks, ReplicaRole::whole, pool}}, options, workload,
                  simulation);
}

KvPool one_window(std::int64_t tokens) {
  KvPool pool;
  pool.windows = {{tokens, 1}};
  return pool;
}

// A request of 1000 + 1 tokens: 63 blocks in the group that keeps all. With a window of 128 a second group
// needs 63 while the prompt is computed in one pass, and 63 - 54 = 9 after it. 126 + 72 = 198 blocks: the
// second prompt enters beside the first one's decodes; 197 and it waits until the first has ended.
TEST(KvGroups, ARequestHoldsWhatItsGroupsNeed) {
  EngineOptions options = engine();
  const Workload w = closed_loop(2, 2, 1000, 5);
  const auto peak = [&](std::int64_t blocks) {
    return run_pool(one_window(128), blocks, options, w).kv_occupancy_peak * static_cast<double>(blocks);
  };
  options.max_num_batched_tokens = 1000;
  EXPECT_NEAR(peak(300), 198, 1e-9);
  EXPECT_NEAR(peak(198), 198, 1e-9);
  EXPECT_NEAR(peak(197), 126, 1e-9);
}

// Nemotron 3 Super's six groups, pages of 4160 tokens: a request of 1000 tokens takes 1 + 5 blocks. In 60
// blocks ten run at once, however short they are.
TEST(KvGroups, StatesBoundHowManyRun) {
  KvPool pool;
  pool.block_tokens = 4160;
  pool.state_groups = 5;
  const ServingMetrics m = run_pool(pool, 60, engine(), closed_loop(30, 60, 1000, 400));
  EXPECT_EQ(m.finished, 60);
  EXPECT_LT(m.mean_running, 10.0001);
  EXPECT_GT(m.mean_running, 9);
  EXPECT_DOUBLE_EQ(m.kv_occupancy_peak, 1);
}

// 0.19 counts all tokens of a prompt in every group before it lets it in: 10,000 tokens are 625 blocks twice.
// What is under that can never enter and is turned away; without that rule windows need (127 + 512) / 16 + 1.
TEST(KvGroups, APromptThatNeverFitsIsTurnedAway) {
  EngineOptions options = engine(8, 512);
  const Workload w = closed_loop(1, 1, 10'000, 1);
  options.scheduler_reserve_full_isl = true;
  EXPECT_EQ(run_pool(one_window(128), 1249, options, w).rejected, 1);
  EXPECT_EQ(run_pool(one_window(128), 1250, options, w).finished, 1);
  options.scheduler_reserve_full_isl = false;
  EXPECT_EQ(run_pool(one_window(128), 625 + 40, options, w).rejected, 1);
  EXPECT_EQ(run_pool(one_window(128), 625 + 41, options, w).finished, 1);
}

// Property: on random pools, workloads with and without names, one to three stages and too few blocks, the
// plain and the fast implementation give the same run, nobody is lost and every block is free in the end.
TEST(KvGroups, BothImplementationsAgree) {
  RandomStream random(7, "kv-groups-test");
  std::int64_t preemptions = 0;
  for (int i = 0; i < 150; ++i) {
    KvPool pool;
    pool.block_tokens = std::int64_t{8} << random.below(3);
    pool.full_groups = static_cast<std::int64_t>(random.below(3));
    const auto windows = pool.full_groups == 0 ? 1 + random.below(2) : random.below(3);
    for (std::uint64_t w = 0; w < windows; ++w)
      pool.windows.push_back(
          {static_cast<std::int64_t>(2 + random.below(150)), static_cast<std::int64_t>(1 + random.below(3))});
    if (random.below(4) == 0) pool.state_groups = 1 + static_cast<std::int64_t>(random.below(3));
    std::vector<Request> requests(60);
    for (std::size_t r = 0; r < requests.size(); ++r) {
      Request& request = requests[r];
      request.arrival = Time{static_cast<std::int64_t>(r * random.below(4'000'000))};
      request.prompt_tokens = static_cast<std::int64_t>(1 + random.below(400));
      request.output_tokens = static_cast<std::int64_t>(1 + random.below(200));
      request.id = r;
      if (random.below(2) == 0) continue;
      std::vector<std::uint64_t> ids;
      for (std::int64_t t = 0; t < request.prompt_tokens; t += 64)
        ids.push_back(ids.empty() ? random.below(3) : ids.back() * 3 + random.below(2) + 10);
      request.prompt_blocks.names = std::make_shared<const std::vector<std::uint64_t>>(std::move(ids));
      request.prompt_blocks.named_tokens = request.prompt_tokens;
      request.prompt_blocks.hash_block_tokens = 64;
    }
    std::sort(requests.begin(), requests.end(),
              [](const Request& a, const Request& b) { return a.arrival < b.arrival; });
    EngineOptions options = engine(24, 128);
    options.async_scheduling = random.below(2) == 0;
    options.scheduler_reserve_full_isl = random.below(2) == 0;
    if (random.below(4) == 0) {
      options.speculation.emplace();
      options.speculation->method = Speculation::Method::ngram;
      options.speculation->num_speculative_tokens = 3;
      options.speculation->acceptance = {0.6, 0.6, 0.6};
    }
    const std::int64_t blocks = pool.most_blocks(700, 128) * static_cast<std::int64_t>(1 + random.below(3));
    const int stages = 1 + static_cast<int>(random.below(3));
    const Workload w = these(requests);
    const ServingMetrics fast = run_pool(pool, blocks, options, w, false, stages);
    const ServingMetrics plain = run_pool(pool, blocks, options, w, true, stages);
    ASSERT_EQ(fast.fingerprint, plain.fingerprint) << i;
    ASSERT_EQ(fast.finished + fast.rejected, 60) << i;
    ASSERT_EQ(fast.preemptions, plain.preemptions) << i;
    ASSERT_LE(fast.kv_occupancy_peak, 1) << i;
    preemptions += fast.preemptions;
  }
  EXPECT_GT(preemptions, 100);
}

}  // namespace
}  // namespace sextant
