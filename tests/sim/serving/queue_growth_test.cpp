#include "sim/serving/queue_growth.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

/// The verdict on `arrivals` of which the i-th finds i / `every` waiting.
bool growing(int arrivals, int every) {
  QueueGrowth growth;
  for (int i = 0; i < arrivals; ++i) growth.arrival(i / every);
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
  for (int i = 0; i < 1000; ++i) steady.arrival(500);
  EXPECT_FALSE(steady.overloaded());
  EXPECT_FALSE(growing(29, 1)) << "halves differ by 14, but 29 arrivals tell nothing";
  EXPECT_TRUE(growing(64, 1)) << "halves differ by 32, the root is 8";
  EXPECT_FALSE(QueueGrowth{}.overloaded());
}

}  // namespace
}  // namespace sextant
