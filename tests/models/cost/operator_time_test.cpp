#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "models/base/error.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

double us(const OperatorTime& time) {
  return time.seconds * 1e6;
}

template <class Action>
std::string message(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(GemmTime, MemoryBound) {
  // m 1, n = k = 10000: reads 2e8 B of weights and 2e4 B of input, writes 2e4 B: 200.04e6 B / 1e12 B/s =
  // 200.04 us, more than 2e8 FLOP / 1e14 = 2 us; plus 5 us of latency.
  const OperatorTime time = gemm_time(toy_gpu(), "bf16", 1, 10000, 10000);
  EXPECT_NEAR(us(time), 205.04, 1e-9);
  EXPECT_EQ(time.grade, Grade::fitted);
  EXPECT_FALSE(time.extrapolated);
}

TEST(GemmTime, ComputeBound) {
  // 2 x 10000^3 = 2e12 FLOP at 1e14 FLOP/s = 20 ms, more than 6e8 B at 1e12 B/s = 0.6 ms; plus 5 us.
  const OperatorTime time = gemm_time(toy_gpu(), "bf16", 10000, 10000, 10000);
  EXPECT_NEAR(us(time), 20005, 1e-6);
}

TEST(GemmTime, WeightOnlyQuantisationStreamsItsOwnBytesAndComputesOnSixteenBit) {
  // 1e8 weights x 0.5 B + 2e4 + 2e4 B = 50.04e6 B at 700 GB/s = 71.4857 us, plus 5 us.
  EXPECT_NEAR(us(gemm_time(toy_gpu(), "w4a16", 1, 10000, 10000)), 5 + 50.04e6 / 700e3, 1e-9);
}

TEST(GemmTime, EfficiencyDividesTheWorkAndNotTheLatency) {
  GpuProfile gpu = toy_gpu();
  gpu.gemm.at("bf16").efficiency = Grid({{1, 64}, {10000}, {10000}}, {0.5, 1});
  EXPECT_NEAR(us(gemm_time(gpu, "bf16", 1, 10000, 10000)), 5 + 200.04 / 0.5, 1e-9);
  EXPECT_FALSE(gemm_time(gpu, "bf16", 128, 10000, 10000).extrapolated);  // within a factor of two of the edge
  EXPECT_TRUE(gemm_time(gpu, "bf16", 200, 10000, 10000).extrapolated);
}

TEST(GemmTime, NamesTheMissingType) {
  EXPECT_EQ(message([] { gemm_time(toy_gpu(), "nvfp4", 1, 1, 1); }),
            "profile toy has no gemm of type nvfp4, expected one of bf16, w4a16");
}

TEST(PrefillAttention, CountsCausalPairs) {
  // 1000 tokens without a past: 1000 x 1001 / 2 = 500500 pairs x 4 x 4 heads x 128 = 1.025024e9 FLOP = 10.25
  // us at 1e14 FLOP/s; bytes (1000 x 2 x 128 x 2 + 2 x 1000 x 512 x 2) / 1e12 = 2.56 us are fewer. Plus 5 us.
  EXPECT_NEAR(us(attention_prefill_time(toy_gpu(), toy_attention(), {1000, 0})), 5 + 10.25024, 1e-9);
}

TEST(PrefillAttention, AChunkAfterAPastIsTheDifferenceOfWholePrefills) {
  // Compute-bound throughout, so times less latency are proportional to pairs: whole(3000) - whole(2000).
  const auto work = [](PrefillChunk chunk) {
    return us(attention_prefill_time(toy_gpu(), toy_attention(), chunk)) - 5;
  };
  EXPECT_NEAR(work({1000, 2000}), work({3000, 0}) - work({2000, 0}), 1e-9);
}

TEST(PrefillAttention, AWindowCutsThePairs) {
  // Window 100 after 0 tokens: 100 x 101 / 2 = 5050 pairs of the first hundred, then 900 x 100: 95050 in all,
  // 4 x 4 x 128 x 95050 = 1.9466e8 FLOP = 1.95 us; bytes 2.56 us take longer.
  EXPECT_NEAR(us(attention_prefill_time(toy_gpu(), toy_attention(100), {1000, 0})), 5 + 2.56, 1e-9);
  // 4096 tokens see full windows of 4096 after 10000 cached: 4096^2 pairs, 3.4360e10 FLOP = 343.597 us.
  EXPECT_NEAR(us(attention_prefill_time(toy_gpu(), toy_attention(4096), {4096, 10000})),
              5 + 4.0 * 4 * 128 * 4096 * 4096 / 1e8, 1e-6);
  // A window wider than everything is no window.
  EXPECT_DOUBLE_EQ(us(attention_prefill_time(toy_gpu(), toy_attention(1 << 20), {1000, 500})),
                   us(attention_prefill_time(toy_gpu(), toy_attention(), {1000, 500})));
}

TEST(PrefillAttention, ChunksOfOneKernelShareItsLatency) {
  const std::array chunks = {PrefillChunk{1000, 0}, PrefillChunk{1000, 0}};
  EXPECT_NEAR(us(attention_prefill_time(toy_gpu(), toy_attention(), chunks)), 5 + 2 * 10.25024, 1e-9);
}

TEST(DecodeAttention, StreamsKeysAndValues) {
  // 8 sequences with 100000 cached tokens together: 100000 x 2 x 128 x 2 B = 51.2e6 B, queries and outputs
  // 2 x 8 x 512 x 2 = 16384 B: 51.216384 us at 1e12 B/s, plus 5 us.
  EXPECT_NEAR(us(attention_decode_time(toy_gpu(), toy_attention(), 8, 100000)), 56.216384, 1e-9);
}

TEST(DecodeAttention, IsLinearInTheContextSum) {
  const auto time = [](double sum) { return us(attention_decode_time(toy_gpu(), toy_attention(), 8, sum)); };
  EXPECT_NEAR(time(300000) - time(200000), time(200000) - time(100000), 1e-9);
}

TEST(DecodeAttention, AWindowCutsTheMeanContext) {
  // Mean 12500 is cut to 128: 8 x 128 x 512 B + 16384 B = 540672 B.
  EXPECT_NEAR(us(attention_decode_time(toy_gpu(), toy_attention(128), 8, 100000)), 5.540672, 1e-9);
}

TEST(DecodeAttention, NamesTheMissingHeadSize) {
  AttentionShape shape = toy_attention();
  shape.head_dim = 80;
  EXPECT_THAT(message([&] { attention_decode_time(toy_gpu(), shape, 1, 1); }),
              HasSubstr("profile toy has no decode attention of type bf16/80, expected one of bf16/128"));
}

TEST(ElementwiseTime, DividesByItsEfficiency) {
  // 2 MB lie halfway between 1 and 4 MB in logarithms: efficiency sqrt(0.5 x 1); 2 us / 0.7071 + 5 us.
  EXPECT_NEAR(us(elementwise_time(toy_gpu(), {"rope", 2e5}, 10)), 5 + 2 / std::sqrt(0.5), 1e-9);
}

TEST(CollectiveTime, ReadsTheCurveOfExactlyThatGroup) {
  EXPECT_NEAR(us(collective_time(toy_link(), "all_reduce", 2, 1e5)), 100, 1e-9);
  EXPECT_EQ(collective_time(toy_link(), "all_reduce", 1, 1e5).seconds, 0);
  EXPECT_EQ(message([] { collective_time(toy_link(), "all_reduce", 4, 1e5); }),
            "link profile toy-link has no all_reduce of 4 ranks, it has all_reduce of 2 ranks");
  EXPECT_TRUE(collective_time(toy_link(), "all_reduce", 2, 1e7).extrapolated);
}

/// The toy link with an own kernel of 4 us from 1 kB to 10 kB and 400 us at 200 kB.
LinkProfile with_own_kernel() {
  LinkProfile link = toy_link();
  link.collectives.push_back(
      {"all_reduce", 2, {Grade::measured, "test", {1e3, 1e4, 2e5}, {4, 4, 400}, {}}, "custom"});
  return link;
}

TEST(CollectiveTime, TakesTheOwnKernelWhereItIsFaster) {
  const LinkProfile link = with_own_kernel();
  // 5 kB: 4 us against NCCL's 10.
  EXPECT_NEAR(us(collective_time(link, "all_reduce", 2, 5e3)), 4, 1e-9);
  EXPECT_EQ(collective_time(link, "all_reduce", 2, 5e3).grade, Grade::measured);
  // 200 kB, its last size: 400 us against NCCL's 200.
  EXPECT_NEAR(us(collective_time(link, "all_reduce", 2, 2e5)), 200, 1e-9);
  EXPECT_EQ(collective_time(link, "all_reduce", 2, 2e5).grade, Grade::scaled);
}

TEST(CollectiveTime, LeavesTheOwnKernelBeyondItsLastSize) {
  LinkProfile link = with_own_kernel();
  link.collectives.back().curve.us.back() = 8;  // now faster at 200 kB
  EXPECT_NEAR(us(collective_time(link, "all_reduce", 2, 2e5)), 8, 1e-9);
  EXPECT_NEAR(us(collective_time(link, "all_reduce", 2, 200001)), 200.001, 1e-6);  // NCCL, 1 kB/us
}

TEST(CollectiveTime, NeedsNcclBesideAnOwnKernel) {
  LinkProfile link = with_own_kernel();
  link.collectives.erase(link.collectives.begin());
  EXPECT_EQ(message([&] { collective_time(link, "all_reduce", 2, 1e5); }),
            "link profile toy-link has no all_reduce of 2 ranks, it has no collectives");
}

TEST(SendTime, StagedNeedsItsCurve) {
  EXPECT_NEAR(us(send_time(toy_link(), 1e6, false)), 1000, 1e-9);
  EXPECT_THAT(message([] { send_time(toy_link(), 1e6, true); }), HasSubstr("no curve of transfers staged"));
}

TEST(SpreadFactor, IsGeometricBetweenTheEnds) {
  const Spread spread{0.64, 1.44};
  EXPECT_DOUBLE_EQ(spread_factor(spread, 0), 1);
  EXPECT_DOUBLE_EQ(spread_factor(spread, 1), 1.44);
  EXPECT_DOUBLE_EQ(spread_factor(spread, -1), 0.64);
  EXPECT_NEAR(spread_factor(spread, 0.5), 1.2, 1e-12);   // sqrt(1.44)
  EXPECT_NEAR(spread_factor(spread, -0.5), 0.8, 1e-12);  // sqrt(0.64)
}

// Measured with at most 2 key-value heads: 3 sequences of 8 heads are as many tiles as 12 of 2, where the
// grid says half the rate. 3 x 100 tokens x 8 heads x 512 B = 1.2288 MB and 3 x 32 heads x 512 B = 49,152 B
// of queries and outputs: 1.277952 us, twice that, and 5 us of launch.
TEST(AttentionDecode, MoreHeadsThanMeasuredAreMoreSequences) {
  GpuProfile gpu = toy_gpu();
  gpu.attention_decode.at("bf16/128").efficiency =
      Grid({{3, 12}, {100, 200}, {1, 2}, {4, 8}},
           {1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5});
  EXPECT_NEAR(attention_decode_time(gpu, {32, 8, 128, 0, "bf16"}, 3, 300).seconds, (5 + 2 * 1.277952) * 1e-6,
              1e-12);
}

}  // namespace
}  // namespace sextant
