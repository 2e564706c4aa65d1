#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "models/base/error.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

constexpr double us = 1e-6;
PassShape decodes(std::int64_t count, std::int64_t context_sum) {
  return {count, context_sum, {}, count};
}

TEST(StageCost, AddsUpADecodePass) {
  const StageCost stage(toy_stage(), toy_gpu(), nullptr, 1);
  const FamilySeconds cost = stage.cost(decodes(2, 100000));
  // Layers: m 2, n = k = 1000: 2e6 + 4e3 + 4e3 B = 2.008 us against 0.04 us of arithmetic, plus 5: 7.008 us,
  // twice. Head: m 2, n 2000, k 1000: 4e6 + 4e3 + 8e3 B = 4.012 us, plus 5.
  EXPECT_NEAR(cost[Family::gemm], (2 * 7.008 + 9.012) * us, 1e-15);
  // Element-wise: 2 x 4e6 B are beyond the grid's edge, efficiency 1: 8 + 5 us, twice.
  EXPECT_NEAR(cost[Family::elementwise], 26 * us, 1e-15);
  // 100000 x 512 B + 2 x 2 x 512 x 2 B = 51.204096 us + 5 us, twice.
  EXPECT_NEAR(cost[Family::attention_decode], 2 * 56.204096 * us, 1e-15);
  EXPECT_EQ(cost[Family::attention_prefill], 0);
  EXPECT_EQ(cost[Family::collective], 0);
  EXPECT_NEAR(cost.total(), (23.028 + 26 + 112.408192) * us, 1e-15);
}

TEST(StageCost, DenseWorkRunsAtTheTotalTokenCount) {
  const StageCost stage(toy_stage(), toy_gpu(), nullptr, 1);
  const std::array chunks = {PrefillChunk{510, 0}, PrefillChunk{512, 1024}};
  const FamilySeconds mixed = stage.cost({2, 2000, chunks, 3});
  const FamilySeconds plain = stage.cost(decodes(1024, 2000));
  // 2 + 510 + 512 = 1024 tokens, 3 samples: the same layers as 1024 decodes, another head.
  EXPECT_EQ(mixed[Family::elementwise], plain[Family::elementwise]);
  const std::array whole = {PrefillChunk{1024, 0}};
  EXPECT_EQ(stage.cost({0, 0, whole, 0})[Family::elementwise], plain[Family::elementwise]);
  // Prefill attention: 4 x 4 x 128 FLOP x (510 x 511 / 2 + 512 x 1024 + 512 x 513 / 2) pairs at 1e14, one
  // latency, two layers.
  const double pairs = 510 * 511 / 2.0 + 512 * 1024 + 512 * 513 / 2.0;
  EXPECT_NEAR(mixed[Family::attention_prefill], 2 * (5 * us + 2048 * pairs / 1e14), 1e-12);
}

// 200 decodes of 1,000 tokens beside a prompt of 10, 4 query heads on one key-value head of 128. In a kernel
// of their own they take about 109 us, most of it reading 102 MB. In tiles of 64 rows of each head they
// compute 64 x 936 + 64 x 65 / 2 = 61,984 pairs each: 200 x 61984 x 4 x 4 x 128 FLOP at 1e14 = 253.886 us.
// Packed, the 4 heads share the tile, 16 rows each: 16 x 984 + 16 x 17 / 2 = 15,880 pairs, 65 us: reading
// takes longer, 200 x (1000 x 512 B + 2 x 16 rows x 512 x 2 B) = 108.9536 us. Two layers.
TEST(StageCost, DecodesFillATileOfAKernelSharedWithPrompts) {
  const StageCost stage(toy_stage(), toy_gpu(), nullptr, 1);
  const std::array chunks = {PrefillChunk{10, 0}};
  PassShape pass{200, 200000, chunks, 201};
  const double own = stage.cost(decodes(200, 200000))[Family::attention_decode];
  EXPECT_NEAR(stage.cost(pass)[Family::attention_decode], own, 1e-12);
  pass.mixed_tile = {64, false};
  EXPECT_NEAR(stage.cost(pass)[Family::attention_decode], 2 * 253.886464 * us, 1e-12);
  pass.mixed_tile = {64, true};
  EXPECT_NEAR(stage.cost(pass)[Family::attention_decode], 2 * 108.9536 * us, 1e-12);
  PassShape decodes_only = decodes(200, 200000);
  decodes_only.mixed_tile = {64, false};
  EXPECT_NEAR(stage.cost(decodes_only)[Family::attention_decode], own, 1e-12);
}

