#include "models/cost/expert_parallel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <vector>

#include "models/cost/operator_work.hpp"
#include "models/llm/catalogue.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

// 128 equal experts, 8 a token, met by chance: 128 (1 - (1 - 8/128)^tokens). One token meets 8, 16
// tokens 82.42, 256 tokens all but a handful of millionths. The bytes follow: 3 x 2048 x 768 weights of 2 B
// each.
TEST(Experts, AreTouchedAsChanceHasIt) {
  const MoeShape shape{2048, 768, 128, 8, 1, 1, "bf16"};
  constexpr double expert_bytes = 3.0 * 2048 * 768 * 2;
  for (const double tokens : {1.0, 4.0, 16.0, 64.0, 256.0}) {
    const double touched = 128 * (1 - std::pow(1 - 8.0 / 128, tokens));
    EXPECT_NEAR(moe_work(shape, "uniform", 2, tokens).streamed_bytes, touched * expert_bytes, 1);
  }
  EXPECT_NEAR(moe_work(shape, "uniform", 2, 1).streamed_bytes, 8 * expert_bytes, 1);
  EXPECT_NEAR(moe_work(shape, "uniform", 2, 16).streamed_bytes / expert_bytes, 82.4225, 1e-3);
}

TEST(FullestRank, IsOneWhereLoadsAreEqual) {
  EXPECT_DOUBLE_EQ(fullest_rank(128, 1, 1.2, 1000), 1);
  EXPECT_DOUBLE_EQ(fullest_rank(128, 8, 1.2, 1), 1);
}

// Exponent 0: loads uniform between 1 and 3, mean 2, deviation 2 / sqrt(12) = 0.57735. Two ranks of four
// experts: quantile(1.625 / 2.25 = 0.72222) = 0.58946; sqrt((1 - 1/2) / 4) = 0.353553; 1 + 0.58946 x 0.353553
// x 0.288675 = 1.060162.
TEST(FullestRank, FollowsFromMeanAndDeviation) {
  EXPECT_NEAR(fullest_rank(8, 2, 0, 3), 1.060162, 1e-5);
}

// One expert on each of four ranks, loads uniform between 1 and 3: quantile(3.625 / 4.25) = 1.0491 x
// sqrt(3/4) x 0.288675 = 0.2623 above 1. The busiest lies at 1 + 4/5 x 2 = 2.6: 4 x 2.6 / (2.6 + 3 x 2)
// = 1.2093 is less. Heavy tails, exponent 1 between 1 and e^10, on 128 ranks: mean (e^10 - 1) / 10 = 2202.55,
// the busiest at e^(10 x 128 / 129) = 20383.7: 128 x 20383.7 / (20383.7 + 127 x 2202.55) = 8.694, where the
// normal says 6.15.
TEST(FullestRank, IsAtLeastTheOneWithTheBusiestExpert) {
  EXPECT_NEAR(fullest_rank(4, 4, 0, 3), 1.2623, 1e-4);
  EXPECT_NEAR(fullest_rank(128, 128, 1, std::exp(10)), 8.694, 0.01);
}

// More skew, more ranks and fewer experts on each make it worse; never more than everything on one.
TEST(FullestRank, GrowsWithSkewAndRanks) {
  EXPECT_GT(fullest_rank(128, 8, 1.2, 800), fullest_rank(128, 8, 1.01, 800) * 0.9);
  EXPECT_GT(fullest_rank(128, 16, 1.2, 800), fullest_rank(128, 8, 1.2, 800));
  EXPECT_LE(fullest_rank(8, 8, 1.2, 1e9), 8);
}

// The fullest of two ranks gets 1.5 times its half of 2 x 1000 pairs: 1500 pairs of 2 x 6e6 FLOP.
TEST(FullestRank, SetsTheWork) {
  const MoeShape shape{1000, 2000, 8, 2, 1, 2, "bf16"};
  EXPECT_DOUBLE_EQ(moe_work(shape, skewed_routing, 2, 1000, 1.5).flops, 1500 * 2 * 6e6);
}

