#include "models/llm/operators.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/llm/catalogue.hpp"

namespace sextant {
namespace {

Architecture model(const std::string& name) {
  return find_model(name).architecture;
}

StageOperators operators(const std::string& name, const std::string& weights, const StageShape& stage) {
  return stage_operators(model(name), weight_format(weights), kv_format("bf16"), stage);
}

/// How often the shape runs in one pass; 0 if it does not.
template <class Shape>
std::int64_t count(const std::vector<Counted<Shape>>& list, const Shape& shape) {
  std::int64_t total = 0;
  for (const Counted<Shape>& entry : list)
    if (entry.shape == shape) total += entry.count;
  return total;
}

// 405B, a middle stage of 42 layers: qkv has (128 + 2 x 8) x 128 = 18432 outputs, gate and up 2 x 53248 =
// 106496.
TEST(StageOperators, OfAMiddleStage) {
  const StageOperators stage = operators("llama-3.1-405b", "awq-int4", {{42, 84}, 1, false, false});
  ASSERT_EQ(stage.gemms.size(), 4u);
  EXPECT_EQ(count(stage.gemms, {"w4a16", 18'432, 16'384}), 42);
  EXPECT_EQ(count(stage.gemms, {"w4a16", 16'384, 16'384}), 42);
  EXPECT_EQ(count(stage.gemms, {"w4a16", 106'496, 16'384}), 42);
  EXPECT_EQ(count(stage.gemms, {"w4a16", 16'384, 53'248}), 42);
  EXPECT_EQ(count(stage.attentions, {128, 8, 128, 0, "bf16"}), 42);
  EXPECT_EQ(count(stage.elementwise, {"rmsnorm", 4 * 16'384 * 2}), 84);  // x and residual, read and written
  EXPECT_EQ(count(stage.elementwise, {"rope", 2 * (128 + 8) * 128 * 2}), 42);  // q and k, read and written
  EXPECT_EQ(count(stage.elementwise, {"activation", 3 * 53'248 * 2}), 42);     // gate, up, product
  EXPECT_TRUE(stage.collectives.empty());
  EXPECT_TRUE(stage.sample_gemms.empty());
  EXPECT_TRUE(stage.sample_elementwise.empty());
  EXPECT_DOUBLE_EQ(stage.hop_bytes_per_token, 65'536);  // hidden and residual: 64 KiB
}

// 2 FLOPs for each of the 3,187,671,040 weights of a layer.
TEST(StageOperators, FlopsArePerWeight) {
  const StageOperators stage = operators("llama-3.1-405b", "awq-int4", {{42, 84}, 1, false, false});
  EXPECT_DOUBLE_EQ(flops_per_token(stage), 2 * 42 * 3'187'671'040.0);
}

// 8B on two GPUs: 16 heads, 4 kv heads, half the MLP; all-reduces after attention, MLP and the embedding.
TEST(StageOperators, OfAWholeModelOnTwoGpus) {
  const StageOperators stage = operators("llama-3.1-8b", "bf16", {{0, 32}, 2, true, true});
  EXPECT_EQ(count(stage.gemms, {"bf16", 3072, 4096}), 32);
  EXPECT_EQ(count(stage.gemms, {"bf16", 4096, 2048}), 32);
  EXPECT_EQ(count(stage.gemms, {"bf16", 14'336, 4096}), 32);
  EXPECT_EQ(count(stage.gemms, {"bf16", 4096, 7168}), 32);
  EXPECT_EQ(count(stage.attentions, {16, 4, 128, 0, "bf16"}), 32);
  EXPECT_EQ(count(stage.collectives, {"all_reduce", 8192}), 65);
  EXPECT_EQ(count(stage.elementwise, {"rmsnorm", 4 * 4096 * 2}), 65);  // two a layer and the final one
  EXPECT_EQ(count(stage.elementwise, {"embedding", 2 * 4096 * 2}), 1);
  EXPECT_EQ(count(stage.sample_gemms, {"bf16", 64'128, 4096}), 1);
  EXPECT_EQ(count(stage.sample_collectives, {"all_gather", 128'256 * 2}), 1);
  EXPECT_EQ(count(stage.sample_elementwise, {"sampling", 128'256 * 6}), 1);  // 16 bit to fp32
  EXPECT_EQ(count(stage.sample_elementwise, {"sampling", 128'256 * 4}), 1);  // the maximum
  EXPECT_DOUBLE_EQ(stage.hop_bytes_per_token, 0);
}

// 16 GPUs share 8 kv heads: 2 query heads and 1 kv head each, (2 + 2) x 128 = 512 outputs of qkv.
TEST(StageOperators, ReplicateKeyValueHeads) {
  const StageOperators stage = operators("llama-3.1-8b", "bf16", {{0, 32}, 16, true, true});
  EXPECT_EQ(count(stage.gemms, {"bf16", 512, 4096}), 32);
  EXPECT_EQ(count(stage.attentions, {2, 1, 128, 0, "bf16"}), 32);
}

// Qwen3-32B: 64 heads of 128 over a hidden size of 5120; the head stays bf16 in a quantised model; q and k
// are normed.
TEST(StageOperators, OfQwen3) {
  const StageOperators stage = operators("qwen3-32b", "fp8", {{0, 64}, 1, true, true});
  EXPECT_EQ(count(stage.gemms, {"fp8", 5120, 8192}), 64);
  EXPECT_EQ(count(stage.sample_gemms, {"bf16", 151'936, 5120}), 1);
  EXPECT_EQ(count(stage.elementwise, {"rmsnorm", 2 * (64 + 8) * 128 * 2}), 64);
  EXPECT_TRUE(stage.collectives.empty());
  EXPECT_TRUE(stage.sample_collectives.empty());
}

// Two kinds of layers are two attention shapes, each counted; their GEMMs are one.
TEST(StageOperators, MergeEqualShapesAcrossKinds) {
  const Architecture mixed = read_architecture(
      JsonValue::parse(R"({"architectures": ["Qwen2ForCausalLM"], "hidden_size": 64, "vocab_size": 100,
        "num_hidden_layers": 4, "max_position_embeddings": 2048, "num_attention_heads": 8, "num_key_value_heads": 2,
        "intermediate_size": 128, "use_sliding_window": true, "sliding_window": 256, "max_window_layers": 1})",
                       "config.json"),
      "mixed");
  const StageOperators stage =
      stage_operators(mixed, weight_format("bf16"), kv_format("fp8"), {{0, 4}, 1, true, true});
  EXPECT_EQ(count(stage.attentions, {8, 2, 8, 0, "fp8"}), 1);
  EXPECT_EQ(count(stage.attentions, {8, 2, 8, 256, "fp8"}), 3);
  EXPECT_EQ(count(stage.gemms, {"bf16", 96, 64}), 4);
}

// Mixtral on two GPUs: no GEMM is an expert's; the router is whole and in 16 bit; one all-reduce a part.
TEST(StageOperators, OfMixtral) {
  const StageOperators stage = operators("mixtral-8x7b", "fp8", {{0, 32}, 2, true, true});
  ASSERT_EQ(stage.gemms.size(), 3u);
  EXPECT_EQ(count(stage.gemms, {"fp8", 3072, 4096}), 32);
  EXPECT_EQ(count(stage.gemms, {"fp8", 4096, 2048}), 32);
  EXPECT_EQ(count(stage.gemms, {"bf16", 8, 4096}), 32);
  EXPECT_EQ(count(stage.moes, {4096, 14'336, 8, 2, 2, 1, "fp8"}), 32);
  EXPECT_EQ(count(stage.elementwise, {"routing", 8 * 2 + 2 * 8}), 32);
  EXPECT_EQ(count(stage.elementwise, {"activation", 3 * 7168 * 2}), 0);  // within the experts' operator
  EXPECT_EQ(count(stage.collectives, {"all_reduce", 8192}), 65);
}

// 12.88e9 weights that a token meets, less the embedding and the head of 131,072,000 each and the norms:
// per layer 41,943,040 + 32,768 + 2 of 8 experts, 352,321,536.
TEST(StageOperators, FlopsOfExpertsAreThoseATokenTakes) {
  const StageOperators stage = operators("mixtral-8x7b", "bf16", {{0, 32}, 1, false, false});
  EXPECT_DOUBLE_EQ(flops_per_token(stage), 2 * 32 * (41'943'040.0 + 32'768 + 352'321'536));
}

// Qwen3 30B on four GPUs with experts divided two ways: width cut two ways.
TEST(StageOperators, DivideExperts) {
  const StageOperators stage = operators("qwen3-30b-a3b", "bf16", {{0, 48}, 4, false, false, 2});
  EXPECT_EQ(count(stage.moes, {2048, 768, 128, 8, 2, 2, "bf16"}), 48);
  EXPECT_EQ(stage.moes.front().shape.local_experts(), 64);
  EXPECT_DOUBLE_EQ(stage.moes.front().shape.expert_weights(), 3 * 2048 * 384);
  EXPECT_EQ(count(stage.gemms, {"bf16", 128, 2048}), 48);
}

// Scout on two GPUs: attention in bf16, the shared expert two FP8 GEMMs, 36 layers chunked and with rotary
// positions, 12 without.
TEST(StageOperators, OfLlama4Scout) {
  const StageOperators stage =
      operators("llama-4-scout-17b-16e-fp8", "fp8-dynamic", {{0, 48}, 2, true, true});
  EXPECT_EQ(count(stage.gemms, {"bf16", 3584, 5120}), 48);
  EXPECT_EQ(count(stage.gemms, {"bf16", 5120, 2560}), 48);
  EXPECT_EQ(count(stage.gemms, {"bf16", 16, 5120}), 48);
  EXPECT_EQ(count(stage.gemms, {"fp8", 8192, 5120}), 48);
  EXPECT_EQ(count(stage.gemms, {"fp8", 5120, 4096}), 48);
  EXPECT_EQ(count(stage.moes, {5120, 8192, 16, 1, 2, 1, "fp8_channel"}), 48);
  EXPECT_EQ(count(stage.attentions, {20, 4, 128, 0, "bf16", 8192}), 36);
  EXPECT_EQ(count(stage.attentions, {20, 4, 128, 0, "bf16"}), 12);
  EXPECT_EQ(count(stage.elementwise, {"rope", 2 * 24 * 128 * 2}), 36);
  EXPECT_EQ(count(stage.elementwise, {"rmsnorm", 2 * 24 * 128 * 2}), 36);  // q and k
  EXPECT_EQ(count(stage.elementwise, {"residual", 3 * 5120 * 2}), 48);     // routed and shared
  EXPECT_EQ(count(stage.collectives, {"all_reduce", 10'240}), 97);
}

TEST(StageOperators, OfGptOss) {
  const StageOperators stage = operators("gpt-oss-120b", "mxfp4", {{0, 36}, 1, true, true});
  EXPECT_EQ(count(stage.gemms, {"bf16", 5120, 2880}), 36);
  EXPECT_EQ(count(stage.gemms, {"bf16", 2880, 4096}), 36);
  EXPECT_EQ(count(stage.moes, {2880, 2880, 128, 4, 1, 1, "w4a16_mxfp4"}), 36);
  EXPECT_EQ(count(stage.attentions, {64, 8, 64, 128, "bf16"}), 18);
  EXPECT_EQ(count(stage.attentions, {64, 8, 64, 0, "bf16"}), 18);
}

}  // namespace
}  // namespace sextant
