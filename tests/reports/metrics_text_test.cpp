#include "reports/metrics_text.hpp"

#include <gtest/gtest.h>

#include "tests/reports/example_plan.hpp"
#include "tests/reports/text_search.hpp"

namespace sextant {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(MetricsText, ReadsAsVllmBenchServePrints) {
  const std::string text = metrics_text(test::example_scenario(), {{0, test::example_candidate()}});
  // vLLM: "{:<40} {:<10}", whole numbers as they are, the others with two digits.
  EXPECT_TRUE(contains(text, "Successful requests:                     958\n"));
  EXPECT_TRUE(contains(text, "Output token throughput (tok/s):         349.90\n"));
  EXPECT_TRUE(contains(text, "---------------Time to First Token----------------\n"));
  EXPECT_TRUE(contains(text, "P99 TTFT (ms):                           3120.40\n"));
  EXPECT_TRUE(contains(text, "-----Time per Output Token (excl. 1st token)------\n"));
  EXPECT_TRUE(contains(text, "Mean ITL (ms):                           183.10\n"));
}

TEST(MetricsText, ShowsTheLatenciesAndPercentilesAskedFor) {
  Candidate candidate = test::example_candidate();
  candidate.metrics.percentiles = {{"ttft", 50, 11}, {"ttft", 99.9, 42.5}, {"itl", 50, 7}};
  const std::string text = metrics_text(test::example_scenario(), {{0, candidate}}, {}, {"ttft"});
  EXPECT_TRUE(contains(text, "P50 TTFT (ms):                           11.00\n"));
  EXPECT_TRUE(contains(text, "P99.9 TTFT (ms):                         42.50\n"));
  EXPECT_FALSE(contains(text, "P90 TTFT"));
  EXPECT_FALSE(contains(text, "ITL"));
}

TEST(MetricsText, ShowsStagesQueueAndFingerprint) {
  const std::string text = metrics_text(test::example_scenario(), {{0, test::example_candidate()}});
  EXPECT_TRUE(test::says(text, "KV occupancy 61 % on average, 83 % at its peak"));
  EXPECT_TRUE(test::says(text, "max_num_seqs 100 %"));
  EXPECT_TRUE(contains(text, "fingerprint 00c0ffee00c0ffee"));
  EXPECT_FALSE(contains(text, "replication"));
}

TEST(MetricsText, ShowsTheSpreadOfSeveralReplications) {
  const std::string text = metrics_text(test::example_scenario(),
                                        {{0, test::example_candidate()}, {1, test::example_candidate()}});
  EXPECT_TRUE(contains(text, "Over 2 replications"));
}

TEST(Spread, OfOneRunIsNothing) {
  const std::vector<MetricSpread> spread = spread_over({{0, test::example_candidate()}});
  ASSERT_FALSE(spread.empty());
  EXPECT_EQ(spread.front().deviation, 0);
  EXPECT_EQ(spread.front().low, spread.front().high);
}

}  // namespace
}  // namespace sextant
