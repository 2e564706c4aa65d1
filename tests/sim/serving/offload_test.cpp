#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "models/base/error.hpp"
#include "sim/kernel/random.hpp"
#include "sim/serving/host_kv_cache.hpp"
#include "tests/sim/serving/toy_run.hpp"

// KV blocks in host memory.

namespace sextant {
namespace {

/// So many blocks of 16 tokens whose names begin at `first`.
PromptBlocks named(std::uint64_t first, std::int64_t blocks) {
  std::vector<std::uint64_t> names;
  for (std::int64_t i = 0; i < blocks; ++i) names.push_back(first + static_cast<std::uint64_t>(i));
  return {std::make_shared<const std::vector<std::uint64_t>>(names), blocks * 16, 16};
}

Request request(std::int64_t at_ms, std::int64_t prompt, std::int64_t output, PromptBlocks blocks = {}) {
  return {Time{at_ms * 1'000'000}, prompt, output, std::move(blocks), 0, 0};
}

/// Passes of 1 ms and 10 us for each prompt token; a token's 1000 B take 5 us to or from the host.
ToyPipeline toy() {
  ToyPipeline toy;
  toy.per_prompt_token = Time{10'000};
  toy.host_per_token = Time{5'000};
  toy.kv_bytes_per_token = 1000;
  return toy;
}

EngineOptions offloading(double gib = 1) {
  EngineOptions options = engine();
  options.kv_offloading_gib = gib;
  return options;
}

class Times final : public RunObserver {
 public:
  std::map<std::uint64_t, RequestTimes> of;
  void finished(const RequestTimes& times) override { of[times.id] = times; }
  double ttft_ms(std::uint64_t id) { return (of[id].first_token - of[id].arrival).ms(); }
};

ServingMetrics watched(Times& times, std::int64_t blocks, const EngineOptions& options,
                       std::vector<Request> requests) {
  SimulationOptions simulation;
  simulation.observer = &times;
  return simulate({{std::make_shared<ToyPipeline>(toy()), blocks}}, options, these(std::move(requests)),
                  simulation);
}

// A room of three blocks. Of four blocks of one prompt the last gives way; the single one of another takes
// the place of the third. When the first prompt's two are used again, the next to give way is the other's.
TEST(HostKvCache, TheLeastRecentlyUsedGiveWay) {
  const KvCache gpu(100, 16, true);
  HostKvCache host(3, gpu);
  EXPECT_EQ(host.store(named(10, 4), 4), 4);
  EXPECT_EQ(host.find(named(10, 4), 0, 4), 3);
  EXPECT_EQ(host.store(named(20, 1), 1), 1);
  EXPECT_EQ(host.find(named(10, 4), 0, 4), 2);
  EXPECT_EQ(host.find(named(10, 4), 1, 4), 1);  // behind the first
  EXPECT_EQ(host.store(named(10, 2), 2), 0);    // known already, now used
  EXPECT_EQ(host.store(named(30, 1), 1), 1);
  EXPECT_EQ(host.find(named(20, 1), 0, 1), 0);
  EXPECT_EQ(host.find(named(10, 4), 0, 4), 2);
}

// Blocks without a name are found by their own request alone, and give way from the back.
TEST(HostKvCache, KeepsARequestsOwnBlocks) {
  const KvCache gpu(100, 16, true);
  HostKvCache host(4, gpu);
  EXPECT_EQ(host.store_own(7, 3), 3);
  EXPECT_EQ(host.store_own(7, 4), 1);  // one more
  EXPECT_EQ(host.own(7), 4);
  EXPECT_EQ(host.own(8), 0);
  EXPECT_EQ(host.store(named(10, 1), 1), 1);
  EXPECT_EQ(host.own(7), 3);
  EXPECT_EQ(host.blocks(), 4);
  EXPECT_EQ(host.store_own(9, 9), 9);  // more than there is room for
  EXPECT_EQ(host.own(9), 4);
  EXPECT_EQ(host.own(7), 0);
}

// Eight blocks on the GPU. 64 named tokens, then a prompt that fills the GPU and evicts them, then the 64
// again and one more. From the host: 64 x 5 us, and a pass of one token: 0.32 + 1.01 ms. Recomputed: 1.65 ms.
// Copied to the host: 4 blocks of the first, 8 of the second, none of the third; back: 4 of 16 kB.
TEST(Offload, BringsEvictedBlocksBack) {
  const std::vector<Request> requests = {request(0, 64, 1, named(10, 4)), request(10, 128, 1),
                                         request(20, 65, 1, named(10, 4))};
  Times with, without;
  const ServingMetrics m = watched(with, 8, offloading(), requests);
  EXPECT_NEAR(with.ttft_ms(2), 0.32 + 1.01, 1e-9);
  EXPECT_EQ(m.offload.hit_tokens, 64);
  EXPECT_DOUBLE_EQ(m.offload.bytes_from_host, 64e3);
  EXPECT_DOUBLE_EQ(m.offload.bytes_to_host, 192e3);
  const ServingMetrics none = watched(without, 8, offloading(0), requests);
  EXPECT_NEAR(without.ttft_ms(2), 1.65, 1e-9);
  EXPECT_EQ(none.offload.bytes_to_host, 0);
}

// What the GPU still has is not copied: with 100 blocks nothing was evicted.
TEST(Offload, ThePrefixCacheOnTheGpuComesFirst) {
  Times times;
  const ServingMetrics m =
      watched(times, 100, offloading(), {request(0, 64, 1, named(10, 4)), request(20, 65, 1, named(10, 4))});
  EXPECT_NEAR(times.ttft_ms(1), 1.01, 1e-9);
  EXPECT_EQ(m.offload.hit_tokens, 0);
}

// A host that holds 6 blocks (96 kB) has lost the first prompt's when the second's 8 came: recomputed.
TEST(Offload, HostMemoryIsBounded) {
  Times times;
  const ServingMetrics m =
      watched(times, 8, offloading(96e3 / (1024.0 * 1024 * 1024)),
              {request(0, 64, 1, named(10, 4)), request(10, 128, 1), request(20, 65, 1, named(10, 4))});
  EXPECT_NEAR(times.ttft_ms(2), 1.65, 1e-9);
  EXPECT_EQ(m.offload.hit_tokens, 0);
}

// Two prompts of 64 named tokens come at once, their blocks in host memory: the copies follow each other over
// the link, 0.32 ms each. The first prefills from 0.32 to 1.33 ms; the other's blocks are there at 0.64, but
// the step under way ends at 1.33, and its own at 2.34 ms. One that needs no copy, sent with them, starts at
// once and is not held up: its step of 1.16 ms is before the first's, so 0 to 1.16; the first then ends at
// 1.16 + 1.02 with the other beside it.
TEST(Offload, CopiesFollowEachOtherAndHoldNobodyUp) {
  std::vector<Request> requests = {request(0, 64, 1, named(10, 4)), request(5, 64, 1, named(20, 4)),
                                   request(10, 256, 1), request(50, 65, 1, named(10, 4)),
                                   request(50, 65, 1, named(20, 4))};
  Times two, three;
  watched(two, 16, offloading(), requests);
  EXPECT_NEAR(two.ttft_ms(3), 0.32 + 1.01, 1e-9);
  EXPECT_NEAR(two.ttft_ms(4), 0.32 + 1.01 + 1.01, 1e-9);
  requests.push_back(request(50, 16, 1));
  watched(three, 16, offloading(), requests);
  EXPECT_NEAR(three.ttft_ms(5), 1.16, 1e-9);
  EXPECT_NEAR(three.ttft_ms(3), 1.16 + 1.02, 1e-9);
  EXPECT_NEAR(three.ttft_ms(4), 1.16 + 1.02, 1e-9);
}

struct Case {
  std::int64_t blocks, clients;
  double gib;
  bool prefixes, async, priorities, reserve;
};

class OffloadFastAndPlain : public testing::TestWithParam<Case> {};

// Tight memory, where requests are preempted: all end, both ways alike. Without shared prefixes only a
// preempted request can find anything, its own.
TEST_P(OffloadFastAndPlain, AgreeBitByBit) {
  const Case& c = GetParam();
  EngineOptions options = offloading(c.gib);
  options.max_num_batched_tokens = 512;
  options.async_scheduling = c.async;
  options.scheduler_reserve_full_isl = c.reserve;
  options.scheduling_policy = c.priorities ? SchedulingPolicy::priority : SchedulingPolicy::fcfs;
  std::vector<Request> requests;
  RandomStream random(1, "offload test");
  for (std::uint64_t i = 0; i < 1500; ++i) {
    Request next = request(0, 1 + static_cast<std::int64_t>(random.below(900)),
                           1 + static_cast<std::int64_t>(random.below(120)));
    if (c.prefixes && i % 3 > 0) next.prompt_blocks = named(1000 * (i % 40), 30);
    next.priority = static_cast<std::int64_t>(i % 3);
    requests.push_back(std::move(next));
  }
  Workload w = these(std::move(requests));
  w.arrival = Workload::Arrival::concurrency;
  w.max_concurrency = c.clients;
  const ServingMetrics fast = run(toy(), c.blocks, options, w, false);
  const ServingMetrics plain = run(toy(), c.blocks, options, w, true);
  EXPECT_EQ(fast.finished, 1500);
  EXPECT_EQ(fast.fingerprint, plain.fingerprint);
  EXPECT_EQ(fast.e2el.mean, plain.e2el.mean);
  EXPECT_EQ(fast.offload.hit_tokens, plain.offload.hit_tokens);
  EXPECT_GT(fast.offload.hit_tokens, 0);
  EXPECT_EQ(fast.kv_occupancy_mean, plain.kv_occupancy_mean);
}

// 1 GiB is 67,108 blocks; 0.005 GiB 335.
INSTANTIATE_TEST_SUITE_P(Cases, OffloadFastAndPlain,
                         testing::Values(Case{150, 40, 1, false, false, false, false},
                                         Case{150, 40, 1, true, true, false, true},
                                         Case{70, 60, 1, true, false, true, false},
                                         Case{70, 20, 0.005, true, true, true, true},
                                         Case{400, 64, 0.05, true, true, false, false}));

TEST(Offload, NeedsPrefixCaching) {
  const Cluster cluster =
      read_cluster(JsonValue::parse(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 1}}]})", "x"));
  const auto read = [&](const char* text) {
    const JsonValue value = JsonValue::parse(text, "scenario.json");
    return read_engine_options(&value, cluster);
  };
  EXPECT_DOUBLE_EQ(read(R"({"kv_offloading_size": 64})").kv_offloading_gib, 64);
  try {
    read(R"({"kv_offloading_size": 64, "enable_prefix_caching": false})");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("kv_offloading_size: found it without prefix caching"));
  }
}

// Four tokens for each of 600 requests are more than a budget of 2048.
TEST(EngineOptions, ABudgetHoldsWhatIsSpeculated) {
  const Cluster cluster =
      read_cluster(JsonValue::parse(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 1}}]})", "x"));
  const JsonValue value = JsonValue::parse(
      R"({"max_num_seqs": 600, "max_num_batched_tokens": 2048, "speculative_config":
          {"method": "ngram", "num_speculative_tokens": 3, "acceptance_rate": 0.5}})",
      "scenario.json");
  try {
    read_engine_options(&value, cluster);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("expected at least 4 for each of max_num_seqs 600"));
  }
}

}  // namespace
}  // namespace sextant
