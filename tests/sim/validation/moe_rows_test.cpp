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

// No row of the profile has skewed routing over several GPUs: the fullest of them is reckoned by a rule,
// which is assumed and says so. It has more than half of the work and less than all of it, and the token's
// experts are touched wherever they lie.
TEST(MoeRows, OfSkewedRoutingOverSeveralGpusAreAssumed) {
  const Outcome split = predict(row("power_law_1.01", 2), toy()),
                whole = predict(row("power_law_1.01", 1), toy());
  ASSERT_TRUE(std::holds_alternative<Prediction>(split));
  const Prediction& prediction = std::get<Prediction>(split);
  EXPECT_EQ(prediction.grade, Grade::assumed);
  EXPECT_LE(prediction.value, std::get<Prediction>(whole).value);
  EXPECT_GE(prediction.value, 10 + (std::get<Prediction>(whole).value - 10) / 2);
}

// Two of eight experts taken by chance: of two GPUs the fuller one gets 1 + 0.58946 x sqrt(2 x 3/7) = 1.54574
// of the token's two pairs, as many experts of 12 MB each, and 0.016 us of small kernels a pair; 10 us, 4 kB.
TEST(MoeRows, OfUniformRoutingOverSeveralGpusGoByChance) {
  const Outcome outcome = predict(row("uniform", 2), toy());
  ASSERT_TRUE(std::holds_alternative<Prediction>(outcome));
  EXPECT_NEAR(std::get<Prediction>(outcome).value, 10 + 0.004 + 1.54574 * (12 + 0.016), 1e-3);
}

}  // namespace
}  // namespace sextant
