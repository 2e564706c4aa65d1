#include "sim/validation/round_time.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

/// Stages whose passes take so many seconds of GEMM, with hops between.
WayRound way(const std::vector<double>& passes, const std::vector<double>& hops, double host = 0) {
  WayRound result;
  for (const double seconds : passes) {
    result.passes.emplace_back();
    result.passes.back()[Family::gemm] = seconds;
  }
  result.hops = hops;
  result.host = host;
  return result;
}

// One stage makes one pass after another: 3 x 2 s, and 3 x (2 + 0.5) s with the engine's host time before
// each.
TEST(RoundTime, OneStageMakesEveryPass) {
  EXPECT_DOUBLE_EQ(round_seconds(way({2}, {0}), 3), 6);
  EXPECT_DOUBLE_EQ(round_seconds(way({2}, {0}, 0.5), 3), 7.5);
}

// One microbatch has the pipeline for itself: 2 + 1 + 3 s of passes, 0.1 + 0.1 s of hops, 0.3 s back.
TEST(RoundTime, OneMicrobatchTakesTheWholeWay) {
  EXPECT_DOUBLE_EQ(round_seconds(way({2, 1, 3}, {0.1, 0.1, 0.3}), 1), 6.5);
}

// Two of them still fit into the way of 6.5 s (2 x 3 s at the slowest stage); three keep that stage busy for
// 9 s.
TEST(RoundTime, ManyMicrobatchesKeepTheSlowestStageBusy) {
  EXPECT_DOUBLE_EQ(round_seconds(way({2, 1, 3}, {0.1, 0.1, 0.3}), 2), 6.5);
  EXPECT_DOUBLE_EQ(round_seconds(way({2, 1, 3}, {0.1, 0.1, 0.3}), 3), 9);
}

// A hop of 4 s between stages of 1 s: the link carries three messages of a round in 12 s.
TEST(RoundTime, ALinkCarriesOneMessageAfterAnother) {
  EXPECT_DOUBLE_EQ(round_seconds(way({1, 1}, {4, 0}), 3), 12);
}

TEST(RoundTime, OneFamilyComesFromTheOtherWay) {
  const WayRound nominal = way({2}, {0.1}, 0.5), slow = way({3}, {0.2}, 0.7);
  EXPECT_DOUBLE_EQ(with_family(nominal, Family::gemm, slow).passes[0].total(), 3);
  EXPECT_DOUBLE_EQ(with_family(nominal, Family::gemm, slow).host, 0.5);
  EXPECT_DOUBLE_EQ(with_family(nominal, Family::host, slow).host, 0.7);
  EXPECT_DOUBLE_EQ(with_family(nominal, Family::point_to_point, slow).hops[0], 0.2);
  EXPECT_DOUBLE_EQ(with_family(nominal, Family::point_to_point, slow).passes[0].total(), 2);
}

}  // namespace
}  // namespace sextant
