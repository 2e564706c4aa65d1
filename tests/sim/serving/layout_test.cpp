#include "sim/serving/layout.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

TEST(Layout, NamesExpertParallelOnlyWhereThereIsSome) {
  Layout layout{4, 1, 2, {}};
  EXPECT_EQ(layout.describe(), "tp 4 x pp 1 x dp 2");
  const std::vector<StagePlacement> four = {{{0, 48}, {0, 1, 2, 3}}}, two = {{{0, 48}, {4, 5}}};
  EXPECT_EQ(layout.cut(four).expert_parallel, 1);
  layout.ep = 4;
  EXPECT_EQ(layout.describe(), "tp 4 x pp 1 x dp 2, ep 4");
  EXPECT_EQ(layout.cut(four).tensor_parallel, 4);
  EXPECT_EQ(layout.cut(four).expert_parallel, 4);
  EXPECT_EQ(layout.cut(two).expert_parallel, 2);  // an unlike replica divides them among its own group
}

TEST(Layout, NamesSplitsAfterIt) {
  Layout layout{2, 2, 1, {{{{0, 20}, {0, 1}}, {{20, 48}, {2, 3}}}}, 2};
  EXPECT_EQ(layout.describe(), "tp 2 x pp 2 x dp 1, ep 2, layers 20/28");
}

}  // namespace
}  // namespace sextant
