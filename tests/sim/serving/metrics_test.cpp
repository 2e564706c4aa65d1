#include "sim/serving/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/serving/recorder.hpp"

namespace sextant {
namespace {

Time ms(double value) {
  return Time::seconds(value * 1e-3);
}

// 1, 2, 3, 4 ms: the median lies half way between 2 and 3; p90 at position 2.7, that is 3 + 0.7 x 1 = 3.7.
TEST(WeightedSamples, InterpolatesBetweenOrderStatistics) {
  WeightedSamples samples;
  for (const double value : {4.0, 1.0, 3.0, 2.0}) samples.add(ms(value), 1);
  EXPECT_DOUBLE_EQ(samples.percentile_ms(0.5), 2.5);
  EXPECT_NEAR(samples.percentile_ms(0.9), 3.7, 1e-12);
  EXPECT_DOUBLE_EQ(samples.percentile_ms(0), 1);
  EXPECT_DOUBLE_EQ(samples.percentile_ms(1), 4);
  EXPECT_DOUBLE_EQ(samples.mean_ms(), 2.5);
}

// A weight is that many equal samples: 1 x 3, 5 x 1 is the list 1 1 1 5, whose p90 is at 2.7: 1 + 0.7 x 4
// = 3.8.
TEST(WeightedSamples, WeightsCountAsRepeats) {
  WeightedSamples samples;
  samples.add(ms(1), 3);
  samples.add(ms(5), 1);
  EXPECT_EQ(samples.count(), 4);
  EXPECT_DOUBLE_EQ(samples.mean_ms(), 2);
  EXPECT_NEAR(samples.percentile_ms(0.9), 3.8, 1e-12);
  EXPECT_DOUBLE_EQ(samples.percentile_ms(0.5), 1);
}

TEST(WeightedSamples, EmptyHasNoMean) {
  EXPECT_TRUE(std::isnan(WeightedSamples{}.percentile_ms(0.5)));
  EXPECT_TRUE(std::isnan(WeightedSamples{}.mean_ms()));
}

// 300,000 samples of 1,000 distinct values merge on the way: the answer is that of the whole list, 0..999
// repeated.
TEST(WeightedSamples, MergesWithoutChangingTheAnswer) {
  WeightedSamples samples;
  for (int i = 0; i < 300'000; ++i) samples.add(ms((i * 7) % 1000), 1);
  EXPECT_NEAR(samples.percentile_ms(0.5), 499.5, 0.5);
  EXPECT_NEAR(samples.percentile_ms(0.99), 990, 1);
  EXPECT_EQ(samples.count(), 300'000);
}

// A million different values are more than are kept apart: 1 to 1,000,000 us, whose mean is 500,000.5 us and
// whose percentile p is 1 + p x 999,999 us. Rounded to 14 binary digits they are off by at most 1 / 2^14 =
// 0.0061 %.
TEST(WeightedSamples, RoundsWhereThereAreTooMany) {
  WeightedSamples samples;
  for (std::int64_t i = 0; i < 1'000'000; ++i) samples.add(Time{(1 + i * 7'919 % 1'000'000) * 1000}, 3);
  EXPECT_NEAR(samples.mean_ms(), 500.0005, 1e-9);
  for (const double p : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double expected = (1 + p * 999'999) / 1000;
    EXPECT_NEAR(samples.percentile_ms(p), expected, expected * 6.2e-5 + 1e-6) << p;
  }
  EXPECT_EQ(samples.count(), 3'000'000);
}

// One request: arrives at 1 s, first token at 1.2 s, last of 11 at 2.2 s. TTFT 200 ms, E2EL 1200 ms, TPOT
// (1200-200)/10 = 100.
TEST(Recorder, FollowsVllmsFormulas) {
  Recorder recorder({.ttft_ms = 250, .tpot_ms = 90, .e2el_ms = 0});
  recorder.arrived(ms(1000));
  recorder.finished({ms(1000), ms(1200), ms(2200), 50, 11});
  const ServingMetrics m = recorder.result(0);
  EXPECT_DOUBLE_EQ(m.ttft.mean, 200);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 1200);
  EXPECT_DOUBLE_EQ(m.tpot.mean, 100);
  EXPECT_NEAR(m.duration_s, 1.2, 1e-12);
  EXPECT_NEAR(m.output_throughput, 11 / 1.2, 1e-9);
  EXPECT_NEAR(m.total_token_throughput, 61 / 1.2, 1e-9);
  EXPECT_EQ(m.goodput_fraction, 0) << "TPOT of 100 ms misses its bound of 90";
}

// Four arrive; one is rejected, one finishes too late, two are good: 2 of 4, not 2 of 3. The one token of
// each leaves no TPOT.
// Ten requests with first tokens after 1 .. 10 ms: numpy.percentile of them at 95 is 9 + 0.55 x 1 (position
// 0.95 x 9 = 8.55 among 0 .. 9), at 0 and 100 their ends, at 99.9 9.991 ms.
TEST(Recorder, GivesThePercentilesThatAreAskedFor) {
  Recorder recorder;
  for (std::int64_t ms = 1; ms <= 10; ++ms) {
    recorder.arrived({});
    recorder.finished({{}, Time{ms * 1'000'000}, Time{20'000'000}, 5, 2, 0});
  }
  const std::vector<AskedPercentile> asked = recorder.result(0, {95, 0, 100, 99.9}).percentiles;
  ASSERT_EQ(asked.size(), 16u);  // of four latencies each
  EXPECT_EQ(asked[0].name(), "p95_ttft_ms");
  EXPECT_DOUBLE_EQ(asked[0].ms, 9.55);
  EXPECT_DOUBLE_EQ(asked[1].ms, 1);
  EXPECT_DOUBLE_EQ(asked[2].ms, 10);
  EXPECT_EQ(asked[3].name(), "p99.9_ttft_ms");
  EXPECT_NEAR(asked[3].ms, 9.991, 1e-9);
  EXPECT_EQ(asked[4].name(), "p95_tpot_ms");
  EXPECT_EQ(asked[15].name(), "p99.9_e2el_ms");
}

TEST(Recorder, GoodputIsOfWhatArrived) {
  Recorder recorder({.ttft_ms = 250, .tpot_ms = 0, .e2el_ms = 0});
  for (int i = 0; i < 4; ++i) recorder.arrived(ms(0));
  recorder.rejected();
  for (const double first_token : {100.0, 200.0, 300.0})
    recorder.finished({ms(0), ms(first_token), ms(first_token), 5, 1});
  const ServingMetrics m = recorder.result(0);
  EXPECT_DOUBLE_EQ(m.goodput_fraction, 0.5);
  EXPECT_DOUBLE_EQ(m.request_goodput, 2 / 0.3);
  EXPECT_TRUE(std::isnan(m.tpot.mean));
}

TEST(Recorder, NothingFinishedIsNoGoodput) {
  Recorder recorder;
  recorder.arrived(ms(0));
  recorder.rejected();
  EXPECT_EQ(recorder.result(0).goodput_fraction, 0);
  EXPECT_TRUE(std::isnan(recorder.result(0).ttft.p99));
}

}  // namespace
}  // namespace sextant
