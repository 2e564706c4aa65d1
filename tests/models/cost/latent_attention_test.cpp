#include "models/cost/latent_attention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "models/base/error.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

/// Two heads of 6 + 2 values, 4 for values, on latent vectors of 10 (queries) and 20 + 2 (keys and values),
/// hidden 100. Shared projections: 10 x 100 + 16 x 10 + 22 x 100 + 8 x 100 = 4160 weights; between latent
/// vector and heads 2 x 10 x 20 = 400.
LatentAttentionShape small() {
  return {2, 100, 10, 20, 6, 2, 4, "bf16", "bf16"};
}

TEST(LatentAttention, CountsItsWeights) {
  EXPECT_DOUBLE_EQ(small().shared_weights(), 4160);
  EXPECT_DOUBLE_EQ(small().latent_weights(), 400);
  LatentAttentionShape straight = small();
  straight.query_rank = 0;  // 16 x 100 instead of 10 x 100 + 16 x 10
  EXPECT_DOUBLE_EQ(straight.shared_weights(), 4600);
  // DeepSeek-V3: 187,105,280 in all, as its parameters have it.
  const LatentAttentionShape v3 = deepseek_v3_attention(128, "bf16", "bf16");
  EXPECT_DOUBLE_EQ(v3.shared_weights() + v3.latent_weights(), 187'105'280);
}

// Five tokens at 30 cached each: 2 x 5 x 4560 FLOPs of projections and 2 x 2 x (2 x 20 + 2) x 150 of
// attention; 4560 weights and 150 x 22 values of 2 B read, 5 hidden states in and out.
TEST(LatentAttention, DecodesOnTheLatentVectors) {
  const OperatorWork work = latent_decode_work(small(), 2, 2, 5, 30);
  EXPECT_DOUBLE_EQ(work.flops, 45'600 + 25'200);
  EXPECT_DOUBLE_EQ(work.streamed_bytes, 9'120 + 6'600);
  EXPECT_DOUBLE_EQ(work.bytes, 15'720 + 2'000);
  EXPECT_EQ(work.point.coordinates()[0], 5);
  EXPECT_EQ(work.point.coordinates()[1], 30);
  EXPECT_EQ(work.point.coordinates()[2], 2);
  // Of 8-bit latent vectors half as much is read.
  EXPECT_DOUBLE_EQ(latent_decode_work(small(), 2, 1, 5, 30).streamed_bytes, 9'120 + 3'300);
}

// Two prompts of four tokens: 2 x 8 x 4560 FLOPs of projections, 2 x 2 x (8 + 4) for each of 2 x 10 pairs.
TEST(LatentAttention, ExpandsPrompts) {
  const std::array<PrefillChunk, 2> prompts = {{{4, 0}, {4, 0}}};
  const OperatorWork work = latent_prefill_work(small(), 2, 2, prompts);
  EXPECT_DOUBLE_EQ(work.flops, 72'960 + 960);
  EXPECT_DOUBLE_EQ(work.bytes, 9'120 + 2 * 8 * 200);
  EXPECT_DOUBLE_EQ(work.point.coordinates()[0], 4);
  EXPECT_DOUBLE_EQ(work.point.coordinates()[1], 2);
}

// Four tokens after 16: pairs 4 x 16 + 10 = 74; the 16 are expanded again (2 x 16 x 400 FLOPs; their latent
// vectors read, 2 heads x 12 values written and read).
TEST(LatentAttention, ExpandsWhatIsCachedForEachChunk) {
  const std::array<PrefillChunk, 1> chunk = {{{4, 16}}};
  const OperatorWork work = latent_prefill_work(small(), 2, 2, chunk);
  EXPECT_DOUBLE_EQ(work.flops, 2 * 4 * 4'560.0 + 2 * 16 * 400 + 48 * 74);
  EXPECT_DOUBLE_EQ(work.bytes, 9'120 + 16 * 22 * 2 + 2 * 4 * 200 + 2 * 16 * 2 * 12 * 2);
  EXPECT_DOUBLE_EQ(work.point.coordinates()[0], 4);  // one prompt of its new tokens
  EXPECT_DOUBLE_EQ(work.point.coordinates()[1], 1);
}

/// 100 TFLOP/s, 1000 GB/s, 10 us.
GpuProfile with_latent_attention() {
  GpuProfile profile = toy_gpu();
  OperatorModel model = profile.gemm.at("bf16");
  model.roofline = {100, 1000, 10};
  model.efficiency = {};
  profile.latent_prefill["bf16/bf16"] = profile.latent_decode["bf16/bf16"] = model;
  return profile;
}

StageOperators latent_stage() {
  StageOperators stage;
  stage.latents = {{deepseek_v3_attention(128, "bf16", "bf16"), 2}};
  return stage;
}

// Two layers. Decode of one at 1000 cached: (187,105,280 x 2 + 1000 x 576 x 2 + 2 x 7168 x 2) B at 1e12 B/s =
// 375.391 us, and 10 us. In one pass with a prompt the shared 170,328,064 weights are read once: 340.656 us
// less.
TEST(LatentAttention, ReadsSharedProjectionsOnceAPass) {
  const StageCost cost(latent_stage(), with_latent_attention(), nullptr, 1);
  PassShape decode;
  decode.decodes = decode.samples = 1;
  decode.decode_context_sum = 1000;
  EXPECT_NEAR(cost.cost(decode)[Family::attention_decode] * 1e6, 2 * (10 + 375.391232), 1e-6);
  const PrefillChunk chunk{512, 0};
  PassShape mixed = decode;
  mixed.chunks = {&chunk, 1};
  EXPECT_NEAR(cost.cost(mixed)[Family::attention_decode] * 1e6, 2 * (10 + 375.391232 - 340.656128), 1e-6);
  EXPECT_GT(cost.cost(mixed)[Family::attention_prefill], 0);
}

// GEMMs draw 1300 W at the full clock, of latent attention nobody knows: it draws the limit's 700, neither
// nothing nor more. The clock falls to 600 W above idle over what the mixture draws above idle.
TEST(LatentAttention, DrawsWhatTheLimitAllows) {
  StageOperators stage = latent_stage();
  stage.gemms = {{{"bf16", 1000, 1000}, 200}};
  GpuProfile profile = with_latent_attention();
  PassShape decode;
  decode.decodes = decode.samples = 1;
  decode.decode_context_sum = 1000;
  const FamilySeconds full = StageCost(stage, profile, nullptr, 1).cost(decode);
  profile.load = LoadModel{700, 100, 1, 0, {{"gemm/bf16", {{1}, {1300}, {1}}}}, Grade::measured, "test"};
  const FamilySeconds loaded = StageCost(stage, profile, nullptr, 1).cost(decode);
  const double gemm = full[Family::gemm], latent = full[Family::attention_decode];
  const double watts = (gemm * 1300 + latent * 700) / (gemm + latent);
  EXPECT_NEAR(loaded[Family::gemm] / gemm, (watts - 100) / 600, 1e-9);
  EXPECT_DOUBLE_EQ(loaded[Family::attention_decode], latent);
}

TEST(LatentAttention, IsMissedByName) {
  try {
    StageCost(latent_stage(), toy_gpu(), nullptr, 1);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("has no prefill latent attention of type bf16/bf16"));
  }
}

}  // namespace
}  // namespace sextant
