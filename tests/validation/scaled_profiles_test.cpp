// Validation: the profiles scaled from the RTX PRO 6000 Server edition by rule, against what was measured on
// the cards themselves, with the errors reached. A rule's own sources are among these facts where its profile
// names them (calibrate/profiles/gpu.*.json); no table of these cards exists.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "models/cost/cost.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

GpuProfile profile(const std::string& gpu) {
  unsetenv("SEXTANT_PROFILES");
  return find_gpu_profile(gpu);
}

/// 10^12 FLOP/s of a square bf16 GEMM.
double square_tflops(const std::string& gpu, double size) {
  return 2 * size * size * size / gemm_time(profile(gpu), "bf16", size, size, size).seconds / 1e12;
}

struct GemmFact {
  const char* gpu;
  double size;
  double measured;  // 10^12 FLOP/s, bf16 or fp16
  double bound;     // percent, |error| asserted
};

class ScaledGemm : public testing::TestWithParam<GemmFact> {};

TEST_P(ScaledGemm, SquareTflops) {
  const GemmFact fact = GetParam();
  const double error = 100 * (square_tflops(fact.gpu, fact.size) / fact.measured - 1);
  RecordProperty("error_percent", std::to_string(error));
  EXPECT_LT(std::abs(error), fact.bound) << fact.gpu << " " << fact.size << ": " << error << " %";
}

// Sources differ more than the rule errs: 321 to 432 TFLOP/s of one shape on one edition, by how long the run
// lasts (600 W sustain 321) and by library. Reached +2, +1, -4 % at 4096; +6, -14, +12, +15 % at 8192.
// 160: zzc0721/torch-performance-test-data issue 160 (PyTorch 2.7); cuBLAS 13: gau-nernst CUDA matmul notes;
// sustained: voipmonitor/rtx6kpro@29f3863a371d hardware/blackwell-power-limit-sweep.md.
INSTANTIATE_TEST_SUITE_P(Workstation, ScaledGemm,
                         testing::Values(GemmFact{"rtx-pro-6000-workstation", 4096, 368.4, 8},   // bf16, 160
                                         GemmFact{"rtx-pro-6000-workstation", 4096, 371, 8},     // cuBLAS 13
                                         GemmFact{"rtx-pro-6000-workstation", 4096, 390.9, 8},   // fp16, 160
                                         GemmFact{"rtx-pro-6000-workstation", 8192, 350.3, 18},  // bf16, 160
                                         GemmFact{"rtx-pro-6000-workstation", 8192, 432, 18},    // cuBLAS 13
                                         GemmFact{"rtx-pro-6000-workstation", 8192, 331.8, 18},  // fp16, 160
                                         GemmFact{"rtx-pro-6000-workstation", 8192, 321, 18}));  // sustained

// fp16, cuBLAS (waynehacking8/blackwell-tensorcore-kernels): reached -18 % at 2048, where the kernel is too
// short for 300 W to bind and one ratio for all sizes errs towards slow; 0 % at 4096; +2 % at 8192, -4 % of
// the hand-written kernel.
INSTANTIATE_TEST_SUITE_P(MaxQ, ScaledGemm,
                         testing::Values(GemmFact{"rtx-pro-6000-max-q", 2048, 215, 22},
                                         GemmFact{"rtx-pro-6000-max-q", 4096, 238, 8},
                                         GemmFact{"rtx-pro-6000-max-q", 8192, 229, 8},
                                         GemmFact{"rtx-pro-6000-max-q", 8192, 243, 8}));

// One process on a Workstation and a Server card at once, 600 W each, bf16: 75,125 over 64,949 GEMMs a second
// at 1024, 3318 over 3138 at 2048, 292 over 341 at 8192 (voipmonitor/rtx6kpro@29f3863a371d hardware/
// blackwell-power-limit-sweep.md): the ratio of their clocks, 1.16 to 0.85 by how much a GEMM draws. One
// ratio for all sizes lies between: reached -15, -9 and +11 %.
TEST(ScaledGemmRatio, WorkstationOverServer) {
  struct Fact {
    double size, measured;
  };
  for (const Fact& f : {Fact{1024, 75125.0 / 64949}, Fact{2048, 3318.0 / 3138}, Fact{8192, 292.0 / 341}}) {
    const double ratio =
        square_tflops("rtx-pro-6000-workstation", f.size) / square_tflops("rtx-pro-6000-server", f.size);
    const double error = 100 * (ratio / f.measured - 1);
    RecordProperty("error_percent_at_" + std::to_string(static_cast<int>(f.size)), std::to_string(error));
    EXPECT_LT(std::abs(error), 18) << f.size << ": " << ratio;
  }
}

