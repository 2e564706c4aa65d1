#include <gtest/gtest.h>

#include "models/cost/cost.hpp"

namespace sextant {
namespace {

/// 700 W at most, 100 W idle, watts above that with the clock itself; the limit acts after 0.1 s.
LoadModel toy() {
  LoadModel load;
  load.limit_watts = 700;
  load.idle_watts = 100;
  load.clock_exponent = 1;
  load.window_seconds = 0.1;
  return load;
}

/// 0.6 s of GEMMs at 1,300 W that follow the clock and 0.4 s of decode attention at 1,300 W that does not.
LoadedSeconds pass() {
  LoadedSeconds pass;
  pass.add(Family::gemm, 0.6, {1300, 1});
  pass.add(Family::attention_decode, 0.4, {1300, 0});
  return pass;
}

// (700 - 100) / (1300 - 100): half the clock. The GEMMs take twice as long, the attention what it did.
TEST(LoadedSeconds, OnlyWhatGoesWithTheClockGetsSlower) {
  const FamilySeconds seconds = pass().sustained(toy(), 1);
  EXPECT_DOUBLE_EQ(seconds[Family::gemm], 1.2);
  EXPECT_DOUBLE_EQ(seconds[Family::attention_decode], 0.4);
}

// Half of the time idle: 0.5 x 1300 + 0.5 x 100 = 700 W, which the limit allows, but only for the 0.1 s of
// its window: the other 0.9 of the second run at half the clock, 0.6 x (1 + 0.9) = 1.14 s of GEMMs.
TEST(LoadedSeconds, RestsCountForTheWindow) {
  EXPECT_DOUBLE_EQ(pass().sustained(toy(), 0.5)[Family::gemm], 0.6 * 1.9);
  LoadModel slow = toy();
  slow.window_seconds = 2;
  EXPECT_DOUBLE_EQ(pass().sustained(slow, 0.5)[Family::gemm], 0.6);
}

TEST(LoadedSeconds, WithinTheLimitNothingChanges) {
  LoadedSeconds light;
  light.add(Family::gemm, 1, {600, 1});
  EXPECT_EQ(light.sustained(toy(), 1)[Family::gemm], 1);
  EXPECT_EQ(LoadedSeconds{}.sustained(toy(), 1).total(), 0);
}

}  // namespace
}  // namespace sextant
