#include "calibrate/measure/rdma/plan/samples.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "calibrate/measure/rdma/plan/pattern.hpp"
#include "calibrate/measure/rdma/plan/table.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

/// 1 to 5: median 3; p90 lies 0.9 x 4 = 3.6 steps above the first: 4.6; p99 4.96; deviation sqrt(10/5).
TEST(RdmaSamples, PercentilesInterpolateBetweenOrderStatistics) {
  const SampleStatistics result = statistics({5, 1, 4, 2, 3});
  EXPECT_DOUBLE_EQ(result.median, 3);
  EXPECT_DOUBLE_EQ(result.p90, 4.6);
  EXPECT_DOUBLE_EQ(result.p99, 4.96);
  EXPECT_DOUBLE_EQ(result.mean, 3);
  EXPECT_DOUBLE_EQ(result.deviation, std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(result.most, 5);
  EXPECT_DOUBLE_EQ(statistics({7}).p999, 7);
  EXPECT_THROW(statistics({}), Error);
}

/// 10 messages in the first second, 30 in the second: two slices of 1 s.
TEST(RdmaSamples, SlicesOfAStream) {
  EXPECT_EQ(slice_rates({{1, 10}, {2, 40}}, 2), (std::vector<double>{10, 30}));
  EXPECT_EQ(slice_rates({{2, 40}}, 10), (std::vector<double>{20}));
  EXPECT_TRUE(slice_rates({}, 10).empty());
}

TEST(RdmaPattern, EveryByteCounts) {
  std::vector<std::byte> data(1003), other(1003);  // not a multiple of a word
  fill_pattern(1, data);
  fill_pattern(2, other);
  EXPECT_NE(checksum(data), checksum(other));
  const std::uint64_t whole = checksum(data);
  for (std::byte& byte : data) {
    byte ^= std::byte{1};
    EXPECT_NE(checksum(data), whole);
    byte ^= std::byte{1};
  }
  EXPECT_EQ(checksum(data), whole);
  EXPECT_NE(checksum(std::vector<std::byte>(8)), checksum(std::vector<std::byte>(16)));
}

/// 65,536 B x 178 k messages/s x 8 = 93.3 Gbit/s of 10^9 bit.
TEST(RdmaTable, GigabitsAreDecimal) {
  PointFigures figures;
  figures.bytes = 65536;
  figures.messages_per_second = 178e3;
  EXPECT_NEAR(figures.gbps(), 93.323, 1e-3);
  const Block block{Operation::write, rdma::Test::bandwidth, 4, true, true, {65536}};
  const Measurement row = row_of(block, figures, {"mlx5_0", "test", "a-b", "DMA-BUF", 4096, 100});
  EXPECT_EQ(row_of(block, 65536, {"mlx5_0", "test", "a-b", "DMA-BUF", 4096, 100}).note, "");
  const Measurement back = read_measurement(JsonValue::parse(write_measurement(row), "row"));
  const auto& rdma = std::get<RdmaRow>(back.row);
  EXPECT_EQ(rdma.both_ways, true);
  EXPECT_EQ(rdma.gdr, true);
  EXPECT_EQ(rdma.pair, "a-b");
  EXPECT_EQ(rdma.qps, 4);
}

TEST(RdmaOperation, PerftestsNames) {
  EXPECT_EQ(operation_named("ib_write_bw"), Operation::write);
  EXPECT_EQ(operation_named("read"), Operation::read);
  EXPECT_EQ(operation_named("atomic"), std::nullopt);
}

}  // namespace
}  // namespace sextant::rdma
