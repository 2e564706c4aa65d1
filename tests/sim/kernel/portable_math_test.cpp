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
  for (int i = -690; i < 690; ++i) {  // e^-690 to e^690
    const double x = std::exp(i + 0.37);
    EXPECT_NEAR(portable_log(x) / std::log(x), 1, 4e-16) << x;
  }
  for (int i = 500; i < 2000; ++i) {
    const double x = i / 1000.0;
    EXPECT_NEAR(portable_log(x), std::log(x), 2e-16) << x;
  }
}

TEST(PortableMath, ExpFollowsTheLibrary) {
  for (int i = -7000; i < 7000; ++i) {
    const double x = i * 0.1 + 0.037;
    EXPECT_NEAR(portable_exp(x) / std::exp(x), 1, 1e-15) << x;
  }
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