/// What the fullest of `ranks` GPUs gets over its equal share, by every way in which `tokens` tokens can take
/// `topk` of the experts; GPU r holds experts [r, r + 1) x experts / ranks.
double enumerated(int experts, int topk, int ranks, int tokens) {
  std::map<std::vector<int>, double> ways = {{std::vector<int>(static_cast<std::size_t>(ranks), 0), 1}};
  for (int token = 0; token < tokens; ++token) {
    std::map<std::vector<int>, double> next;
    for (unsigned taken = 0; taken < (1u << experts); ++taken) {
      if (std::popcount(taken) != topk) continue;
      for (const auto& [loads, count] : ways) {
        std::vector<int> sum = loads;
        for (int e = 0; e < experts; ++e)
          if (taken >> e & 1) ++sum[static_cast<std::size_t>(e / (experts / ranks))];
        next[sum] += count;
      }
    }
    ways = std::move(next);
  }
  double all = 0, fullest = 0;
  for (const auto& [loads, count] : ways) {
    all += count;
    fullest += count * *std::max_element(loads.begin(), loads.end());
  }
  return fullest / all / (static_cast<double>(tokens) * topk / ranks);
}

// Two tokens, each with one of four experts on two GPUs: both on the same one half of the time, so 1.5 pairs
// on the fullest of 1 each. Two of four experts: (2, 0), (1, 1), (0, 2) in 1, 4, 1 of 6 ways; two such tokens
// put 2, 3 or 4 pairs on the fullest in 18, 16, 2 of 36 ways: 92 / 36, of 2 each.
TEST(FullestRankByChance, AgreesWithEveryWayThereIs) {
  EXPECT_DOUBLE_EQ(enumerated(4, 1, 2, 2), 1.5);
  EXPECT_DOUBLE_EQ(enumerated(4, 2, 2, 2), 92.0 / 72);
  for (const auto& [experts, topk, ranks, tokens] : std::vector<std::array<int, 4>>{{4, 1, 2, 2},
                                                                                    {4, 2, 2, 2},
                                                                                    {8, 2, 2, 1},
                                                                                    {8, 2, 2, 8},
                                                                                    {8, 2, 4, 3},
                                                                                    {8, 2, 4, 8},
                                                                                    {8, 1, 4, 8},
                                                                                    {12, 4, 4, 2},
                                                                                    {12, 4, 4, 5},
                                                                                    {8, 2, 8, 5},
                                                                                    {8, 2, 8, 1}})
    EXPECT_NEAR(
        fullest_rank_by_chance(experts, topk, ranks, tokens) / enumerated(experts, topk, ranks, tokens), 1,
        0.1)
        << experts << " experts, " << topk << " a token, " << ranks << " GPUs, " << tokens << " tokens";
}

// 64 tokens with 8 of 128 experts on four GPUs: 128 pairs each, of variance 128 x 3/4 x 120/127 = 90.7; the
// fullest lies quantile(3.625 / 4.25) = 1.0491 x sqrt(4/3) x 9.524 = 11.54 above: 1.0901. Ever evener with
// more tokens, and even where every token takes every expert.
TEST(FullestRankByChance, EvensOutWithTokens) {
  EXPECT_NEAR(fullest_rank_by_chance(128, 8, 4, 64), 1.0901, 1e-4);
  EXPECT_LT(fullest_rank_by_chance(128, 8, 4, 8192), 1.009);
  EXPECT_DOUBLE_EQ(fullest_rank_by_chance(8, 8, 4, 16), 1);
  EXPECT_DOUBLE_EQ(fullest_rank_by_chance(128, 8, 1, 64), 1);
}

// One token with one expert: the GPU that has it has all there is.
TEST(FullestRankByChance, KnowsWholeTokens) {
  EXPECT_DOUBLE_EQ(fullest_rank_by_chance(16, 1, 2, 1), 2);
  EXPECT_DOUBLE_EQ(fullest_rank_by_chance(16, 1, 4, 1), 4);
}

