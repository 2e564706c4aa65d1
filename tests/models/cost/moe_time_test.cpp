#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "models/base/error.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

/// 8 experts of 3 x 1000 x 2000 weights, 2 a token. Each token-expert pair costs small kernels (2 x 1000 + 3
/// x 2000) x 2 B = 16 kB, 0.016 us at 1e12 B/s, beside all else.
MoeShape experts() {
  return {1000, 2000, 8, 2, 1, 1, "bf16"};
}

double us(const OperatorTime& time) {
  return time.seconds * 1e6;
}

// One token meets 8 x (1 - 6/8) = 2 experts: 12e6 weights x 2 B, and 1000 x 2 B in and out: 24.004e6 B at
// 1e12 B/s, against 24e6 FLOP at 1e14; plus 10 us.
TEST(MoeTime, OfOneTokenStreamsItsExperts) {
  const OperatorTime time = moe_time(toy_gpu(), experts(), 1);
  EXPECT_NEAR(us(time), 10 + 24.004 + 2 * 0.016, 1e-9);
  EXPECT_EQ(time.grade, Grade::fitted);
}

// Four tokens meet 8 x (1 - 0.75^4) = 5.46875 experts: 65.625 MB of weights, 16 kB of activations.
TEST(MoeTime, MoreTokensMeetMoreExperts) {
  EXPECT_NEAR(us(moe_time(toy_gpu(), experts(), 4)), 10 + 65.625 + 0.016 + 8 * 0.016, 1e-9);
}

// 10000 tokens: 2 x 20000 x 6e6 FLOP = 2.4e11 at 1e14 = 2400 us, more than 8 experts' 96 MB and 40 MB.
TEST(MoeTime, OfManyTokensIsArithmetic) {
  const OperatorTime time = moe_time(toy_gpu(), experts(), 10000);
  EXPECT_NEAR(us(time), 10 + 2400 + 20000 * 0.016, 1e-6);
}

// Two ways by width: half of each expert's weights. Two ways by experts: 4 of them, met by half of the pairs;
// the activations stay. A pair's small kernels move (2000 + 3000) x 2 B = 10 kB where the width is halved.
TEST(MoeTime, IsCutByWidthAndByExperts) {
  MoeShape shape = experts();
  shape.tensor_parallel = 2;
  EXPECT_NEAR(us(moe_time(toy_gpu(), shape, 1)), 10 + 12.004 + 2 * 0.010, 1e-9);
  EXPECT_NEAR(us(moe_time(toy_gpu(), shape, 10000)), 10 + 1200 + 20000 * 0.010, 1e-6);
  shape.tensor_parallel = 1;
  shape.expert_parallel = 2;
  EXPECT_NEAR(us(moe_time(toy_gpu(), shape, 1)), 10 + 12.004 + 0.016, 1e-9);
  EXPECT_NEAR(us(moe_time(toy_gpu(), shape, 10000)), 10 + 1200 + 10000 * 0.016, 1e-6);
}

// Two matrices instead of three, whose activation reads and writes one width each: (2 x 1000 + 2 x 2000) x 2
// B a pair; 0.53125 B a weight at 700 GB/s.
TEST(MoeTime, KnowsUngatedAndPackedWeights) {
  MoeShape shape = experts();
  shape.gated = false;
  EXPECT_NEAR(us(moe_time(toy_gpu(), shape, 1)), 10 + 16.004 + 2 * 0.012, 1e-9);
  shape.gated = true;
  shape.type = "w4a16_mxfp4";
  EXPECT_NEAR(us(moe_time(toy_gpu(), shape, 1)), 10 + (12e6 * 0.53125 + 4000 + 32000) / 700e3, 1e-9);
}

// The grid's coordinates: 64 tokens x 2 / 8 = 16 of each expert, 8 experts here, 2000 columns, 1000 hidden.
TEST(MoeTime, EfficiencyIsOverTokensOfAnExpertExpertsAndColumns) {
  GpuProfile gpu = toy_gpu();
  gpu.moe.at("bf16/power_law").efficiency = Grid({{16, 256}, {8}, {2000}, {1000}}, {0.5, 1});
  const double met = 8 * (1 - std::pow(0.75, 64));
  EXPECT_NEAR(us(moe_time(gpu, experts(), 64)), 10 + (met * 12 + 0.256 + 128 * 0.016) / 0.5, 1e-6);
  EXPECT_FALSE(moe_time(gpu, experts(), 64).extrapolated);
  EXPECT_TRUE(moe_time(gpu, experts(), 1).extrapolated);
}

TEST(MoeTime, NamesTheGpuTheTypeAndWhatThereIs) {
  MoeShape shape = experts();
  shape.type = "fp8";
  const auto message = [&](const GpuProfile& gpu) -> std::string {
    try {
      moe_time(gpu, shape, 1);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(toy_gpu()),
            "profile toy has no routed experts of type fp8/power_law, expected one of bf16/power_law, "
            "w4a16_mxfp4/power_law");
  GpuProfile none = toy_gpu();
  none.moe.clear();
  EXPECT_EQ(message(none),
            "profile toy has no routed experts of type fp8/power_law, it has no routed experts at all");
}

TEST(StageCost, CountsRoutedExpertsAsAFamily) {
  StageOperators operators = toy_stage();
  operators.moes = {{experts(), 2}};
  const StageCost stage(operators, toy_gpu(), nullptr, 1);
  EXPECT_NEAR(stage.cost({1, 1000, {}, 1})[Family::moe], 2 * (34.004e-6 + 2 * 0.016e-6), 1e-15);
  EXPECT_EQ(to_string(Family::moe), "moe");
  EXPECT_EQ(to_string(Family::host), "host");
  // A stage whose profile lacks them is refused before it runs.
  GpuProfile none = toy_gpu();
  none.moe.clear();
  EXPECT_THROW(StageCost(operators, none, nullptr, 1), InputError);
}

// Chunks of 100. 150 tokens: 100 x 101 / 2 + 50 x 51 / 2 = 6325 pairs; 100 more after 150: the rest of the
// second chunk (51 + ... + 100 = 3775) and the first half of the third (1275).
TEST(ChunkedAttention, SeesItsOwnChunk) {
  AttentionShape shape = toy_attention();
  shape.chunk = 100;
  GpuProfile gpu = toy_gpu();
  gpu.attention_prefill.at("bf16/128").roofline = {1e-3, 1e6, 0};  // arithmetic alone
  const auto pairs = [&](PrefillChunk chunk) {
    return attention_prefill_time(gpu, shape, chunk).seconds * 1e9 / (4 * 4 * 128);
  };
  EXPECT_NEAR(pairs({150, 0}), 6325, 1e-6);
  EXPECT_NEAR(pairs({100, 150}), 3775 + 1275, 1e-6);
  shape.chunk = 100000;
  EXPECT_NEAR(pairs({100, 150}), 100 * 150 + 5050, 1e-6);
  // Decodes of 60 cached tokens see them all; of 12500, half a chunk on average: 50.5.
  shape.chunk = 100;
  EXPECT_NEAR(us(attention_decode_time(toy_gpu(), shape, 8, 480)), 5 + (480 * 512 + 16384) / 1e6, 1e-9);
  EXPECT_NEAR(us(attention_decode_time(toy_gpu(), shape, 8, 100000)), 5 + (8 * 50.5 * 512 + 16384) / 1e6,
              1e-9);
}

}  // namespace
}  // namespace sextant
