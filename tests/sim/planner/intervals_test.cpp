#include <gtest/gtest.h>

#include <cmath>

#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

// Two effects that each halve a metric at one end and double it at the other: ln 2 x sqrt(2) = 0.980 either
// way, a factor of 2.665. Linear deviations would give 100 - sqrt(50^2 + 50^2) = 29.3 and 100 + 141.4.
TEST(CombinedInterval, RatiosAddInQuadrature) {
  const Interval interval = combined_interval(100, {{200, 50}, {50, 200}});
  EXPECT_NEAR(interval.low, 100 / 2.6651, 0.01);
  EXPECT_NEAR(interval.high, 266.51, 0.01);
  EXPECT_EQ(interval.nominal, 100);
}

// Near saturation: TTFT falls from 1000 ms to 100 where GEMMs are fast and to 200 where attention is. Linear
// deviations of 900 and 800 are 1204 together, below zero; ratios: sqrt(2.303^2 + 1.609^2) = 2.809, a factor
// of 16.6.
TEST(CombinedInterval, LowEndStaysAboveZero) {
  const Interval interval = combined_interval(1000, {{1000, 100}, {1000, 200}});
  EXPECT_NEAR(interval.low, 1000 / std::exp(2.8094), 0.1);
  EXPECT_EQ(interval.high, 1000);
}

// Both ends on one side move one bound only; an end at 0 moves it to 0; a nominal 0 has no ratios.
TEST(CombinedInterval, OneSidedAndZero) {
  EXPECT_NEAR(combined_interval(10, {{20, 30}}).high, 30, 1e-9);
  EXPECT_EQ(combined_interval(10, {{20, 30}}).low, 10);
  EXPECT_EQ(combined_interval(10, {{0, 10}}).low, 0);
  EXPECT_EQ(combined_interval(0, {{0, 0.5}}).low, 0);
  EXPECT_EQ(combined_interval(0, {{0, 0.5}}).high, 0.5);
}

}  // namespace
}  // namespace sextant