TEST(StageCost, PaddingIsDenseWorkOnly) {
  const StageCost stage(toy_stage(), toy_gpu(), nullptr, 1);
  PassShape padded = decodes(2, 2000);
  padded.padding = 6;
  const FamilySeconds cost = stage.cost(padded), plain = stage.cost(decodes(2, 2000)),
                      eight = stage.cost({8, 8000, {}, 2});
  EXPECT_EQ(cost[Family::gemm], eight[Family::gemm]);
  EXPECT_EQ(cost[Family::elementwise], eight[Family::elementwise]);
  EXPECT_EQ(cost[Family::attention_decode], plain[Family::attention_decode]);
}

TEST(StageCost, NothingCostsNothing) {
  const StageCost stage(toy_stage(), toy_gpu(), nullptr, 1);
  EXPECT_EQ(stage.cost({}).total(), 0);
  const std::array chunk = {PrefillChunk{100, 0}};
  const double with_head = stage.cost({0, 0, chunk, 1})[Family::gemm];
  const double without = stage.cost({0, 0, chunk, 0})[Family::gemm];
  // The head for one sample: 4e6 + 2e3 + 4e3 B = 4.006 us + 5 us.
  EXPECT_NEAR(with_head - without, 9.006 * us, 1e-15);
}

TEST(StageCost, NeverFallsWithTokens) {
  const StageCost stage(toy_stage(), toy_gpu(), nullptr, 1);
  double last = 0;
  for (std::int64_t tokens = 1; tokens <= 4096; ++tokens) {
    const std::array chunk = {PrefillChunk{tokens, 0}};
    const double now = stage.cost({0, 0, chunk, 1}).total();
    ASSERT_GE(now, last) << tokens;
    last = now;
  }
}

TEST(StageCost, LevelsMoveOneFamilyAtATime) {
  const PassShape pass = decodes(8, 8000);
  const FamilySeconds nominal = StageCost(toy_stage(), toy_gpu(), nullptr, 1).cost(pass);
  const FamilySeconds slow =
      StageCost(toy_stage(), toy_gpu(), nullptr, 1, CostLevel::only(Family::gemm, 1)).cost(pass);
  const FamilySeconds fast =
      StageCost(toy_stage(), toy_gpu(), nullptr, 1, CostLevel::only(Family::attention_decode, -1)).cost(pass);
  EXPECT_NEAR(slow[Family::gemm] / nominal[Family::gemm], 1.25, 1e-12);
  EXPECT_EQ(slow[Family::attention_decode], nominal[Family::attention_decode]);
  EXPECT_NEAR(fast[Family::attention_decode] / nominal[Family::attention_decode], 0.8, 1e-12);
  EXPECT_EQ(fast[Family::gemm], nominal[Family::gemm]);
}

TEST(StageCost, CollectivesNeedALinkAndLowerTheGrade) {
  StageOperators operators = toy_stage();
  operators.collectives = {{{"all_reduce", 1000}, 4}};
  const LinkProfile link = toy_link();
  const StageCost stage(operators, toy_gpu(), &link, 2);
  // 100 tokens x 1000 B = 1e5 B: 100 us each, four of them.
  EXPECT_NEAR(stage.cost(decodes(100, 1000))[Family::collective], 400 * us, 1e-12);
  EXPECT_EQ(stage.grade(), Grade::scaled);  // the link's curve, weaker than the fitted GPU
  EXPECT_EQ(StageCost(toy_stage(), toy_gpu(), nullptr, 1).grade(), Grade::fitted);
  EXPECT_THROW(StageCost(operators, toy_gpu(), nullptr, 2), InputError);
  EXPECT_THROW(StageCost(operators, toy_gpu(), &link, 4), InputError);
}

