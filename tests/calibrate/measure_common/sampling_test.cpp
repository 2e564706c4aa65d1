#include "calibrate/measure/common/sampling.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

TEST(Sampler, EqualSamplesConvergeAtTheLeastNumber) {
  Sampler sampler({});
  for (int i = 0; i < 4; ++i) sampler.add(10, 0.001);
  EXPECT_FALSE(sampler.done());
  sampler.add(10, 0.001);
  ASSERT_TRUE(sampler.done());
  EXPECT_EQ(sampler.summary().stop, Stop::converged);
  EXPECT_DOUBLE_EQ(sampler.summary().interval.median, 10);
  EXPECT_EQ(sampler.summary().note(), "5 samples, 94 % interval 10 to 10");
}

TEST(Sampler, TimeOutNamesTheConditionLeftUnmet) {
  StoppingRule rule;
  rule.most_seconds = 1;
  Sampler sampler(rule);
  // 1, 2, 1, 2, 1: half width (2 - 1) / 2 / 1 = 50 %.
  for (int i = 0; i < 5; ++i) sampler.add(1 + i % 2, 0.3);
  ASSERT_TRUE(sampler.done());
  EXPECT_EQ(sampler.summary().stop, Stop::timed_out);
  EXPECT_NE(sampler.summary().note().find("time-out of 1 s left unmet: half width 50 %, expected 1 %"),
            std::string::npos)
      << sampler.summary().note();
}

TEST(Sampler, NoiseThatMoreSamplesDoNotReduceIsStable) {
  Sampler sampler({});
  for (int i = 0; i < 100 && !sampler.done(); ++i) sampler.add(1 + 0.1 * (i % 2), 0.0001);
  ASSERT_TRUE(sampler.done());
  // Two values 1 and 1.1 alternate: the interval is [1, 1.1] at every length, so eight in a row agree at
  // once.
  EXPECT_EQ(sampler.summary().stop, Stop::stable);
  EXPECT_LT(sampler.summary().samples, 30U);
}

TEST(Sampler, ThrottledSamplesAreCountedAndNotUsed) {
  Sampler sampler({});
  for (int i = 0; i < 5; ++i) {
    sampler.add_throttled(0.001);
    sampler.add(10, 0.001);
  }
  const SampleSummary summary = sampler.summary();
  EXPECT_EQ(summary.throttled, 5U);
  EXPECT_EQ(summary.samples, 5U);
  EXPECT_NE(summary.note().find("5 throttled samples thrown away"), std::string::npos);
}

TEST(Sampler, AGpuThatNeverRecoversEndsThePoint) {
  Sampler sampler({});
  for (int i = 0; i < 50; ++i) sampler.add_throttled(0.001);
  ASSERT_TRUE(sampler.done());
  EXPECT_THROW(sampler.summary(), Error);
}

}  // namespace
}  // namespace sextant::measure
