#include "calibrate/measure/nccl/plan/table_text.hpp"

#include <gtest/gtest.h>

namespace sextant::nccl {
namespace {

// nccl-tests prints size %12, count %12, type %8, redop %6, root %6, then time in 7 and bandwidths and #wrong
// in 6 characters, two spaces apart; a number has two decimals when its whole digits leave room for more than
// two others.
TEST(TableText, LineIsThatOfNcclTests) {
  const TableCell out_of_place{8.43, {0.12, 0.18}, 0}, in_place{1234.5, {849.6, 1274.4}, 0};
  EXPECT_EQ(table_line(1024, 256, "float", "sum", -1, out_of_place, in_place),
            "        1024           256     float     sum      -1"
            "     8.43    0.12    0.18       0"
            "  1234.50  849.60  1274.4       0");
}

TEST(TableText, DecimalsGiveWayToDigits) {
  const TableCell cell{1234567.8, {12345.6, 99999.4}, std::nullopt};
  EXPECT_EQ(table_line(8, 2, "half", "none", 0, cell, std::nullopt),
            "           8             2      half    none       0"
            "  1234568   12346   99999     N/A"
            "      N/A     N/A     N/A     N/A");
}

TEST(TableText, HeadingHasTheColumnsOfNcclTests) {
  const std::string heading = table_heading();
  EXPECT_NE(
      heading.find(
          "#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   "
          "algbw   busbw  #wrong\n"),
      std::string::npos);
  EXPECT_NE(heading.find("out-of-place                       in-place"), std::string::npos);
}

TEST(TableText, FooterSaysWhetherResultsWereRight) {
  EXPECT_EQ(table_footer(0, 123.5), "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 123.5 \n#\n");
  EXPECT_EQ(table_footer(2, 1), "# Out of bounds values : 2 FAILED\n# Avg bus bandwidth    : 1 \n#\n");
}

}  // namespace
}  // namespace sextant::nccl
