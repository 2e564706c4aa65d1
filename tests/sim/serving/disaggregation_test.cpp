// Prefill and decode on replicas of their own. Passes of 1 ms, a link of 1 byte a nanosecond, and 20,000
// bytes of KV a token, so that a prompt of 100 tokens takes 2,000,000 ns = 2 ms on the link.
#include <gtest/gtest.h>

#include <map>

#include "sim/kernel/random.hpp"
#include "tests/sim/serving/toy_fabric.hpp"

namespace sextant {
namespace {

/// Keeps every request's times.
class Times final : public RunObserver {
 public:
  void finished(const RequestTimes& times) override { of[times.id] = times; }
  double ttft(std::uint64_t id) const { return (of.at(id).first_token - of.at(id).arrival).ms(); }
  double e2el(std::uint64_t id) const { return (of.at(id).last_token - of.at(id).arrival).ms(); }
  std::map<std::uint64_t, RequestTimes> of;
};

// The prompt's pass ends at 1 ms, its KV is there at 3. The decode replica computes the prompt's last token
// again (3 to 4 ms): that is the client's first token; ten more follow.
TEST(Disaggregation, TheClientsFirstTokenComesFromTheDecodeReplica) {
  const ServingMetrics m = ToyPools{}.run(engine(), closed_loop(1, 1, 100, 11));
  EXPECT_DOUBLE_EQ(m.ttft.mean, 4);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 14);
  EXPECT_DOUBLE_EQ(m.tpot.mean, 1);
  EXPECT_DOUBLE_EQ(m.itl.p99, 1);
  EXPECT_EQ(m.finished, 1);
  EXPECT_EQ(m.output_tokens, 11) << "the prefill replica's token is dropped, not counted";
  EXPECT_EQ(m.steps, 12) << "one on the prefill replica, eleven on the other";
  ASSERT_TRUE(m.disaggregation);
  EXPECT_EQ(m.disaggregation->kv.transfers, 1);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.bytes, 2e6);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.transfer.mean, 2);
  // 1 of 14 ms, and 11 of 14.
  EXPECT_NEAR(m.disaggregation->prefill.stages[0].compute, 1.0 / 14, 1e-9);
  EXPECT_NEAR(m.stages[0].compute, 11.0 / 14, 1e-9);
}

// The same with the prefill replica's token passed on: it comes at 1 ms, the second at 4, the eleventh at
// 13: TPOT (13 - 1) / 10.
TEST(Disaggregation, OrFromThePrefillReplica) {
  ToyPools pools;
  pools.first_token = FirstToken::prefill;
  const ServingMetrics m = pools.run(engine(), closed_loop(1, 1, 100, 11));
  EXPECT_DOUBLE_EQ(m.ttft.mean, 1);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 13);
  EXPECT_DOUBLE_EQ(m.tpot.mean, 1.2);
  EXPECT_EQ(m.output_tokens, 11);
  EXPECT_EQ(m.steps, 11);
  // A request of one token needs no decode replica: nothing is sent.
  const ServingMetrics one = pools.run(engine(), closed_loop(1, 3, 100, 1));
  EXPECT_EQ(one.finished, 3);
  EXPECT_DOUBLE_EQ(one.e2el.mean, 1);
  EXPECT_EQ(one.disaggregation->kv.transfers, 0);
}

