#include "calibrate/measure/common/statistics.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

TEST(Statistics, MedianOfOddAndEven) {
  EXPECT_DOUBLE_EQ(median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{4, 1, 2, 3}), 2.5);
  EXPECT_THROW(median(std::vector<double>{}), Error);
}

TEST(Statistics, FiveValuesGiveTheirRange) {
  // P(all five on one side of the median) = 2 / 2^5 = 6.25 %, so the range holds it with 93.75 %.
  const MedianInterval interval = median_interval(std::vector<double>{5, 1, 4, 2, 3});
  EXPECT_DOUBLE_EQ(interval.low, 1);
  EXPECT_DOUBLE_EQ(interval.high, 5);
  EXPECT_NEAR(interval.confidence, 0.9375, 1e-9);
}

TEST(Statistics, TenValuesGiveTheSecondAndNinth) {
  // P(Bin(10, 1/2) < 2) = 11 / 1024 = 1.07 % is allowed, < 3 would be 56 / 1024 = 5.5 %: j = 2.
  std::vector<double> values(10);
  std::iota(values.begin(), values.end(), 1.0);
  const MedianInterval interval = median_interval(values);
  EXPECT_DOUBLE_EQ(interval.low, 2);
  EXPECT_DOUBLE_EQ(interval.high, 9);
  EXPECT_NEAR(interval.confidence, 1 - 22.0 / 1024, 1e-9);
  EXPECT_NEAR(interval.relative_half_width(), 3.5 / 5.5, 1e-12);
}

TEST(Statistics, OneValueIsItsOwnIntervalWithoutConfidence) {
  const MedianInterval interval = median_interval(std::vector<double>{7});
  EXPECT_DOUBLE_EQ(interval.low, 7);
  EXPECT_DOUBLE_EQ(interval.high, 7);
  EXPECT_DOUBLE_EQ(interval.confidence, 0);
}

}  // namespace
}  // namespace sextant::measure
