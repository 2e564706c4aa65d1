// Kernels of an engine that differ from those of the tables.
#include "models/cost/engine_kernels.hpp"

#include <gtest/gtest.h>

#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

double gemm_us(const GpuProfile& profile, double rows) {
  return gemm_time(profile, "bf16", rows, 1000, 1000).seconds * 1e6;
}

// 100 TFLOP/s and 5 us: 1,000 rows of 1000 x 1000 take 20 + 5 us at efficiency 1, 500 rows 10 + 5. With an
// efficiency of 0.25 at 500 rows they take 40 + 5: padding to 1,000 is faster, and 250 rows (5 us at
// efficiency 1) need none.
TEST(EngineKernels, PadRowsWhereMoreAreFaster) {
  GpuProfile profile = toy_gpu();
  profile.gemm.at("bf16").efficiency = Grid({{250, 500, 1000}, {1000}, {1000}}, {1, 0.25, 1});
  EXPECT_NEAR(gemm_us(profile, 500), 45, 1e-9);
  pad_gemms_where_faster(profile);
  EXPECT_NEAR(gemm_us(profile, 250), 10, 1e-9);
  EXPECT_NEAR(gemm_us(profile, 500), 25, 1e-9);
  EXPECT_NEAR(gemm_us(profile, 1000), 25, 1e-9);
}

TEST(EngineKernels, ReadAnFp8CacheAtTheRateOfASixteenBitOne) {
  GpuProfile profile = toy_gpu();
  OperatorModel slow = profile.attention_decode.at("bf16/128");
  slow.roofline.memory_gbps = 250;
  profile.attention_decode["fp8/128"] = slow;
  profile.attention_decode["fp8/64"] = slow;  // without a 16-bit one beside it: stays
  EngineProfile engine;
  Gpu gpu;
  gpu.compute_capability = "9.0";
  EXPECT_EQ(with_engine_kernels(profile, engine, gpu).attention_decode.at("fp8/128").roofline.memory_gbps,
            250);
  engine.fp8_kv_as_16_bit_majors = {9};
  const GpuProfile own = with_engine_kernels(profile, engine, gpu);
  EXPECT_EQ(own.attention_decode.at("fp8/128").roofline.memory_gbps, 1000);
  EXPECT_EQ(own.attention_decode.at("fp8/128").grade, Grade::assumed);
  EXPECT_EQ(own.attention_decode.at("fp8/64").roofline.memory_gbps, 250);
  gpu.compute_capability = "10.0";
  EXPECT_EQ(with_engine_kernels(profile, engine, gpu).attention_decode.at("fp8/128").roofline.memory_gbps,
            250);
}

}  // namespace
}  // namespace sextant
