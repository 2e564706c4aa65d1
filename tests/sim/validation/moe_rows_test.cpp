#include <gtest/gtest.h>

#include "models/base/json_reader.hpp"
#include "sim/validation/kernel_rows.hpp"

namespace sextant {
namespace {

GpuProfile toy() {
  return read_gpu_profile(JsonValue::read(SEXTANT_SOURCE_DIR "/tests/fixtures/gpu.toy.json"));
}

MoeRow row(const std::string& distribution, std::int64_t ep) {
  return {"bf16", 1, 1000, 2000, 8, 2, 1, ep, distribution, 1};
}

// One token of 2 experts of 3 x 1000 x 2000 weights: 24.004 MB at 1000 GB/s and 2 x 0.016 us of small
// kernels, plus 10 us (tests/models/cost/moe_time_test.cpp has the arithmetic).
TEST(MoeRows, ArePredictedForTheirRouting) {
  const Outcome skewed = predict(row("power_law_1.2", 1), toy());
  ASSERT_TRUE(std::holds_alternative<Prediction>(skewed));
  EXPECT_NEAR(std::get<Prediction>(skewed).value, 34.036, 1e-6);
}

TEST(MoeRows, OfSkewedRoutingOverSeveralGpusAreNot) {
  EXPECT_TRUE(std::holds_alternative<NotPredicted>(predict(row("power_law_1.01", 2), toy())));
}

}  // namespace
}  // namespace sextant
