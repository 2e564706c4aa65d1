// Latent attention through the fit: rows made from a known law come back, kernels alone do not count.
#include <gtest/gtest.h>

#include <algorithm>

#include "calibrate/fit/gpu_fit.hpp"
#include "models/cost/latent_attention.hpp"

namespace sextant {
namespace {

/// 20 us and what 500 TFLOP/s and 4000 GB/s take.
double us(const OperatorWork& work) {
  return 20 + std::max(work.flops / 500e6, work.bytes / 4000e3);
}

TEST(LatentFit, FindsTheLawOfItsRows) {
  GpuFit fit("h200-sxm");
  const auto add = [&](const MeasurementRow& row) { fit.add({"h200-sxm", "made up", "", row}); };
  for (std::int64_t n = 1024; n <= 16'384; n *= 2)  // GEMMs tell what the memory reaches
    for (std::int64_t m = 1; m <= 4096; m *= 4) {
      const auto rows = static_cast<double>(m), width = static_cast<double>(n);
      const double flops = 2 * rows * width * width, bytes = 2 * (2 * rows * width + width * width);
      add(GemmRow{"bf16", m, n, n, 2 + std::max(flops / 500e6, bytes / 4000e3)});
    }
  for (std::int64_t heads = 8; heads <= 128; heads *= 2)
    for (std::int64_t batch = 1; batch <= 256; batch *= 4)
      for (std::int64_t context = 128; context <= 32'768; context *= 4) {
        MlaDecodeRow row{heads, batch, context, "bf16", "bf16", true, "bf16", 1, 0};
        row.us = us(latent_decode_work(deepseek_v3_attention(heads, "bf16", "bf16"), 2, 2,
                                       static_cast<double>(batch), static_cast<double>(context)));
        add(row);
        if (heads == 8) {  // an 8-bit cache with one number of heads tells nothing of others
          row.kv_dtype = "fp8";
          add(row);
          row.kv_dtype = "bf16";
        }
        row.module = false;  // a kernel alone, absurdly slow: it must not count
        row.projections = "";
        row.us *= 100;
        add(row);
      }
  FitReport report;
  const GpuProfile profile = fit.fit(shipped_assumptions(), {"test", 0, true}, report);
  ASSERT_EQ(profile.latent_decode.size(), 1u);
  EXPECT_TRUE(profile.latent_prefill.empty());
  const LatentAttentionShape shape = deepseek_v3_attention(32, "bf16", "bf16");
  const OperatorWork work = latent_decode_work(shape, 2, 2, 16, 2048);
  const OperatorTime time = latent_decode_time(latent_decode_model(profile, shape), shape, 2, 16, 16 * 2048);
  EXPECT_NEAR(time.seconds * 1e6 / us(work), 1, 0.02);
}

}  // namespace
}  // namespace sextant
