#include "models/profile/operator_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

GpuProfile toy() {
  return read_gpu_profile(JsonValue::read(SEXTANT_SOURCE_DIR "/tests/fixtures/gpu.toy.json"));
}

// Every head size of the rule comes from 128 of the same cache type, as fast by bytes and FLOPs, and less
// believed.
TEST(OperatorRules, GiveHeadSizesThatTheProfileLacks) {
  GpuProfile profile = toy();
  const OperatorRules rules = shipped_operator_rules();
  add_operators_by_rule(profile, rules);
  const OperatorModel& given = profile.attention_decode.at("bf16/256");
  const OperatorModel& from = profile.attention_decode.at("bf16/128");
  EXPECT_TRUE(given.by_rule);
  EXPECT_FALSE(from.by_rule);
  EXPECT_EQ(given.grade, Grade::assumed);
  EXPECT_DOUBLE_EQ(given.roofline.memory_gbps, from.roofline.memory_gbps);
  EXPECT_LE(given.spread.low, 0.75);
  EXPECT_GE(given.spread.high, 1.6);
}

// fp8 in blocks takes 1.15 times the time of fp8.
TEST(OperatorRules, GiveBlockScalesFromPlainOnes) {
  GpuProfile profile = toy();
  profile.gemm["fp8"] = profile.gemm.at("bf16");
  profile.gemm["fp8"].roofline = {230, 2300, 5};
  add_operators_by_rule(profile, shipped_operator_rules());
  EXPECT_NEAR(profile.gemm.at("fp8_block").roofline.tflops, 200, 1e-9);
  EXPECT_NEAR(profile.gemm.at("fp8_block").roofline.memory_gbps, 2000, 1e-9);
  EXPECT_DOUBLE_EQ(profile.gemm.at("fp8_block").roofline.latency_us, 5);
}

// Experts with a scale per channel stream a byte where bf16 streams two, at its rate and efficiency, and
// compute at its rate times the fp8 GEMM's over the bf16 GEMM's: 180 / 100. Without an fp8 GEMM there is no
// such kernel.
TEST(OperatorRules, GiveChannelScalesFromUnscaledExperts) {
  GpuProfile profile = toy();
  profile.moe["bf16/balanced"] = profile.gemm.at("bf16");
  profile.moe["bf16/balanced"].bytes_per_weight = 2;
  profile.moe["bf16/balanced"].roofline = {90, 800, 5};
  GpuProfile without = profile;
  add_operators_by_rule(without, shipped_operator_rules());
  EXPECT_FALSE(without.moe.contains("fp8_channel/balanced"));
  profile.gemm["fp8"] = profile.gemm.at("bf16");
  profile.gemm["fp8"].bytes_per_weight = 1;
  profile.gemm["fp8"].roofline.tflops = 180;
  add_operators_by_rule(profile, shipped_operator_rules());
  const OperatorModel& given = profile.moe.at("fp8_channel/balanced");
  EXPECT_NEAR(given.roofline.tflops, 90 * 1.8, 1e-9);
  EXPECT_NEAR(given.roofline.memory_gbps, 800, 1e-9);
  EXPECT_EQ(given.bytes_per_weight, 1);
  EXPECT_EQ(given.grade, Grade::assumed);
}

// The bf16 module with the bytes of every other weight that the GPU has a GEMM of.
TEST(OperatorRules, GiveLatentAttentionOtherWeights) {
  GpuProfile profile = toy();
  profile.latent_decode["bf16/fp8"] = profile.gemm.at("bf16");
  add_operators_by_rule(profile, shipped_operator_rules());
  EXPECT_DOUBLE_EQ(profile.latent_decode.at("w4a16/fp8").bytes_per_weight,
                   profile.gemm.at("w4a16").bytes_per_weight);
  EXPECT_TRUE(profile.latent_prefill.empty());
}

// The bf16 cache's module for an 8-bit cache, whose own rows come first.
TEST(OperatorRules, GiveLatentAttentionAnEightBitCache) {
  GpuProfile profile = toy();
  profile.latent_decode["bf16/bf16"] = profile.gemm.at("bf16");
  profile.latent_prefill["bf16/bf16"] = profile.latent_prefill["bf16/fp8"] = profile.gemm.at("bf16");
  add_operators_by_rule(profile, shipped_operator_rules());
  EXPECT_TRUE(profile.latent_decode.at("bf16/fp8").by_rule);
  EXPECT_EQ(profile.latent_decode.at("bf16/fp8").grade, Grade::assumed);
  EXPECT_FALSE(profile.latent_prefill.at("bf16/fp8").by_rule);
}

// What a profile has of its own stays, and what a rule gave is no part of the file.
TEST(OperatorRules, LeaveTheProfilesOwn) {
  GpuProfile profile = toy();
  const std::string before = write_gpu_profile(profile);
  add_operators_by_rule(profile, shipped_operator_rules());
  EXPECT_EQ(write_gpu_profile(profile), before);
  EXPECT_TRUE(find_gpu_profile("h200-sxm").attention_prefill.contains("bf16/256"));
}

TEST(OperatorRules, StateSpacesNeedTheRateOfAGemm) {
  GpuProfile profile = toy();
  profile.gemm.erase("bf16");
  try {
    state_space_decode_model(profile, shipped_operator_rules().state_space);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("has no gemm of type bf16"));
  }
}

TEST(OperatorRules, AreStrict) {
  EXPECT_THROW(
      read_operator_rules(JsonValue::parse(R"({"format": "sextant operator rules", "version": 2})", "r")),
      InputError);
}

}  // namespace
}  // namespace sextant