// The first case again, whose ranks now wait 2.8 us for the last of them, four times; the curve itself stays.
TEST(StageCost, RanksOfACollectiveWaitForTheLast) {
  StageOperators operators = toy_stage();
  operators.collectives = {{{"all_reduce", 1000}, 4}};
  LinkProfile link = toy_link();
  link.rank_wait_us = Figure{2.8, Grade::fitted, "test", ""};
  const StageCost stage(operators, toy_gpu(), &link, 2);
  EXPECT_NEAR(stage.cost(decodes(100, 1000))[Family::collective], 4 * 102.8 * us, 1e-12);
  EXPECT_NEAR(collective_time(link, "all_reduce", 2, 1e5).seconds, 100 * us, 1e-12);
}

// A fifth of the weights are read in 1.5 times the time: the mean of many layers is 1.1 times a kernel's. Of
// 2 rows all GEMMs wait for weights: (2 x 7.008 + 9.012) us; of 2,000 the layers' compute: their arithmetic
// is 40 us against 10 us of bytes.
TEST(StageCost, PassesTakeTheMeanOfFastAndSlowReads) {
  GpuProfile gpu = toy_gpu();
  gpu.gemm.at("bf16").slow_state = {0.2, 1.5};
  const StageCost stage(toy_stage(), gpu, nullptr, 1), steady(toy_stage(), toy_gpu(), nullptr, 1);
  EXPECT_NEAR(stage.cost(decodes(2, 2000))[Family::gemm], 1.1 * (2 * 7.008 + 9.012) * us, 1e-15);
  EXPECT_NEAR(stage.cost(decodes(2000, 2000))[Family::gemm], steady.cost(decodes(2000, 2000))[Family::gemm],
              1e-15);
  EXPECT_EQ(gemm_time(gpu, "bf16", 2, 1000, 1000).seconds,
            gemm_time(toy_gpu(), "bf16", 2, 1000, 1000).seconds);
}

// Half a microsecond of a GEMM's row and one of an attention's was the graph that held it alone: three GEMMs
// and two attentions of the pass above take 3.5 us less.
TEST(StageCost, PassesAreSparedWhatAKernelAloneTook) {
  GpuProfile gpu = toy_gpu();
  gpu.gemm.at("bf16").alone_us = 0.5;
  gpu.attention_decode.at("bf16/128").alone_us = 1;
  const StageCost stage(toy_stage(), gpu, nullptr, 1), whole(toy_stage(), toy_gpu(), nullptr, 1);
  const PassShape pass = decodes(2, 100000);
  EXPECT_NEAR(whole.cost(pass).total() - stage.cost(pass).total(), 3.5 * us, 1e-15);
}

TEST(StageCost, NamesMissingTypesBeforeAnyPass) {
  StageOperators operators = toy_stage();
  operators.sample_gemms = {{{"nvfp4", 8, 8}, 1}};
  EXPECT_THROW(StageCost(operators, toy_gpu(), nullptr, 1), InputError);
}

TEST(StageCost, SaysWhenItLeftTheFittedRange) {
  GpuProfile gpu = toy_gpu();
  gpu.elementwise.efficiency = {};
  gpu.gemm.at("bf16").efficiency = Grid({{1, 64}, {1000}, {1000}}, {1, 1});
  const StageCost stage(toy_stage(), gpu, nullptr, 1);
  stage.cost(decodes(64, 6400));
  EXPECT_FALSE(stage.extrapolated());
  stage.cost(decodes(129, 6400));
  EXPECT_TRUE(stage.extrapolated());
}

TEST(StageCost, CopiesAgree) {
  const StageCost stage(toy_stage(), toy_gpu(), nullptr, 1);
  stage.cost(decodes(3, 300));
  const StageCost copy = stage;
  EXPECT_EQ(copy.cost(decodes(5, 700)).total(), stage.cost(decodes(5, 700)).total());
}

}  // namespace
}  // namespace sextant
