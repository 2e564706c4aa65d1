// Is the model right: every measurement file of this folder predicted, with the errors reached as bounds,
// rounded up a little. What of the engine profiles is fitted to these runs, tests/validation/README.md says.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "models/base/text_file.hpp"
#include "sim/validation/request_log.hpp"
#include "sim/validation/validate.hpp"

namespace sextant {
namespace {

const std::filesystem::path folder = SEXTANT_SOURCE_DIR "/tests/validation";

/// What does not hold of these bounds.
std::vector<std::string> misses(const std::string& file, const std::vector<std::string>& texts) {
  unsetenv("SEXTANT_PROFILES");
  ValidationOptions options;
  options.serving.intervals = false;
  const Validation validation = validate({(folder / file).string()}, options);
  std::vector<ErrorBound> bounds;
  for (const std::string& text : texts) bounds.push_back(read_error_bound(text));
  for (const GroupSummary& group : validation.groups)
    testing::Test::RecordProperty(
        fmt::format("{}_{}_{}", group.kind, group.gpu, group.part),
        fmt::format("median {:.1f} p90 {:.1f} worst {:.1f} bias {:+.1f} %", 100 * group.median,
                    100 * group.p90, 100 * group.worst, 100 * group.bias));
  return missed(bounds, validation.groups);
}

using testing::ElementsAre;

// TensorRT-LLM 1.0 at full load, three workloads each: 70B in NVFP4 on one to eight RTX PRO 6000 (pipelines)
// and on B200, in FP8 on H200 and on two H100; 8B in FP8 on H200 and H100; Qwen3-30B-A3B in NVFP4 on RTX PRO
// 6000. Median / worst: 4.8 / 14.5, 6.4 / 7.9, 2.7 / 8.3, 5.5 / 14.8 %. Fitted to them: what a pipeline's
// loop takes per request.
TEST(Recorded, TensorRt) {
  EXPECT_THAT(misses("trtllm-1.0.jsonl",
                     {"serving:rtx-pro-6000-server:median=5.5", "serving:rtx-pro-6000-server:worst=16",
                      "serving:b200-sxm:worst=9", "serving:h200-sxm:median=3.5", "serving:h200-sxm:worst=9.5",
                      "serving:h100-sxm:median=6.5", "serving:h100-sxm:worst=16"}),
              ElementsAre());
}

// Qwen3-30B-A3B on 2, 4 and 8 RTX PRO 6000, data-parallel attention and experts on all of them: nothing was
// fitted to such layouts. +2, -13 and -24 % (medians over ten workloads): the all-gathers over the shipped
// PCIe link, which was measured on a slow host.
TEST(Recorded, TensorRtSharedExperts) {
  EXPECT_THAT(misses("trtllm-1.0-experts.jsonl", {"serving:median=25", "serving:worst=33"}), ElementsAre());
}

// Llama 3.1 8B on one RTX PRO 6000, vLLM 0.19, 300 requests, saturated: throughput +2.4 %, mean TPOT -1.8 %,
// mean TTFT -3.9 % (median -7.8, p90 -4.4, p99 -3.0 %), mean E2EL -2.3 %.
TEST(Recorded, EightBillionOnOneCard) {
  EXPECT_THAT(misses("vllm-0.19-rtx-pro-6000.jsonl",
                     {"serving/output_throughput:worst=3", "serving/mean_tpot_ms:worst=2.5",
                      "serving/mean_ttft_ms:worst=5", "serving/mean_e2el_ms:worst=3", "serving:worst=9"}),
              ElementsAre());
}

// KV blocks of the dense H100 runs: -0.8 % (Llama 2 7B), +0.1 % (Llama 3.1 70B at tp 4), +1.0 % (Mistral
// Nemo), +0.4 % (Qwen 2.5 7B); the issue asks for 3 %.
TEST(Recorded, KvBlocksOfH100) {
  EXPECT_THAT(misses("vllm-0.15.1-h100.jsonl", {"serving/total_kv_blocks:worst=1.5"}), ElementsAre());
}

// Latencies of the dense H100 runs, prompts repeated and found in the prefix cache; medians over the stages
// and the worst of them (tests/validation/README.md).
TEST(Recorded, LatenciesOfH100) {
  EXPECT_THAT(misses("vllm-0.15.1-h100.jsonl",
                     {"serving/mean_e2el_ms:median=3", "serving/mean_e2el_ms:worst=6",     // 2.6 and 5.6
                      "serving/mean_itl_ms:median=2.5", "serving/mean_itl_ms:worst=5.5",   // 1.6 and 4.8
                      "serving/mean_tpot_ms:worst=6",                                      // 5.6
                      "serving/mean_ttft_ms:median=5", "serving/mean_ttft_ms:worst=37"}),  // 4.5 and 35
              ElementsAre());
}

// Llama 4 Scout at tp 2, experts in 8 bit, two runs in four stages. KV blocks come
// out 18 % too many: 2.4 GB a GPU that vLLM 0.15.1 took and nothing here names.
TEST(Recorded, ExpertsOnH100) {
  EXPECT_THAT(misses("vllm-0.15.1-h100-experts.jsonl",
                     {"serving/mean_e2el_ms:median=6.5", "serving/mean_e2el_ms:worst=10",  // 5.7 and 9.3
                      "serving/mean_itl_ms:median=6", "serving/mean_itl_ms:worst=10.5",    // 5.3 and 9.6
                      "serving/mean_ttft_ms:median=4", "serving/mean_ttft_ms:worst=17",    // 3.4 and 15.9
                      "serving/total_kv_blocks:worst=19"}),
              ElementsAre());
}

// PCIe: the shipped curve is of one host whose rings cross root complexes (26.4 and 24.7 GB/s at 4 and 8
// ranks), the hosts of this file reach 22 to 46 GB/s, so their times are predicted 33 % long (median), and up
// to 203 % where 256 KiB of eight cards went faster than 64 KiB.
TEST(Recorded, BusBandwidth) {
  EXPECT_THAT(misses("links.jsonl", {"collective:rtx-pro-6000-workstation:median=35",
                                     "collective:rtx-pro-6000-workstation:worst=205",
                                     "p2p:rtx-pro-6000-workstation:worst=6"}),  // 5.3
              ElementsAre());
}

// Whole steps of our harness on H200, from its kernels' rows and none of the steps themselves. Decode 3.3 %
// median, 6.4 % at p90; prefill 2.3 and 5.5 %.
TEST(Recorded, StepsOfOurHarness) {
  EXPECT_THAT(misses("../../calibrate/measurements/h200-sxm.steps.jsonl.gz",
                     {"step/decode:median=3.5", "step/decode:p90=7", "step/decode:worst=13",
                      "step/prefill:median=2.6", "step/prefill:p90=6"}),
              ElementsAre());
}

// Steps of mixtures of experts, Qwen3-30B-A3B and Mixtral 8x7B, likewise; the grouped GEMM was measured with
// even loads and the steps' tokens chose by chance. 3.3 % median, 9.3 % at p90; Mixtral at batch 256 -19 %:
// loads of 64
// +- 8 rows straddle the kernel's tiles, where even ones fill them.
TEST(Recorded, ExpertStepsOfOurHarness) {
  EXPECT_THAT(misses("../../calibrate/measurements/h200-sxm.moe-steps.jsonl.gz",
                     {"step:median=3.5", "step:p90=11", "step:worst=23"}),
              ElementsAre());
}

// The same models with whole experts on each of two cards, predicted before they were measured: 3.5 % median,
// 13.6 % at p90. Qwen3 within 4 %; Mixtral's four experts a card make the fullest one decide, -3 to -19 %.
TEST(Recorded, DividedExpertsOfOurHarness) {
  EXPECT_THAT(misses("../../calibrate/measurements/h200-sxm.ep-steps.jsonl.gz",
                     {"step:median=4", "step:p90=14.5", "step:worst=19.5"}),
              ElementsAre());
}

// Collectives and messages of 2, 3 and 4 GPUs against the link profile fitted to them.
TEST(Recorded, LinksOfOurHarness) {
  EXPECT_THAT(misses("../../calibrate/measurements/h200-sxm.nccl.jsonl.gz",
                     {"collective:median=1.5", "collective:p90=8.5", "p2p:median=1", "p2p:p90=8"}),
              ElementsAre());
}

// Speeds under power limits (power_test.cpp has them in parts): tensor -4.7 to +3.7 %, stream -2.8 to +2.8 %.
TEST(Recorded, PowerLimits) {
  EXPECT_THAT(misses("power.jsonl", {"power:median=3", "power:worst=5"}), ElementsAre());
}

// The requests of the 8B run as a log, where the data is at hand: its metrics are those of the publisher's
// summary.
TEST(Recorded, RequestLogGivesThePublishedSummary) {
  const char* shared = std::getenv("SEXTANT_SHARED");
  const std::filesystem::path log =
      (shared ? std::filesystem::path(shared) : std::filesystem::path(SEXTANT_SOURCE_DIR) / ".." / "shared") /
      "data/serving/llmservingsim_RTXPRO6000_Llama-3.1-8B_vllm0.19_requests.jsonl";
  if (!std::filesystem::exists(log)) GTEST_SKIP() << log << " is absent";
  std::map<std::string, double> metrics;
  for (const auto& [name, value] : request_log_metrics(log.string())) metrics[name] = value;
  EXPECT_NEAR(metrics.at("mean_ttft_ms"), 7097.2, 0.06);
  EXPECT_NEAR(metrics.at("p90_ttft_ms"), 16852.7, 0.06);
  EXPECT_NEAR(metrics.at("median_tpot_ms"), 33.4, 0.06);
  EXPECT_NEAR(metrics.at("p99_e2el_ms"), 37638.8, 0.06);
}

}  // namespace
}  // namespace sextant
