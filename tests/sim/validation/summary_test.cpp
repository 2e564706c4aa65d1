#include "sim/validation/summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/validation/message.hpp"

namespace sextant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Comparison comparison(const std::string& gpu, const std::string& part, std::size_t line, double measured,
                      double predicted) {
  Comparison result;
  result.file = "a.jsonl";
  result.line = line;
  result.kind = "gemm";
  result.gpu = gpu;
  result.part = part;
  result.measured = measured;
  result.outcome =
      Prediction{predicted, PredictedInterval{0.9 * predicted, 1.1 * predicted}, Grade::fitted, false};
  return result;
}

// Errors +5, -20, +10, 0 and +30 %: by size 0, 5, 10, 20, 30, so the median is 10 %, p90 lies 0.6 of the way
// from 20 to 30 %, and the median error itself is +5 %. Within +-10 % of the prediction: +5 %, +10 % (100 of
// 110 +- 11), 0.
TEST(Summary, SaysErrorsOfKindGpuAndPart) {
  const std::vector<Comparison> comparisons = {
      comparison("x", "bf16", 1, 100, 105), comparison("x", "fp8", 2, 100, 80),
      comparison("x", "bf16", 3, 100, 110), comparison("x", "bf16", 4, 100, 100),
      comparison("x", "fp8", 5, 100, 130)};
  const std::vector<GroupSummary> groups = summarise(comparisons);
  ASSERT_EQ(groups.size(), 3u);
  const GroupSummary& all = groups[0];
  EXPECT_EQ(all.part, "");
  EXPECT_EQ(all.rows, 5);
  EXPECT_EQ(all.values, 5);
  EXPECT_NEAR(all.median, 0.10, 1e-12);
  EXPECT_NEAR(all.p90, 0.26, 1e-12);
  EXPECT_NEAR(all.worst, 0.30, 1e-12);
  EXPECT_NEAR(all.bias, 0.05, 1e-12);
  EXPECT_EQ(all.with_interval, 5);
  EXPECT_EQ(all.covered, 3);
  EXPECT_EQ(all.grade, Grade::fitted);
  EXPECT_EQ(groups[1].part, "bf16");
  EXPECT_EQ(groups[1].rows, 3);
  EXPECT_EQ(groups[2].part, "fp8");
  EXPECT_NEAR(groups[2].median, 0.25, 1e-12);
}

TEST(Summary, CountsWhatIsNotPredicted) {
  Comparison none = comparison("x", "bf16", 2, 100, 0);
  none.outcome = NotPredicted{"no profile"};
  const std::vector<GroupSummary> groups = summarise({comparison("x", "bf16", 1, 100, 90), none});
  EXPECT_EQ(groups[0].rows, 2);
  EXPECT_EQ(groups[0].values, 1);
  EXPECT_EQ(groups[0].without, 1);
}

// A round and its two stages are one row; the stages count in their own part only.
TEST(Summary, OneRowMayHoldSeveralValues) {
  Comparison round = comparison("x", "decode", 7, 10, 11), first = comparison("x", "stage_ms", 7, 4, 6);
  first.headline = false;
  Comparison second = first;
  const std::vector<GroupSummary> groups = summarise({round, first, second});
  EXPECT_EQ(groups[0].rows, 1);
  EXPECT_EQ(groups[0].values, 1);
  EXPECT_NEAR(groups[0].worst, 0.1, 1e-12);
  EXPECT_EQ(groups[2].part, "stage_ms");
  EXPECT_EQ(groups[2].rows, 1);
  EXPECT_EQ(groups[2].values, 2);
}