// The best of a run over sizes, 236 to 242 in bf16 and 224 in fp16 (zzc0721/torch-performance-test-data
// database.md), against 4096: reached -4, -6 and +1 %.
INSTANTIATE_TEST_SUITE_P(Rtx5090, ScaledGemm,
                         testing::Values(GemmFact{"rtx-5090", 4096, 236, 8},
                                         GemmFact{"rtx-5090", 4096, 242, 8},
                                         GemmFact{"rtx-5090", 4096, 224, 8}));

// A copy within memory reads and writes 1376 to 1490 GB/s together on six cards, four of them Workstation
// (voipmonitor/rtx6kpro@29f3863a371d hardware/pcie-bandwidth.md). Reads alone go faster: 1551 GB/s of a GEMM
// of one row, +4 % over the best copy, +13 % over the worst.
TEST(ScaledMemory, WorkstationStreamsAboutAsItCopies) {
  const double size = 16384;
  const double gbps =
      size * size * 2 / gemm_time(profile("rtx-pro-6000-workstation"), "bf16", 1, size, size).seconds / 1e9;
  EXPECT_NEAR(gbps / 1490, 1, 0.08);
  EXPECT_NEAR(gbps / 1376, 1, 0.17);
}

// Copies within memory run equally often on Workstation and Server, 682 and 680 a second, although the memory
// clocks, on which the rule rests, are 1.071 apart: the rule is 7 % above that, within its widening of 1.12.
TEST(ScaledMemory, WorkstationOverServer) {
  const double ratio = profile("rtx-pro-6000-workstation").elementwise.roofline.memory_gbps /
                       profile("rtx-pro-6000-server").elementwise.roofline.memory_gbps;
  EXPECT_NEAR(ratio / (682.0 / 680), 1, 0.08);
}

// A dense 70B in NVFP4, 40.6 GB a token, decodes at 4.0 to 4.2 tokens/s on a DGX Spark (NVIDIA/
// dgx-spark-playbooks issue 79, PR 91): predicted 4.10, the middle. The rule does not use it.
TEST(ScaledSpark, Dense70B) {
  unsetenv("SEXTANT_PROFILES");
  PlanOptions options;
  options.intervals = false;
  const Plan plan = make_plan(read_scenario(JsonValue::parse(R"({"name": "spark",
    "cluster": {"nodes": [{"node": "dgx-spark", "gpus": {"dgx-spark-gb10": 1}}]},
    "model": {"name": "llama-3.1-70b", "weights": "nvfp4"}, "deployment": {"tp": 1},
    "engine": {"max_model_len": 8192},
    "workload": {"max_concurrency": 1, "num_prompts": 4, "prompt": {"fixed": 128}, "output": {"fixed": 128}}})",
                                                             "validation")),
                              options);
  EXPECT_NEAR(1000 / plan.candidates.front().metrics.tpot.mean, 4.1, 0.25);
}

// Qwen2.5-7B in 8 bit (Q8_0: 1.0625 B a weight) decodes at 29 tokens/s in llama.cpp on a DGX Spark
// (ggml-org/llama.cpp benches/dgx-spark/dgx-spark.md). Its GEMMs alone, from the fp8 ones by bytes: 32.4,
// +12 %, and what they leave out (attention, small kernels) is 2 %: llama.cpp streams at 235 of 273 GB/s,
// the scaled profile at 253.
TEST(ScaledSpark, DenseSevenBillionInEightBit) {
  struct Matrix {
    double n, k, layers;
  };
  const GpuProfile spark = profile("dgx-spark-gb10");
  double seconds = 0;
  for (const Matrix& m : {Matrix{4608, 3584, 28}, Matrix{3584, 3584, 28}, Matrix{37888, 3584, 28},
                          Matrix{3584, 18944, 28}, Matrix{152064, 3584, 1}})
    seconds += m.layers * gemm_time(spark, "fp8", 1, m.n, m.k).seconds;
  const double error = 100 * (1 / (seconds * 1.0625) / 29 - 1);
  EXPECT_GT(error, 0);
  EXPECT_LT(error, 16);
}

}  // namespace
}  // namespace sextant
