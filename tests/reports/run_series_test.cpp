#include "reports/run_series.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sextant {
namespace {

double sum(const nlohmann::ordered_json& list) {
  double total = 0;
  for (const auto& value : list) total += value.get<double>();
  return total;
}

TEST(RunSeries, AveragesTheLoadOverABinsTime) {
  RunSeries series(1, 1);
  // 4 requests run from 0 to 1.5 ms, 2 from then to 2 ms, in bins of 1 ms.
  series.load(0, Time{0}, {0, 4, 8});
  series.load(0, Time{1'500'000}, {3, 2, 6});
  series.load(0, Time{2'000'000}, {0, 0, 0});
  const auto json = series.json();
  EXPECT_EQ(json["bin_s"], 0.001);
  EXPECT_EQ(json["running_mean"][0], 4);
  EXPECT_EQ(json["running_mean"][1], 3);    // half 4, half 2
  EXPECT_EQ(json["waiting_mean"][1], 1.5);  // half 0, half 3
  EXPECT_EQ(json["waiting_peak"][1], 3);
  EXPECT_EQ(json["kv_blocks_mean"][1], 7);
}

TEST(RunSeries, DoublesItsBinsWhereARunIsLonger) {
  RunSeries series(2, 2);
  for (std::int64_t second = 0; second < 1000; ++second) {
    const Time now{second * 1'000'000'000};
    series.arrived(static_cast<std::uint64_t>(second), 0, now);
    PassShape shape;
    series.pass({0, 1, 0, now, now + Time{500'000'000}, &shape});
  }
  const auto json = series.json();
  // The last pass ends at 999.5 s. 1 ms x 2^13 = 8.192 s gives 999.5 / 8.192 = 122.01, so 123 bins; half the
  // length would need 245.
  EXPECT_EQ(json["bin_s"], 8.192);
  EXPECT_EQ(json["bins"], 123);
  EXPECT_EQ(sum(json["arrived"]), 1000);
  // Stage 1 of one of two replicas is busy half the time: a quarter.
  EXPECT_NEAR(json["stage_busy"][1][5].get<double>(), 0.25, 0.02);
  EXPECT_EQ(json["stage_busy"][0][5], 0);
}

TEST(RunSeries, CountsLatenciesInBinsOfEqualRatio) {
  RunSeries series(1, 1);
  // TTFT 10 ms, E2EL 110 ms, 11 tokens: TPOT 10 ms.
  series.finished({Time{0}, Time{10'000'000}, Time{110'000'000}, 5, 11, 0});
  const auto json = series.json();
  for (const char* quantity : {"ttft", "tpot"}) {
    const auto& bins = json["latency_ms"][quantity];
    ASSERT_EQ(bins.size(), 1U) << quantity;
    EXPECT_LE(bins[0]["from_ms"].get<double>(), 10);
    EXPECT_GT(bins[0]["to_ms"].get<double>(), 10);
    EXPECT_EQ(bins[0]["count"], 1);
  }
  EXPECT_EQ(json["mean_ttft_ms"][10], 10);
}

TEST(RunSeries, IsEmptyWithoutEvents) {
  EXPECT_EQ(RunSeries(1, 3).json()["bins"], 0);
}

}  // namespace
}  // namespace sextant
