#include "calibrate/fit/load_fit.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

PowerRow row(const std::string& work, std::int64_t tokens, double speed, double burst, double watts,
             double clock) {
  PowerRow row;
  row.watts_limit = 700;
  row.work = work;
  row.tokens = tokens;
  row.relative_speed = speed;
  row.relative_to_watts = burst;
  row.watts = watts;
  row.clock_mhz = clock;
  return row;
}

/// A GEMM of 8,192 rows draws 1,060 W in bursts and is held to 700: (600 / 960) = 0.625 of its watts above
/// idle at 0.790569 of its speed, so the exponent is 2. At 128 rows the same watts cost a third of that:
/// 1 / 0.790569 - 1 = 0.264911, so 1 / (1 + 0.264911 / 3) = 0.918862. At 16 rows nothing is held back.
LoadFit toy() {
  LoadFit fit;
  fit.add(row("idle", 0, 1, 100, 100, 2000), "toy");
  fit.add(row("gemm/bf16", 8192, 0.790569415, 1060, 700, 1500), "toy");
  fit.add(row("gemm/bf16", 128, 0.918862, 1060, 700, 1400), "toy");
  fit.add(row("gemm/bf16", 16, 1, 580, 600, 2000), "toy");
  return fit;
}

TEST(LoadFit, FindsExponentAndClockShares) {
  const std::optional<LoadModel> load = toy().fit(2000, 0.05);
  ASSERT_TRUE(load);
  EXPECT_NEAR(load->clock_exponent, 2, 1e-6);
  EXPECT_EQ(load->limit_watts, 700);
  EXPECT_EQ(load->idle_watts, 100);
  EXPECT_EQ(load->window_seconds, 0.05);
  const WorkLoad& gemm = load->works.at("gemm/bf16");
  EXPECT_EQ(gemm.tokens, (std::vector<double>{16, 128, 8192}));
  EXPECT_EQ(gemm.watts, (std::vector<double>{600, 1060, 1060}));  // lasting ones where the clock stayed up
  EXPECT_EQ(gemm.clock_share[0], 0);
  EXPECT_NEAR(gemm.clock_share[1], 1.0 / 3, 1e-4);
  EXPECT_NEAR(gemm.clock_share[2], 1, 1e-6);
}

TEST(LoadFit, WithoutOperatorsThereIsNone) {
  LoadFit fit;
  EXPECT_FALSE(fit.fit(2000, 0.05));
  fit.add(row("tensor", 0, 0.8, 600, 300, 1500), "another card's burn");
  EXPECT_FALSE(fit.fit(2000, 0.05));
}

TEST(LoadFit, RefusesTwoLimitsAndNoIdle) {
  LoadFit two = toy();
  PowerRow other = row("elementwise", 64, 1, 400, 400, 2000);
  other.watts_limit = 500;
  two.add(other, "toy");
  EXPECT_THROW(two.fit(2000, 0.05), InputError);
  LoadFit no_idle;
  no_idle.add(row("gemm/bf16", 8192, 0.8, 1000, 700, 1500), "toy");
  EXPECT_THROW(no_idle.fit(2000, 0.05), InputError);
  EXPECT_THROW(toy().fit(0, 0.05), InputError);  // whether a clock was held back, the full one tells
}

}  // namespace
}  // namespace sextant
