#include "calibrate/fit/curve_fit.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

/// Curves are believed to 10 %, thinned within 1 %, and a time 1.7 times a larger size's is an outlier.
LinkRules rules() {
  LinkRules rules;
  rules.curve = {{1, Grade::assumed, "", ""}, 0.9, 1.1};
  rules.thinning.value = 0.01;
  rules.outlier_ratio.value = 1.7;
  return rules;
}

TEST(CurveFit, TakesTheMedianAndCountsWhatDisagrees) {
  const CurveFit fit = fit_curve({{1000, {10, 11, 14}}, {2000, {20}}}, rules());
  EXPECT_EQ(fit.full.us, (std::vector<double>{11, 20}));
  EXPECT_EQ(fit.rows, 4u);
  EXPECT_EQ(fit.disagreeing, 1u) << "14 is more than 1.1 x 10";
}

// Times in proportion to size lie on one line in logarithms: the ends tell all. A step of LL to Simple (30 to
// 60 us) keeps both its points.
TEST(CurveFit, KeepsThePointsThatTell) {
  const CurveFit line = fit_curve({{1000, {10}}, {2000, {20}}, {4000, {40}}, {8000, {80}}}, rules());
  EXPECT_EQ(line.thinned.bytes, (std::vector<double>{1000, 8000}));
  EXPECT_EQ(line.full.bytes.size(), 4u);
  EXPECT_NEAR(line.shipped.worst, 0, 1e-12);
  const CurveFit step = fit_curve(
      {{1000, {10}}, {2000, {20}}, {4000, {30}}, {8000, {60}}, {16000, {61}}, {32000, {62}}}, rules());
  EXPECT_EQ(step.thinned.bytes, (std::vector<double>{1000, 2000, 4000, 8000, 32000}));
}

// 40 us at 2 kB and 12 us at 4 kB: disturbed. 15 us and 14 us: a fall, levelled at their geometric mean.
TEST(CurveFit, LeavesOutliersAndLevelsFalls) {
  const CurveFit fit = fit_curve(
      {{1000, {10}}, {2000, {40}}, {4000, {12}}, {8000, {15}}, {16000, {14}}, {32000, {30}}}, rules());
  EXPECT_EQ(fit.outliers, 1u);
  EXPECT_EQ(fit.falls, 1u);
  ASSERT_EQ(fit.full.bytes, (std::vector<double>{1000, 4000, 8000, 16000, 32000}));
  EXPECT_NEAR(fit.full.us[2], 14.4914, 1e-4);  // sqrt(15 x 14)
  EXPECT_NEAR(fit.full.us[3], 14.4914, 1e-4);
  // The outlier still counts against the curve: at 2 kB it says sqrt(10 x 12) = 10.95 us of 40.
  EXPECT_NEAR(fit.shipped.worst, 1 - 10.954 / 40, 1e-3);
  EXPECT_GT(fit.thinned.spread.high, 1.1) << "wider than believed, as the rows are";
}

// The middle of 10, 30, 40 us at doubling sizes from its neighbours: sqrt(10 x 40) = 20, a third too fast.
TEST(CurveFit, LeavesEachSizeOut) {
  const CurveFit fit = fit_curve({{1000, {10}}, {2000, {30}}, {4000, {40}}}, rules());
  EXPECT_NEAR(fit.left_out.median, 1.0 / 3, 1e-12);
  EXPECT_NEAR(*fit.thinned.median_error, 1.0 / 3, 1e-12);
  EXPECT_FALSE(fit_curve({{1000, {10}}, {2000, {30}}}, rules()).thinned.median_error);
}

}  // namespace
}  // namespace sextant
