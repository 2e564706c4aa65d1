// Sets of kernels that only some engine runs, and profiles completed from another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "models/profile/engine_profile.hpp"
#include "models/profile/gpu_profile.hpp"
#include "models/profile/link_profile.hpp"

namespace sextant {
namespace {

GpuProfile toy() {
  return read_gpu_profile(JsonValue::read(SEXTANT_SOURCE_DIR "/tests/fixtures/gpu.toy.json"));
}

/// The toy with a decode kernel of its own that reads at half the rate, and an fp8 GEMM nobody else has.
GpuProfile with_own_kernels() {
  GpuProfile profile = toy();
  OperatorModel slow = profile.attention_decode.at("bf16/128");
  slow.roofline.memory_gbps = 500;
  profile.kernels["own"].attention_decode["bf16/128"] = slow;
  profile.kernels["own"].gemm["fp8"] = profile.gemm.at("bf16");
  return profile;
}

TEST(KernelSets, ReplaceTheGeneralKernelsOfTheirTypes) {
  const GpuProfile profile = with_own_kernels(), own = with_kernels(profile, "own");
  EXPECT_EQ(own.attention_decode.at("bf16/128").roofline.memory_gbps, 500);
  EXPECT_EQ(own.gemm.count("fp8"), 1U);
  EXPECT_EQ(own.gemm.at("bf16").roofline.tflops, 100);  // what the set lacks stays
  EXPECT_TRUE(own.kernels.empty());
}

TEST(KernelSets, AnotherNameOrNoneChangesNothing) {
  for (const char* name : {"", "other"}) {
    const GpuProfile same = with_kernels(with_own_kernels(), name);
    EXPECT_EQ(same.attention_decode.at("bf16/128").roofline.memory_gbps, 1000);
    EXPECT_EQ(same.gemm.count("fp8"), 0U);
  }
}

TEST(KernelSets, SurviveWritingAndReading) {
  GpuProfile profile = with_own_kernels();
  profile.elementwise_ops["rope"] = profile.elementwise;
  profile.elementwise_ops["rope"].efficiency = {};
  profile.elementwise_ops["rope"].roofline.latency_us = 2;
  const GpuProfile again = read_gpu_profile(JsonValue::parse(write_gpu_profile(profile), "again.json"));
  EXPECT_EQ(again.kernels.at("own").attention_decode.at("bf16/128").roofline.memory_gbps, 500);
  EXPECT_EQ(again.elementwise_ops.at("rope").roofline.latency_us, 2);
}

// A file with "rest_from" has one GEMM of its own; the rest is the other profile's.
TEST(CompletedProfile, TakesWhatItLacksFromTheOther) {
  const std::string text =
      R"({"format": "sextant gpu profile", "version": 1, "gpu": "mine", "provenance": "measured",
    "rest_from": "toy", "gemm": {"bf16": {"grade": "fitted", "source": "mine", "spread": [0.9, 1.1],
    "bytes_per_weight": 2, "roofline": {"tflops": 70, "memory_gbps": 900, "latency_us": 3}}}})";
  const auto finder = [](const std::string&) { return with_own_kernels(); };
  const GpuProfile mine = read_gpu_profile(JsonValue::parse(text, "mine.json"), finder);
  EXPECT_EQ(mine.gpu, "mine");
  EXPECT_EQ(mine.gemm.at("bf16").roofline.tflops, 70);
  EXPECT_EQ(mine.gemm.at("w4a16").roofline.tflops, 80);
  EXPECT_EQ(mine.attention_decode.at("bf16/128").roofline.memory_gbps, 1000);
  EXPECT_EQ(mine.elementwise.roofline.latency_us, 5);
  EXPECT_EQ(mine.kernels.count("own"), 1U);
  EXPECT_THAT(mine.provenance, testing::HasSubstr("measured; what that lacks: invented"));
}

TEST(CompletedProfile, CannotBeCompletedFromItself) {
  const std::string text =
      R"({"format": "sextant gpu profile", "version": 1, "gpu": "toy", "provenance": "", "rest_from": "toy"})";
  try {
    read_gpu_profile(JsonValue::parse(text, "toy.json"), [](const std::string&) { return toy(); });
    FAIL() << "expected an error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("rest_from: found \"toy\", expected another profile"));
  }
}

// Our harness reduces by NCCL and runs its own attention; vLLM has its own all-reduce and engines' kernels.
TEST(EngineOptions, SayWhoReducesAndWhoseKernelsRun) {
  const EngineProfile bare = find_engine_profile("bare"), vllm = find_engine_profile("vllm-0.19");
  EXPECT_FALSE(bare.custom_all_reduce);
  EXPECT_EQ(bare.kernels, "sextant-measure");
  EXPECT_TRUE(vllm.custom_all_reduce);
  EXPECT_EQ(vllm.kernels, "");
}

TEST(EngineOptions, NcclAloneLeavesNoCurveOfAnEnginesOwn) {
  LinkProfile link;
  link.collectives = {{"all_reduce", 2, {Grade::measured, "test", {1e4}, {10}, {}}},
                      {"all_reduce", 2, {Grade::measured, "test", {1e4}, {4}, {}}, "custom"}};
  EXPECT_NE(link.custom("all_reduce", 2), nullptr);
  const LinkProfile alone = by_nccl_alone(link);
  EXPECT_EQ(alone.custom("all_reduce", 2), nullptr);
  EXPECT_EQ(alone.collective("all_reduce", 2)->us.front(), 10);
}

}  // namespace
}  // namespace sextant
