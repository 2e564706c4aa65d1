#include "sim/kernel/portable_math.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sextant {
namespace {

TEST(PortableMath, KnownValues) {
  EXPECT_EQ(portable_log(1), 0);
  EXPECT_EQ(portable_exp(0), 1);
  EXPECT_DOUBLE_EQ(portable_log(2), 0.69314718055994530942);
  EXPECT_DOUBLE_EQ(portable_log(10), 2.30258509299404568402);
  EXPECT_DOUBLE_EQ(portable_exp(1), 2.71828182845904523536);
  EXPECT_DOUBLE_EQ(portable_exp(-1), 0.36787944117144232160);
}

TEST(PortableMath, LogFollowsTheLibrary) {
  for (double x = 1e-300; x < 1e300; x *= 1.37) {
    EXPECT_NEAR(portable_log(x) / std::log(x), 1, 4e-16) << x;
  }
  for (double x = 0.5; x < 2; x += 0.001) EXPECT_NEAR(portable_log(x), std::log(x), 2e-16) << x;
}

TEST(PortableMath, ExpFollowsTheLibrary) {
  for (double x = -700; x < 700; x += 0.37) EXPECT_NEAR(portable_exp(x) / std::exp(x), 1, 1e-15) << x;
}

TEST(PortableMath, ExpAtTheEdges) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(portable_exp(1000), infinity);
  EXPECT_EQ(portable_exp(infinity), infinity);
  EXPECT_EQ(portable_exp(-1000), 0);
  EXPECT_EQ(portable_exp(-infinity), 0);
  EXPECT_TRUE(std::isnan(portable_exp(std::nan(""))));
}

}  // namespace
}  // namespace sextant