// Two prompts in one pass end at 1 ms; their transfers share the link, 4,000,000 bytes together: both are
// there at 5 ms, and one pass yields both first tokens at 6. Prompts of 100 and 50 tokens share it until the
// shorter has sent its 1,000,000 bytes at half the rate (3 ms); the longer sends its other 1,000,000 alone:
// 4 ms. Their first tokens come at 4 and at 5.
TEST(Disaggregation, TransfersShareALink) {
  Times times;
  ToyPools pools;
  pools.options.observer = &times;
  pools.run(engine(), these({{Time{}, 100, 2, {}}, {Time{}, 100, 2, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(0), 6);
  EXPECT_DOUBLE_EQ(times.ttft(1), 6);
  pools.run(engine(), these({{Time{}, 100, 3, {}}, {Time{}, 50, 3, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(1), 4);
  EXPECT_DOUBLE_EQ(times.ttft(0), 5);
}

// 7 blocks of 16 hold one prompt of 100. The second is prefilled only when the first's KV has gone (3 ms):
// 3 to 4, transfer to 6, first token at 7.
TEST(Disaggregation, PrefillHoldsItsBlocksUntilTheTransferEnds) {
  Times times;
  ToyPools pools;
  pools.options.observer = &times;
  pools.prefill_blocks = 7;
  pools.run(engine(), these({{Time{}, 100, 1, {}}, {Time{}, 100, 1, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(0), 4);
  EXPECT_DOUBLE_EQ(times.ttft(1), 7);
  // With two tokens the first is in a pass when the second is handed over (4 ms), and the decode replica asks
  // for KV only between passes, at 5.
  pools.run(engine(), these({{Time{}, 100, 2, {}}, {Time{}, 100, 2, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(1), 8);
}

// The decode replica's 7 blocks hold one request of 100 + 11 tokens (110 cached). The second's KV waits at
// the prefill replica until the first has ended at 14 ms (its transfer was alone), is there at 16, and
// yields at 17.
TEST(Disaggregation, DecodeTakesARequestOnlyWithRoomForItsPrompt) {
  Times times;
  ToyPools pools;
  pools.options.observer = &times;
  pools.decode_blocks = 7;
  const ServingMetrics m = pools.run(engine(), these({{Time{}, 100, 11, {}}, {Time{}, 100, 11, {}}}));
  EXPECT_DOUBLE_EQ(times.e2el(0), 14);
  EXPECT_DOUBLE_EQ(times.ttft(1), 17);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.transfer.mean, 2);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.handover.mean, (2.0 + 15.0) / 2);
}

// Of 2 x 29 gaps of 1 ms, the one during which a second prompt of 100 tokens comes takes 1 ms more on a
// replica that does both; apart, 0.01 ms for the prompt's last token alone.
TEST(Disaggregation, PromptsDoNotHoldUpTokens) {
  ToyPools pools;
  pools.prefill.per_prompt_token = Time{10'000};
  pools.decode.per_prompt_token = Time{10'000};
  const Workload w = these({{Time{}, 100, 30, {}}, {Time{10'000'000}, 100, 30, {}}});
  const ServingMetrics together = run(pools.decode, 1000, engine(), w);
  EXPECT_NEAR(together.itl.mean, (58 + 1) / 58.0, 1e-9);
  EXPECT_NEAR(pools.run(engine(), w).itl.mean, (58 + 0.01) / 58.0, 1e-9);
}

// A conversation's second prompt finds the first on the prefill replica: 16 x 6 = 96 of 100 + 11 + 89 = 200
// tokens; and on the decode replica, which has its answer too: 110 of them, 6 full blocks of 96 tokens, so
// that only 104 are sent.
TEST(Disaggregation, BothPoolsHavePrefixCaches) {
  const auto names = std::make_shared<const std::vector<std::uint64_t>>(std::vector<std::uint64_t>{7});
  Request first{Time{}, 100, 11, {names, 512, 512}}, second{Time{50'000'000}, 200, 2, {names, 512, 512}};
  const ServingMetrics m = ToyPools{}.run(engine(), these({first, second}));
  EXPECT_EQ(m.finished, 2);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.bytes, 20'000.0 * (100 + 200 - 96));
}

// Two decode replicas and max_model_len: the prefill replica takes a prompt that leaves room for one token;
// a prompt too long for the decode replica's blocks is turned away there, once, and its blocks are freed.
TEST(Disaggregation, TurnedAwayByTheDecodeReplica) {
  ToyPools pools;
  pools.decode_blocks = 5;
  pools.prefill_blocks = 7;
  const ServingMetrics m = pools.run(engine(), these({{Time{}, 100, 2, {}},
                                                      {Time{1'000'000}, 50, 2, {}},
                                                      {Time{2'000'000}, 100, 2, {}},
                                                      {Time{3'000'000}, 113, 2, {}}}));
  EXPECT_EQ(m.arrived, 4);
  EXPECT_EQ(m.rejected, 3);
  EXPECT_EQ(m.finished, 1);
}

/// A link of `gbps`, over which a prompt of 100 tokens takes 2 / gbps ms, and four layers sent one by one:
/// they are ready a quarter, a half, three quarters of a pass of 1 ms after its begin, and at its end.
ToyPools layer_by_layer(double gbps, RunObserver& observer) {
  ToyPools pools;
  pools.connector = KvConnector::p2p_nccl;
  pools.layers = 4;
  pools.gbps = gbps;
  pools.options.observer = &observer;
  return pools;
}

// Each layer takes 0.05 ms; the last sets out with the end of the pass, at 1 ms, and is there at 1.05: first
// token at 2.05. Pulled afterwards it is 1 + 0.2 + 1 = 2.2.
TEST(LayerByLayer, OnlyTheLastLayerIsWaitedFor) {
  Times times;
  const ToyPools pools = layer_by_layer(10, times);
  const ServingMetrics m = pools.run(engine(), closed_loop(1, 1, 100, 11));
  EXPECT_DOUBLE_EQ(m.ttft.mean, 2.05);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 12.05);
  EXPECT_EQ(m.disaggregation->kv.transfers, 1);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.bytes, 2e6);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.transfer.mean, 0.8) << "0.25 to 1.05";
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.handover.mean, 0.05);
}

// Each layer takes 0.5 ms: they follow each other from 0.25 to 2.25. The pass ends when the last sets out
// (1.75), where the request is handed over; its KV is there at 2.25, its first token at 3.25. A second prompt
// that comes at 0.1 has its pass from 1.75 on, with room for one prompt alone, as what is sent is a copy; its
// layers, ready from 2 on, are sent one after another from 2.25 to 4.25, its pass ends at 3.75, its first
// token comes at 5.25.
TEST(LayerByLayer, APassEndsWhenItsLastLayerIsOnItsWay) {
  Times times;
  ToyPools pools = layer_by_layer(1, times);
  pools.prefill_blocks = 7;
  const ServingMetrics m = pools.run(engine(), these({{Time{}, 100, 1, {}}, {Time{100'000}, 100, 1, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(0), 3.25);
  EXPECT_DOUBLE_EQ(times.ttft(1), 5.15);
  // Of the run's 5.25 ms its GPUs compute 2 and wait 0.75 + 1 for layers to set out.
  EXPECT_NEAR(m.disaggregation->prefill.stages[0].compute, 2 / 5.25, 1e-9);
  EXPECT_NEAR(m.disaggregation->prefill.stages[0].communication, 1.75 / 5.25, 1e-9);
}

// Two prompts in one pass: layer by layer the one and the other, eight messages of 0.5 ms from 0.25 on. The
// last of the first is there at 3.75, when the last of the second sets out and the pass ends: the first
// starts in the step that takes it on (to 4.75); the second's is there at 4.25 and waits for that step: 5.75.
TEST(LayerByLayer, PromptsOfAPassTakeTurns) {
  Times times;
  const ToyPools pools = layer_by_layer(1, times);
  pools.run(engine(), these({{Time{}, 100, 2, {}}, {Time{}, 100, 2, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(0), 4.75);
  EXPECT_DOUBLE_EQ(times.ttft(1), 5.75);
}

// In chunks of 50 the pass of the first sends nothing, that of the last (1 to 2 ms) the layers of all 100
// tokens: ready from 1.25 on, the last sets out at 2.75 and is there at 3.25.
TEST(LayerByLayer, OnlyTheLastChunkSends) {
  Times times;
  const ToyPools pools = layer_by_layer(1, times);
  pools.run(engine(256, 50), these({{Time{}, 100, 1, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(0), 4.25);
}

// A front end of 2 ms before the decode replica: the KV, there at 1.05 ms, waits for it, and the step that
// takes the request on (3 ms) computes its first token. A request whose only token is the prefill replica's
// is done with its pass.
TEST(LayerByLayer, KvThatIsThereIsNotWaitedFor) {
  Times times;
  ToyPools pools = layer_by_layer(10, times);
  pools.decode.front_end_time = Time{2'000'000};
  const ServingMetrics m = pools.run(engine(), these({{Time{}, 100, 1, {}}}));
  EXPECT_DOUBLE_EQ(times.ttft(0), 4);
  EXPECT_DOUBLE_EQ(m.disaggregation->kv.handover.mean, 2);
  pools.first_token = FirstToken::prefill;
  EXPECT_DOUBLE_EQ(pools.run(engine(), these({{Time{}, 100, 1, {}}})).e2el.mean, 1);
}

struct RandomCase {
  ToyPools pools;
  EngineOptions options = engine();
  Workload workload;
};

RandomCase random_case(std::uint64_t seed) {
  RandomStream random(seed, "disaggregation");
  const auto between = [&](std::uint64_t low, std::uint64_t high) {
    return static_cast<std::int64_t>(low + random.below(high - low + 1));
  };
  RandomCase c;
  c.pools.prefill_replicas = static_cast<int>(between(1, 3));
  c.pools.decode_replicas = static_cast<int>(between(1, 3));
  c.pools.prefill.stage_count = static_cast<int>(between(1, 3));
  c.pools.decode.stage_count = static_cast<int>(between(1, 3));
  c.pools.prefill.per_prompt_token = Time{between(0, 5'000)};
  c.pools.decode.per_prompt_token = Time{between(0, 5'000)};
  c.pools.decode.per_decode = Time{between(0, 50'000)};
  c.pools.decode.front_end_time = Time{between(0, 300'000)};
  c.pools.decode.hop_time = Time{between(0, 200'000)};
  c.pools.prefill_blocks = between(8, 40);
  c.pools.decode_blocks = between(8, 60);
  c.pools.kv_bytes_per_token = static_cast<double>(between(0, 50'000));
  c.pools.first_token = between(0, 1) == 1 ? FirstToken::prefill : FirstToken::decode;
  c.options = engine(between(1, 12), between(64, 300));
  c.options.async_scheduling = between(0, 1) == 1;
  c.options.scheduler_reserve_full_isl = between(0, 1) == 1;
  if (between(0, 3) == 0) c.options.scheduling_policy = SchedulingPolicy::priority;
  c.options.max_model_len = 400;
  std::vector<Request> requests;
  Time at;
  const auto shared = std::make_shared<const std::vector<std::uint64_t>>(std::vector<std::uint64_t>{1, 2, 3});
  for (int i = 0; i < 60; ++i) {
    at += Time{between(0, 6'000'000)};
    Request request{at, between(1, 250), between(1, 120), {}, between(0, 2)};
    if (between(0, 2) == 0) request.prompt_blocks = {shared, between(16, 96), 32};
    requests.push_back(request);
  }
  if (between(0, 1) == 1) {
    c.pools.connector = KvConnector::p2p_nccl;
    c.pools.layers = between(1, 5);
    c.pools.prefill.stage_count = c.pools.decode.stage_count = 1;
  }
  c.workload = these(std::move(requests));
  if (between(0, 2) == 0) {
    c.workload.arrival = Workload::Arrival::concurrency;
    c.workload.max_concurrency = between(1, 20);
  }
  return c;
}

// Whatever the pools: nothing is lost, the plain run takes the same way, and a run is a function of its
// input.
TEST(Disaggregation, NothingIsLostAndThePlainRunIsTheSame) {
  std::int64_t preemptions = 0, rejections = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const RandomCase c = random_case(seed);
    const ServingMetrics fast = c.pools.run(c.options, c.workload);
    const ServingMetrics plain = c.pools.run(c.options, c.workload, true);
    EXPECT_EQ(fast.arrived, 60) << seed;
    EXPECT_EQ(fast.arrived, fast.finished + fast.rejected) << seed;
    EXPECT_EQ(fast.fingerprint, plain.fingerprint) << seed;
    EXPECT_EQ(fast.ttft.mean, plain.ttft.mean) << seed;
    EXPECT_EQ(fast.itl.p99, plain.itl.p99) << seed;
    EXPECT_EQ(fast.itl.mean, plain.itl.mean) << seed;
    EXPECT_EQ(fast.kv_occupancy_mean, plain.kv_occupancy_mean) << seed;
    EXPECT_EQ(fast.disaggregation->kv.handover.mean, plain.disaggregation->kv.handover.mean) << seed;
    preemptions += fast.preemptions;
    rejections += fast.rejected;
  }
  EXPECT_GT(preemptions, 100) << "the cases are tight enough";
  EXPECT_GT(rejections, 100);
}

}  // namespace
}  // namespace sextant
