#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/common/grid.hpp"
#include "calibrate/measure/common/progress.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "models/base/error.hpp"
#include "models/profile/measurement.hpp"

namespace sextant::measure {
namespace {

TEST(SizeText, ReadsSuffixes) {
  EXPECT_EQ(parse_size("512", "-b"), 512);
  EXPECT_EQ(parse_size("64K", "-b"), 65536);
  EXPECT_EQ(parse_size("8m", "-b"), 8388608);
  EXPECT_EQ(parse_size("1G", "-b"), 1073741824);
  for (const char* wrong : {"", "K", "1KB", "-1", "1.5M", "99999999999G"})
    EXPECT_THROW(parse_size(wrong, "-b"), InputError) << wrong;
}

TEST(SizeText, WritesWhatItReads) {
  for (const char* text : {"0", "1000", "64K", "8M", "3G", "1025K"})
    EXPECT_EQ(size_text(parse_size(text, "-b")), text);
}

TEST(SizeText, Lists) {
  EXPECT_EQ(parse_size_list("1,2,8K", "--batch"), (std::vector<std::int64_t>{1, 2, 8192}));
  EXPECT_THROW(parse_size_list("1,,2", "--batch"), InputError);
  EXPECT_THROW(parse_size_list("0,1", "--batch"), InputError);
}

TEST(SizeText, DurationsAndBytes) {
  EXPECT_EQ(duration_text(59), "59 s");
  EXPECT_EQ(duration_text(75), "1 min 15 s");
  EXPECT_EQ(bytes_text(3 * 1024.0 * 1024), "3 MiB");
}

TEST(Progress, TimeLeftIsTheTimePerUnitTimesWhatIsLeft) {
  // A quarter in 20 s: three quarters take 60 s.
  EXPECT_EQ(progress_line(1, 4, 20, "gemm"), "[#####...............]  25 %  gemm  left 1 min 0 s");
  EXPECT_LE(progress_line(1, 4, 20, std::string(500, 'x')).size(), 110U);
}

TEST(Grid, HaltonStartsWithHalvesAndThirds) {
  EXPECT_EQ(halton(0, 2), (std::vector<double>{0.5, 1.0 / 3}));
  EXPECT_DOUBLE_EQ(halton(1, 2)[0], 0.25);
  EXPECT_DOUBLE_EQ(halton(1, 2)[1], 2.0 / 3);
}

TEST(Grid, LogBetweenRoundsAndStaysInside) {
  EXPECT_EQ(log_between(128, 8192, 0.5, 64), 1024);  // sqrt(128 * 8192) = 1024
  EXPECT_EQ(log_between(100, 200, 0, 64), 128);
  EXPECT_EQ(log_between(128, 200, 1, 64), 192);
}

TEST(Grid, CoarseToFineVisitsAllAndSpreadsItsStart) {
  const auto order = coarse_to_fine(8);
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 4, 2, 6, 1, 5, 3, 7}));
  const auto odd = coarse_to_fine(5);
  EXPECT_EQ(std::set<std::size_t>(odd.begin(), odd.end()).size(), 5U);
}

TEST(Context, IsAMeasurementLine) {
  Provenance provenance;
  provenance.gpu = "h200-sxm";
  provenance.version = "0.1.0 (abc)";
  provenance.arguments = {"gpu", "--quick"};
  provenance.details = {{"driver", "580.1"}};
  const Measurement row = read_measurement(JsonValue::parse(context_line(provenance), "context"));
  EXPECT_EQ(std::get<OtherRow>(row.row).kind, "context");
  EXPECT_EQ(row.gpu, "h200-sxm");
  EXPECT_NE(std::get<OtherRow>(row.row).json.find("580.1"), std::string::npos);
}

}  // namespace
}  // namespace sextant::measure