// Of 128 experts 8 a token, 32 on each of four GPUs: 16 tokens meet 32 (1 - (1 - 1/16)^16) = 20.6 on each in
// expectation; on the fullest, which gets f times its share, 32 (1 - (1 - f/16)^16).
TEST(FullestRankByChance, TouchesMoreExperts) {
  const MoeShape shape{2048, 768, 128, 8, 1, 4, "bf16"};
  constexpr double expert_bytes = 3.0 * 2048 * 768 * 2;
  EXPECT_NEAR(moe_work(shape, skewed_routing, 2, 16).streamed_bytes / expert_bytes, 20.606, 1e-3);
  const double f = fullest_rank_by_chance(128, 8, 4, 16);
  EXPECT_NEAR(f, 1.1803, 1e-4);  // 1 + 1.0491 x sqrt(4/3 x 32 x 3/4 x 120/127) / 32
  EXPECT_NEAR(moe_work(shape, skewed_routing, 2, 16, f).streamed_bytes / expert_bytes,
              32 * (1 - std::pow(1 - f / 16, 16)), 1e-6);
}

// Attention on one GPU, experts over eight: the 2048 values of 2 B of every rank's tokens go to all, each
// token with the numbers and weights of its 8 experts of 4 B each, and come back as sums.
TEST(Exchange, GathersEveryRanksTokensAndScattersTheirSums) {
  const Architecture model = find_model("qwen3-30b-a3b").architecture;
  StageShape stage{{0, 1}, 1, false, false};
  stage.expert_parallel = 8;
  const StageOperators operators = stage_operators(model, weight_format("bf16"), kv_format("bf16"), stage);
  ASSERT_EQ(operators.collectives.size(), 2u);
  const CollectiveShape &dispatch = operators.collectives[0].shape, &combine = operators.collectives[1].shape;
  EXPECT_EQ(dispatch, (CollectiveShape{"all_gather", 2048 * 2 + 8 * (4 + 4), 8}));
  EXPECT_EQ(combine, (CollectiveShape{"reduce_scatter", 2048 * 2, 8}));
  EXPECT_EQ(operators.moes[0].shape.local_experts(), 16);
  // Within the tensor-parallel group every GPU has every token already: an all-reduce and no exchange.
  const StageOperators within =
      stage_operators(model, weight_format("bf16"), kv_format("bf16"), {{0, 1}, 4, false, false, 4});
  for (const auto& [shape, count] : within.collectives) EXPECT_EQ(shape.op, "all_reduce");
}

// Ranks of two GPUs: attention is summed by an all-reduce of the rank's own tokens; the experts' sums come
// back in halves, which an all-gather makes whole.
TEST(Exchange, SharesARanksTokensAmongItsGpus) {
  const Architecture model = find_model("qwen3-30b-a3b").architecture;
  const StageOperators operators =
      stage_operators(model, weight_format("bf16"), kv_format("bf16"), {{0, 1}, 2, false, false, 8});
  std::vector<std::pair<std::string, std::int64_t>> found;
  for (const auto& [shape, count] : operators.collectives) found.emplace_back(shape.op, shape.ranks);
  const std::vector<std::pair<std::string, std::int64_t>> expected = {
      {"all_reduce", 0}, {"all_gather", 8}, {"reduce_scatter", 8}, {"all_gather", 0}};
  EXPECT_EQ(found, expected);
}

// Super's experts work on 1024 of 4096 values: that is what travels.
TEST(Exchange, OfLatentExpertsIsNarrow) {
  const Architecture model = find_model("nemotron-3-super-120b-a12b").architecture;
  StageShape stage{{1, 2}, 1, false, false};
  stage.expert_parallel = 8;
  const StageOperators operators = stage_operators(model, weight_format("bf16"), kv_format("bf16"), stage);
  ASSERT_EQ(operators.collectives.size(), 2u);
  EXPECT_EQ(operators.collectives[1].shape.bytes_per_token, 1024 * 2);
  EXPECT_EQ(operators.moes[0].shape.hidden, 1024);
  EXPECT_FALSE(operators.moes[0].shape.gated);
}

}  // namespace
}  // namespace sextant