TEST(Bound, IsKindPartGpuStatisticAndPercent) {
  const ErrorBound plain = read_error_bound("gemm:median=5");
  EXPECT_EQ(plain.kind, "gemm");
  EXPECT_EQ(plain.part, "");
  EXPECT_EQ(plain.gpu, "");
  EXPECT_EQ(plain.statistic, Statistic::median);
  EXPECT_DOUBLE_EQ(plain.percent, 5);
  const ErrorBound full = read_error_bound("attention_decode/bf16/128:h100-sxm:p90=12.5");
  EXPECT_EQ(full.kind, "attention_decode");
  EXPECT_EQ(full.part, "bf16/128");
  EXPECT_EQ(full.gpu, "h100-sxm");
  EXPECT_EQ(full.statistic, Statistic::p90);
  EXPECT_DOUBLE_EQ(full.percent, 12.5);
}

TEST(Bound, RefusesWhatItCannotRead) {
  const auto message = [](const std::string& text) { return message_of([&] { read_error_bound(text); }); };
  EXPECT_THAT(message("gemm"), HasSubstr("--fail-above gemm: expected KIND[/PART][:GPU]:STATISTIC=PERCENT"));
  EXPECT_THAT(message("gemm=5"), HasSubstr("expected KIND"));
  EXPECT_THAT(message("gemm:median"), HasSubstr("expected KIND"));
  EXPECT_THAT(message("gemm:a:b:median=5"), HasSubstr("expected KIND"));
  EXPECT_THAT(message("gemm:mean=5"),
              HasSubstr("found the statistic 'mean', expected one of median, p90, worst, bias"));
  EXPECT_THAT(message("gem:median=5"), HasSubstr("did you mean 'gemm'"));
  EXPECT_THAT(message("gemm:median=5%"), HasSubstr("found '5%', expected a number of percent"));
  EXPECT_THAT(message("gemm:median=-1"), HasSubstr("found '-1'"));
  EXPECT_THAT(message("gemm:median=nan"), HasSubstr("found 'nan'"));
  EXPECT_THAT(message("gemm:median="), HasSubstr("found ''"));
  EXPECT_THAT(message("gemm/:median=5"), HasSubstr("empty part or GPU"));
  EXPECT_THAT(message("gemm::median=5"), HasSubstr("empty part or GPU"));
}

// On x the only error is +5 %, on y -8 %: a bound without a GPU is for each by itself, and a bias counts by
// its size.
TEST(Bound, HoldsOnEachGpuByItself) {
  const std::vector<GroupSummary> groups =
      summarise({comparison("x", "bf16", 1, 100, 105), comparison("y", "bf16", 2, 100, 92)});
  const auto misses = [&](const std::string& text) { return missed({read_error_bound(text)}, groups); };
  EXPECT_THAT(misses("gemm:median=8.1"), ElementsAre());
  EXPECT_THAT(misses("gemm:median=6"), ElementsAre("gemm:median=6: 8.00 % on y"));
  EXPECT_THAT(misses("gemm:x:median=6"), ElementsAre());
  EXPECT_THAT(misses("gemm:bias=6"), ElementsAre("gemm:bias=6: -8.00 % on y"));
  EXPECT_THAT(misses("gemm/bf16:worst=4"),
              ElementsAre("gemm/bf16:worst=4: 5.00 % on x", "gemm/bf16:worst=4: 8.00 % on y"));
}

TEST(Bound, DoesNotHoldWhereNothingIsPredicted) {
  Comparison none = comparison("x", "bf16", 1, 100, 0);
  none.outcome = NotPredicted{"no profile"};
  EXPECT_THAT(missed({read_error_bound("gemm:median=5")}, summarise({none})),
              ElementsAre("gemm:median=5: no value of it was predicted"));
  EXPECT_THAT(missed({read_error_bound("step:median=5")}, summarise({none})),
              ElementsAre("step:median=5: no value of it was predicted"));
}

TEST(Kinds, AreAllThatAMeasurementFileHolds) {
  const std::vector<std::string> kinds = measurement_kinds();
  for (const char* kind : {"gemm", "moe", "attention_prefill", "attention_decode", "mla_prefill",
                           "mla_decode", "mamba", "elementwise", "copy", "collective", "p2p", "overlap",
                           "rdma", "tcp", "power", "step", "serving", "requests"})
    EXPECT_THAT(kinds, testing::Contains(kind));
}

}  // namespace
}  // namespace sextant
