#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "models/llm/layer_parts.hpp"
#include "models/llm/memory.hpp"
#include "models/llm/operators.hpp"

namespace sextant {
namespace {

/// Layers [0, 1) in the middle of a pipeline: neither embedding nor head.
StageShape one_layer(std::int64_t tp, std::int64_t ep) {
  return {{0, 1}, tp, false, false, ep};
}

// A layer of Qwen3 30B-A3B: 128 experts of 3 x 2048 x 768 weights. Over four GPUs each holds 32 whole ones or
// a quarter of the width of all: 32 x 3 x 2048 x 768 = 128 x 3 x 2048 x 192 = 150,994,944 weights either way.
// Attention (32 heads and 4 of keys and values, 128 wide) stays cut: (8 + 1 + 1) x 128 x 2048 + 2048 x 1024 =
// 4,718,592. The router is whole: 128 x 2048 = 262,144.
TEST(ExpertParallel, DividesExpertsAndLeavesAttentionCut) {
  const Architecture model = find_model("qwen3-30b-a3b").architecture;
  const WeightFormat bf16 = weight_format("bf16");
  const double expected = (150994944.0 + 4718592 + 262144) * 2;
  EXPECT_EQ(stage_weights(model, bf16, one_layer(4, 4)).layers, expected);
  EXPECT_EQ(stage_weights(model, bf16, one_layer(4, 1)).layers, expected);

  const LayerParts parts = layer_parts(model.layer(0), model.hidden, {4, 4});
  std::int64_t whole = 0;
  for (const Matrix& matrix : parts.matrices)
    if (matrix.part == Part::experts) {
      EXPECT_EQ(matrix.count, 32);
      EXPECT_EQ(std::min(matrix.outputs, matrix.inputs), 768);
      ++whole;
    }
  EXPECT_EQ(whole, 3);
}

// GLM 4.5 Air: 128 experts and a shared one, all 1408 wide. The shared one is cut by tensor parallelism
// whatever becomes of the others: 704 of its columns on each of two GPUs.
TEST(ExpertParallel, LeavesTheSharedExpertCut) {
  const Architecture model = find_model("glm-4.5-air").architecture;
  const auto& moe = std::get<MixtureOfExperts>(model.layer(model.layer_count() - 1).feed_forward);
  const MixtureOfExperts local = local_experts(moe, {2, 2});
  EXPECT_EQ(local.experts, 64);
  EXPECT_EQ(local.intermediate, 1408);
  EXPECT_EQ(local.shared_intermediate, 704);
}

TEST(ExpertParallel, RefusesExpertsItCannotDivide) {
  const Architecture model = find_model("mixtral-8x7b").architecture;
  const auto& moe = std::get<MixtureOfExperts>(model.layer(0).feed_forward);
  try {
    local_experts(moe, {16, 16});
    FAIL() << "8 experts over 16 GPUs";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "expert parallel: found 16, expected a divisor of the 8 experts");
  }
}

// Whole experts' intermediate values of all of a token's experts are alive, as engines keep room for every
// pair on every GPU. Qwen3 30B, 8192 tokens: 8 x (max(2 x 768, 2048) + 768) + 2048 = 24,576 values beside
// hidden state and residual, where a cut in four needs 8 x (2048 + 192) + 2048 = 19,968.
TEST(ExpertParallel, NeedsMoreRoomForActivations) {
  const Architecture model = find_model("qwen3-30b-a3b").architecture;
  const BatchLimits limits{8192, 256};
  EXPECT_EQ(activation_peak_bytes(model, one_layer(4, 4), limits), 8192.0 * (2 * 2048 + 24576) * 2);
  EXPECT_EQ(activation_peak_bytes(model, one_layer(4, 1), limits), 8192.0 * (2 * 2048 + 19968) * 2);
}

// Eight ranks of one GPU gather eight times 8192 tokens of 2048 values, and as many sums; the experts work on
// 16,384 of them at a time, twice a rank's own: 2 x 8 x (2048 + 768) + 2 x 8 x 2048 values for each of its
// own.
TEST(ExpertParallel, SharedExpertsNeedRoomForAllRanksTokens) {
  const Architecture model = find_model("qwen3-30b-a3b").architecture;
  EXPECT_EQ(activation_peak_bytes(model, one_layer(1, 8), {8192, 256}),
            8192.0 * (2 * 2048 + 2 * 8 * (2048 + 768) + 2 * 8 * 2048) * 2);
}

// Every GPU of a tensor-parallel group has every token already: each computes its own experts for all of them
// and one all-reduce of the hidden state, 2048 x 2 B a token, sums attention and another the experts.
TEST(ExpertParallel, AllReducesTheHiddenStateAndExchangesNothing) {
  const Architecture model = find_model("qwen3-30b-a3b").architecture;
  const StageOperators operators =
      stage_operators(model, weight_format("bf16"), kv_format("bf16"), one_layer(4, 4));
  ASSERT_EQ(operators.collectives.size(), 1u);
  EXPECT_EQ(operators.collectives[0].count, 2);
  EXPECT_EQ(operators.collectives[0].shape.op, "all_reduce");
  EXPECT_EQ(operators.collectives[0].shape.bytes_per_token, 4096);
  ASSERT_EQ(operators.moes.size(), 1u);
  EXPECT_EQ(operators.moes[0].shape.local_experts(), 32);
  EXPECT_EQ(operators.moes[0].shape.tensor_parallel, 1) << "whole experts";
}

}  // namespace
}  // namespace sextant
