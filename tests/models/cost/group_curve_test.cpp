#include "models/cost/group_curve.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "models/base/error.hpp"
#include "models/cost/cost.hpp"

namespace sextant {
namespace {

constexpr double large = 67108864;

/// LL: 3 us + 1.5 a step at 20 GB/s; Simple: 5 us + 5 a step at 40 GB/s.
RingModel lines() {
  RingModel ring;
  ring.grade = Grade::fitted;
  ring.compute_capability = 120;
  ring.channels = 4;
  ring.operations = {{"all_reduce",
                      {{"ll", 3, 1.5, 20}, {"simple", 5, 5, 40}},
                      {{0.9, 1.1}, 0.04, 0.1},
                      {{0.7, 1.4}, 0.1, 0.3}}};
  return ring;
}

double by_hand(double base, double hop, double gbps, int ranks, double bytes) {
  const double steps = 2.0 * (ranks - 1);
  return base + hop * steps + bytes * steps / ranks / (1e3 * gbps);
}

/// A PCIe link whose groups of 2 and 4 take `slower` times what the lines say.
LinkProfile link(double slower_2, double slower_4) {
  LinkProfile link;
  link.name = "toy";
  link.link = "pcie";
  link.line_gbps = 63;
  link.send = {Grade::measured, "test", {1024}, {5}, {}};
  link.ring = lines();
  for (const auto& [ranks, slower] : {std::pair{2, slower_2}, {4, slower_4}})
    link.collectives.push_back(
        {"all_reduce",
         ranks,
         {Grade::measured,
          "test",
          {1024, large},
          {slower * by_hand(3, 1.5, 20, ranks, 1024), slower * by_hand(5, 5, 40, ranks, large)},
          {}}});
  return link;
}

// Where the measured groups lie on the lines, so does every other: three ranks, 4 steps.
TEST(GroupCurve, FollowsTheLines) {
  const NcclTuning tuning = shipped_nccl_tuning();
  const LinkProfile toy = link(1, 1);
  EXPECT_NEAR(*modelled_us(tuning, toy, "all_reduce", 3, 1024), by_hand(3, 1.5, 20, 3, 1024), 1e-9);
  EXPECT_NEAR(*modelled_us(tuning, toy, "all_reduce", 3, large), by_hand(5, 5, 40, 3, large), 1e-6);
  EXPECT_NEAR(*modelled_us(tuning, toy, "all_reduce", 16, large), by_hand(5, 5, 40, 16, large), 1e-6);
  EXPECT_EQ(modelled_us(tuning, toy, "all_gather", 3, large), std::nullopt);
}

// Two ranks 10 % and four ranks 21 % slower than the lines. Three ranks lie log(1.5) / log(2) = 0.585 of the
// way: slower by 1.1^0.415 x 1.21^0.585 = 1.1^1.585; eight ranks as the nearest, by 1.21.
TEST(GroupCurve, IsCorrectedByTheMeasuredNeighbours) {
  const NcclTuning tuning = shipped_nccl_tuning();
  const LinkProfile toy = link(1.1, 1.21);
  const double between = std::pow(1.1, 1 + std::log2(1.5));
  EXPECT_NEAR(*modelled_us(tuning, toy, "all_reduce", 3, large), between * by_hand(5, 5, 40, 3, large), 1e-6);
  EXPECT_NEAR(*modelled_us(tuning, toy, "all_reduce", 8, large), 1.21 * by_hand(5, 5, 40, 8, large), 1e-6);
}

// What a switch reduced in half the time says nothing of other groups: the last size before it does.
TEST(GroupCurve, IsNotCorrectedByWhatTheSwitchReduced) {
  LinkProfile toy = link(1, 1);
  toy.collectives[1].curve.us[1] /= 2;
  toy.collectives[1].nvls_from = large;
  EXPECT_NEAR(*modelled_us(shipped_nccl_tuning(), toy, "all_reduce", 8, large), by_hand(5, 5, 40, 8, large),
              1e-6);
}

TEST(GroupCurve, SaysHowFarItIsBelieved) {
  const LinkProfile toy = link(1, 1), three = with_group_curves(toy, 3), sixteen = with_group_curves(toy, 16);
  ASSERT_NE(three.collective("all_reduce", 3), nullptr);
  EXPECT_EQ(three.collective("all_reduce", 3)->grade, Grade::scaled);
  EXPECT_EQ(three.collective("all_reduce", 3)->spread.high, 1.1);
  EXPECT_EQ(sixteen.collective("all_reduce", 16)->spread.high, 1.4);
  EXPECT_EQ(with_group_curves(toy, 2).collectives.size(), 2u) << "measured groups keep their curve";
}

TEST(GroupCurve, CostsGroupsWithoutACurve) {
  const LinkProfile toy = link(1, 1);
  const OperatorTime three = collective_time(toy, "all_reduce", 3, large);
  EXPECT_NEAR(three.seconds * 1e6, by_hand(5, 5, 40, 3, large), 1e-6);
  EXPECT_EQ(three.grade, Grade::scaled);
  EXPECT_THROW(collective_time(toy, "all_gather", 3, large), InputError) << "no lines of that operation";
  LinkProfile bare = toy;
  bare.ring.reset();
  EXPECT_THROW(collective_time(bare, "all_reduce", 3, large), InputError);
}

/// 10 GB/s between nodes: two ranks move all of a large buffer in large / 10 GB/s.
LinkProfile network() {
  LinkProfile network;
  network.name = "wire";
  network.link = "roce";
  network.line_gbps = 12.5;
  network.send = {Grade::assumed, "test", {1024}, {20}, {}};
  network.collectives = {
      {"all_reduce", 2, {Grade::assumed, "test", {1024, large}, {17, large / 10e3}, {0.7, 1.7}}}};
  return network;
}

// Two nodes of two over PCIe at 40 GB/s; the line of 12.5 GB/s carries 10. A tree's 25 GB/s inside fit beside
// the NIC's 12.5, so NCCL counts on 0.92 x 25 / 2 x 0.8 = 9.2 GB/s for it at 64 MiB and on 12.5 x 4/6 = 8.3
// for the ring. In truth the tree has 0.92 x 20 / 2 x 0.8 = 7.36 GB/s.
TEST(NodeGroup, TimesTheAlgorithmThatNcclChooses) {
  const NcclTuning tuning = shipped_nccl_tuning();
  const LinkProfile inside = link(1, 1), wire = network();
  NodeGroup nodes;
  const CollectiveGroup group = group_across_nodes(inside, wire, nodes);
  EXPECT_EQ(group.inter_gbps, 12.5) << "NCCL goes by the line";
  const AlgorithmTime chosen = nccl_times(tuning, group, "all_reduce", large).front();
  EXPECT_EQ(chosen.algorithm, Algorithm::tree);
  // Simple: 5 us, twice (one step of 5 us inside and 14 us over the network), then 7.36 GB/s.
  EXPECT_NEAR(1e6 * timed_across_nodes(tuning, inside, wire, nodes, "all_reduce", chosen.algorithm,
                                       chosen.protocol, large),
              5 + 2 * (5 + 14) + large / 7.36e3, 1e-6);
  // Ring Simple: (5 + 4 steps inside of 5 us + 2 over the network of 14) x 1.4.
  EXPECT_NEAR(1e6 * timed_across_nodes(tuning, inside, wire, nodes, "all_reduce", Algorithm::ring,
                                       Protocol::simple, large),
              1.4 * (5 + 4 * 5 + 2 * 14) + large * 1.5 / 10e3, 1e-6);
}

TEST(NodeGroup, MakesCurvesOfExactlyThatGroup) {
  NodeGroup nodes;
  nodes.ranks = 8;
  const LinkProfile across = across_nodes(link(1, 1), network(), nodes);
  EXPECT_EQ(across.link, "roce");
  EXPECT_EQ(across.collective("all_reduce", 2), nullptr);
  ASSERT_NE(across.collective("all_reduce", 8), nullptr);
  EXPECT_EQ(across.collective("all_reduce", 8)->grade, Grade::assumed) << "the weaker of both links";
  EXPECT_EQ(across.collective("all_reduce", 8)->spread.high, 1.7);
  LinkProfile bare = link(1, 1);
  bare.ring.reset();
  EXPECT_THROW(across_nodes(bare, network(), nodes), InputError);
  LinkProfile dead = network();
  dead.collectives.clear();
  EXPECT_THROW(across_nodes(link(1, 1), dead, nodes), InputError);
}

}  // namespace
}  // namespace sextant
