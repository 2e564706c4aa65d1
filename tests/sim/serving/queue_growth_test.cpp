#include "sim/serving/queue_growth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace sextant {
namespace {

/// The verdict on `arrivals` of which the i-th finds i / `every` waiting.
bool growing(int arrivals, int every) {
  QueueGrowth growth;
  for (int i = 0; i < arrivals; ++i) growth.arrival(Time::seconds(i), i / every, i - i / every);
  return growth.overloaded();
}

// A queue that grows by one every 10 arrivals: halves of 100 arrivals differ by 5 and the root of 100 is 10;
// of 1,000 by 50 against 32; of 10,000,000 by 500,000 against 3,162 (and the means have been merged on the
// way).
TEST(QueueGrowth, GrowthAgainstTheRootOfArrivals) {
  EXPECT_FALSE(growing(100, 10));
  EXPECT_TRUE(growing(1000, 10));
  EXPECT_TRUE(growing(10'000'000, 10));
}

TEST(QueueGrowth, SteadyOrFewIsNoOverload) {
  QueueGrowth steady;
  for (int i = 0; i < 1000; ++i) steady.arrival(Time::seconds(i), 500, i);
  EXPECT_FALSE(steady.overloaded());
  EXPECT_FALSE(growing(29, 1)) << "halves differ by 14, but 29 arrivals tell nothing";
  EXPECT_TRUE(growing(64, 1)) << "halves differ by 32, the root is 8";
  EXPECT_FALSE(QueueGrowth{}.overloaded());
}

// One request a second. Up to 1,000 s none waits; from then on each third is served, so the queue after n
// more arrivals is 2n/3: it grew from 1,000 s on, at 1 request/s against 1/3, and 2,000 of 3,000 more wait at
// 4,000 s.
TEST(QueueGrowth, SaysSinceWhenAndHowFast) {
  QueueGrowth growth;
  for (int i = 0; i <= 4000; ++i) {
    const int waiting = i <= 1000 ? 0 : 2 * (i - 1000) / 3;
    growth.arrival(Time::seconds(i), waiting, i - waiting);
  }
  ASSERT_TRUE(growth.overloaded());
  const Overload overload = growth.overload();
  EXPECT_NEAR(overload.from_s, 1000, 2);
  EXPECT_NEAR(overload.arrival_rate, 1, 1e-9);
  EXPECT_NEAR(overload.capacity, 1.0 / 3, 1e-3);
  EXPECT_EQ(overload.waiting, 2000);
}

// The same with 100 times as many arrivals, of which points stand for 64 or more; 10 arrivals a second.
TEST(QueueGrowth, SaysSoAfterMerging) {
  QueueGrowth growth;
  for (int i = 0; i <= 400'000; ++i) {
    const int waiting = i <= 100'000 ? 0 : 2 * (i - 100'000) / 3;
    growth.arrival(Time{i * std::int64_t{100'000'000}}, waiting, i - waiting);
  }
  const Overload overload = growth.overload();
  EXPECT_NEAR(overload.from_s, 10'000, 20);
  EXPECT_NEAR(overload.arrival_rate, 10, 0.01);
  EXPECT_NEAR(overload.capacity, 10.0 / 3, 0.02);
}

// 100,000 arrivals that each find half a request more, less a slow wave of up to 1,500, as lengths by chance
// make it: deepest below the line at 50,000 s, where 23,500 wait already. Up to there it lies 311 below its
// line (the root of 50,000 is 224) with 11,400 waiting, up to there 44 (158): it grew from the first on.
TEST(QueueGrowth, WanderingAboutTheLineIsNoBend) {
  QueueGrowth growth;
  for (int i = 0; i < 100'000; ++i) {
    const auto waiting = static_cast<std::int64_t>(i / 2.0 - 1500 * std::sin(M_PI * i / 100'000.0) + 0.5);
    growth.arrival(Time::seconds(i), std::max<std::int64_t>(0, waiting), i - waiting);
  }
  EXPECT_LT(growth.overload().from_s, 100);
  EXPECT_NEAR(growth.overload().capacity, 0.5, 1e-3);
}

// Growth from the first arrival on follows the line throughout: since the first, at 5 s.
TEST(QueueGrowth, FromTheFirstArrivalOn) {
  QueueGrowth growth;
  for (int i = 0; i < 1000; ++i) growth.arrival(Time::seconds(5 + i), i / 2, i - i / 2);
  EXPECT_EQ(growth.overload().from_s, 5);
  EXPECT_NEAR(growth.overload().capacity, 0.5, 1e-3);
}

}  // namespace
}  // namespace sextant
