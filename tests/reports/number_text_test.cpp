#include "reports/number_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sextant {
namespace {

TEST(NumberText, KeepsThreeSignificantDigits) {
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(0.012345), "0.0123");
  EXPECT_EQ(number_text(3.14159), "3.14");
  EXPECT_EQ(number_text(31.4159), "31.4");
  EXPECT_EQ(number_text(314.159), "314");
  EXPECT_EQ(number_text(-3.14159), "-3.14");
}

TEST(NumberText, SeparatesThousands) {
  EXPECT_EQ(number_text(999.6), "1,000");
  EXPECT_EQ(number_text(12345.6), "12,346");
  EXPECT_EQ(number_text(-1234567), "-1,234,567");
  EXPECT_EQ(count_text(102641958912), "102,641,958,912");
  EXPECT_EQ(count_text(-123), "-123");
}

TEST(NumberText, RoundingMayAddADigit) {
  EXPECT_EQ(number_text(9.996), "10.0");
  EXPECT_EQ(number_text(99.96), "100");
}

TEST(NumberText, SaysWhatIsNoNumber) {
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity()), "-");
  EXPECT_EQ(number_text(std::nan("")), "-");
  EXPECT_EQ(bytes_text(std::nan("")), "-");
  EXPECT_EQ(gigabytes_text(std::nan("")), "-");
  EXPECT_EQ(percent_text(std::nan("")), "-");
}

TEST(NumberText, SizesAreDecimal) {
  EXPECT_EQ(gigabytes_text(102641958912.0), "102.6");
  EXPECT_EQ(gigabytes_text(0.25e9), "0.25");
  EXPECT_EQ(gigabytes_text(-3.21e9), "-3.2");
  EXPECT_EQ(gigabytes_text(0), "0.0");
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(65536), "65.5 kB");
  // 2,048 tokens of 64 KiB: 2048 x 65536 = 134,217,728 B
  EXPECT_EQ(bytes_text(2048 * 65536.0), "134 MB");
}

TEST(NumberText, PercentOfAShare) {
  EXPECT_EQ(percent_text(0.8), "80");
  EXPECT_EQ(percent_text(0.031), "3.1");
  EXPECT_EQ(percent_text(0), "0");
}

}  // namespace
}  // namespace sextant
