#include "models/cost/collective_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

AlgorithmTime find(const std::vector<AlgorithmTime>& times, Algorithm algorithm, Protocol protocol) {
  for (const AlgorithmTime& time : times)
    if (time.algorithm == algorithm && time.protocol == protocol) return time;
  ADD_FAILURE() << to_string(algorithm) << " " << to_string(protocol) << " is not there";
  return {};
}

bool has(const std::vector<AlgorithmTime>& times, Algorithm algorithm, Protocol protocol) {
  for (const AlgorithmTime& time : times)
    if (time.algorithm == algorithm && time.protocol == protocol) return true;
  return false;
}

/// RTX PRO 6000 on PCIe, 40 GB/s.
CollectiveGroup pcie(int ranks) {
  CollectiveGroup group;
  group.ranks = ranks;
  group.compute_capability = 120;
  group.intra_gbps = 40;
  return group;
}

/// One GPU on each node, 25 GB/s between them.
CollectiveGroup one_each(int nodes) {
  CollectiveGroup group = pcie(nodes);
  group.nodes = nodes;
  group.inter_gbps = 25;
  return group;
}

/// Hopper nodes with NVLink at 360 GB/s over 24 channels and one NIC of 50 GB/s.
CollectiveGroup hopper_nodes(int ranks) {
  CollectiveGroup group;
  group.ranks = ranks;
  group.nodes = 2;
  group.nvlink = true;
  group.compute_capability = 90;
  group.channels = 24;
  group.intra_gbps = 360;
  group.inter_gbps = 50;
  return group;
}

// Ring all-reduce over PCI, LL: 6.6 + 2 (n - 1) x 1.0; Simple: 8.4 + 2 (n - 1) x 5.7.
TEST(CollectiveModel, LatencyInsideANode) {
  const NcclTuning tuning = shipped_nccl_tuning();
  const double ll[] = {8.6, 12.6, 20.6}, simple[] = {19.8, 42.6, 88.2};
  int at = 0;
  for (const int ranks : {2, 4, 8}) {
    const auto times = nccl_times(tuning, pcie(ranks), "all_reduce", 1024);
    EXPECT_NEAR(find(times, Algorithm::ring, Protocol::ll).latency_us, ll[at], 1e-9) << ranks;
    EXPECT_NEAR(find(times, Algorithm::ring, Protocol::simple).latency_us, simple[at], 1e-9) << ranks;
    EXPECT_FALSE(has(times, Algorithm::ring, Protocol::ll128)) << "never without NVLink";
    ++at;
  }
}

// Two nodes of one GPU: both steps cross the network, and a ring's hop costs what a tree's does: LL 6.6 + 2 x
// 5.0; Simple (8.4 + 2 x 14) x 1.4. Three nodes: LL 6.6 + 4 x 5.0; tree LL 6.8 + 2 x floor(log2 3) x 5.0.
TEST(CollectiveModel, LatencyBetweenNodes) {
  const NcclTuning tuning = shipped_nccl_tuning();
  const auto two = nccl_times(tuning, one_each(2), "all_reduce", 65536);
  EXPECT_NEAR(find(two, Algorithm::ring, Protocol::ll).latency_us, 16.6, 1e-9);
  EXPECT_NEAR(find(two, Algorithm::ring, Protocol::simple).latency_us, 50.96, 1e-9);
  const auto three = nccl_times(tuning, one_each(3), "all_reduce", 65536);
  EXPECT_NEAR(find(three, Algorithm::ring, Protocol::ll).latency_us, 26.6, 1e-9);
  EXPECT_NEAR(find(three, Algorithm::tree, Protocol::ll).latency_us, 16.8, 1e-9);
  // 128 bytes over 2 channels and 2 ranks are 32 each, less than 64: no factor.
  const auto tiny = nccl_times(tuning, one_each(2), "all_reduce", 128);
  EXPECT_NEAR(find(tiny, Algorithm::ring, Protocol::simple).latency_us, 36.4, 1e-9);
}

// Two ranks at 40 GB/s: LL takes 8.6 us + B / 20, Simple 19.8 us + B / 40: equal at 11.2 us x 40 GB/s = 448
// kB.
TEST(CollectiveModel, ChoosesSimpleWhereItsBandwidthPays) {
  const NcclTuning tuning = shipped_nccl_tuning();
  EXPECT_EQ(nccl_times(tuning, pcie(2), "all_reduce", 440e3).front().protocol, Protocol::ll);
  EXPECT_EQ(nccl_times(tuning, pcie(2), "all_reduce", 456e3).front().protocol, Protocol::simple);
  const AlgorithmTime large = nccl_times(tuning, pcie(2), "all_reduce", 4e6).front();
  EXPECT_NEAR(large.us, 19.8 + 4e6 / 40e3, 1e-9);
  // All-gather of four: 3 steps of a quarter each, so bytes x 3/4 at 40 GB/s.
  EXPECT_NEAR(find(nccl_times(tuning, pcie(4), "all_gather", 4e6), Algorithm::ring, Protocol::simple).us,
              8.4 + 3 * 5.7 + 4e6 * 0.75 / 40e3, 1e-9);
}

// Hopper's LL carries 141 GB/s at most: two ranks at 370 GB/s leave it at 7.4 us / (1/141 - 1/370) = 1.69 MB.
// H100's table steps from 14.7 us at 1 MiB to 27.9 us at 2 MiB.
TEST(CollectiveModel, FindsTheStepOfH100) {
  const NcclTuning tuning = shipped_nccl_tuning();
  CollectiveGroup group = hopper_nodes(2);
  group.nodes = 1;
  group.intra_gbps = 370;
  EXPECT_EQ(nccl_times(tuning, group, "all_reduce", 1048576).front().protocol, Protocol::ll);
  EXPECT_EQ(nccl_times(tuning, group, "all_reduce", 2097152).front().protocol, Protocol::simple);
}

TEST(CollectiveModel, TreeCorrectionByPowersOfTwo) {
  const NcclTuning tuning = shipped_nccl_tuning();
  EXPECT_EQ(tree_correction(tuning, Protocol::simple, 1), 0.9);         // below 64 B the first
  EXPECT_EQ(tree_correction(tuning, Protocol::simple, 8388608), 0.8);   // 64 x 2^17
  EXPECT_EQ(tree_correction(tuning, Protocol::simple, 16777216), 0.7);  // 64 x 2^18
  EXPECT_EQ(tree_correction(tuning, Protocol::ll128, 16777216), 0.9);
  EXPECT_EQ(tree_correction(tuning, Protocol::simple, 4e9), 1);  // beyond the table
}

// Two nodes of two, 50 GB/s, 16 MiB. Ring Simple: (8.4 + 4 x 3.4 + 2 x 14) x 1.4 = 70 us at 50 x 4 / 6 GB/s.
// Tree: twice the network inside a node, 100 GB/s; Simple 0.92 x 100 / 2 x 0.7 = 32.2 GB/s after 8.4 + 2 (4 +
// 14) = 44.4 us; LL128 0.92 x 100 x 120/128 / 2 x 0.9 = 38.8 GB/s after 14 + 2 (1.25 + 8.5) = 33.5 us:
// chosen.
TEST(CollectiveModel, TreeBetweenTwoNodes) {
  const NcclTuning tuning = shipped_nccl_tuning();
  const double bytes = 16777216;
  const auto times = nccl_times(tuning, hopper_nodes(4), "all_reduce", bytes);
  const AlgorithmTime ring = find(times, Algorithm::ring, Protocol::simple);
  EXPECT_NEAR(ring.latency_us, 70, 1e-9);
  EXPECT_NEAR(ring.algorithm_gbps, 100.0 / 3, 1e-9);
  const AlgorithmTime tree = find(times, Algorithm::tree, Protocol::simple);
  EXPECT_NEAR(tree.latency_us, 44.4, 1e-9);
  EXPECT_NEAR(tree.algorithm_gbps, 32.2, 1e-9);
  EXPECT_EQ(times.front().algorithm, Algorithm::tree);
  EXPECT_EQ(times.front().protocol, Protocol::ll128);
  EXPECT_NEAR(times.front().us, 33.5 + bytes / 38.8125e3, 1e-6);
}

// Over PCIe the NIC's bytes and the neighbour's share one link of 48 GB/s: 48 - 25 leaves less than the
// network itself, so a tree has 25 GB/s like the ring and half of it as algorithm bandwidth: the ring wins.
TEST(CollectiveModel, RingBetweenTwoNodesOfPcieCards) {
  CollectiveGroup group = pcie(4);
  group.nodes = 2;
  group.intra_gbps = 48;
  group.inter_gbps = 25;
  EXPECT_EQ(tree_gbps(group), 25);
  EXPECT_EQ(ring_gbps(group), 25);
  EXPECT_EQ(nccl_times(shipped_nccl_tuning(), group, "all_reduce", 67108864).front().algorithm,
            Algorithm::ring);
  group.nvlink = true;
  EXPECT_EQ(tree_gbps(group), 48);
  group.nodes = 4;
  group.ranks = 8;
  EXPECT_EQ(tree_gbps(group), 25) << "twice only over two nodes";
}

// 8 H100 whose switch reduces: 360 x 0.85 x 23/24 x 2 = 586.5 GB/s as busBw, times 8/14; 25 us.
TEST(CollectiveModel, SwitchReducesWhereItCan) {
  CollectiveGroup group = hopper_nodes(8);
  group.nodes = 1;
  const NcclTuning tuning = shipped_nccl_tuning();
  EXPECT_FALSE(has(nccl_times(tuning, group, "all_reduce", 1e9), Algorithm::nvls, Protocol::simple));
  group.multicast = true;
  const auto times = nccl_times(tuning, group, "all_reduce", 1e9);
  EXPECT_EQ(times.front().algorithm, Algorithm::nvls);
  EXPECT_NEAR(times.front().us, 25 + 1e9 / (586.5e3 * 8 / 14), 1e-6);
  EXPECT_FALSE(has(times, Algorithm::nvls_tree, Protocol::simple)) << "only between nodes";
}

// 4 nodes of one GPU, all-gather: PAT 8 + 2 x 14 / 3.5 + 2.8 x 4 = 27.2 us.
TEST(CollectiveModel, PatOnlyWithOneGpuANode) {
  const NcclTuning tuning = shipped_nccl_tuning();
  const auto times = nccl_times(tuning, one_each(4), "all_gather", 1024);
  EXPECT_NEAR(find(times, Algorithm::pat, Protocol::simple).latency_us, 27.2, 1e-9);
  EXPECT_FALSE(has(nccl_times(tuning, one_each(4), "all_reduce", 1024), Algorithm::pat, Protocol::simple));
  EXPECT_FALSE(
      has(nccl_times(tuning, hopper_nodes(4), "all_gather", 1024), Algorithm::pat, Protocol::simple));
}

// LL between nodes is bounded by the processor: 22.5 GB/s with AMD, 39 otherwise; half of 100 GB/s is more.
TEST(CollectiveModel, LlBetweenNodesFollowsTheProcessor) {
  const NcclTuning tuning = shipped_nccl_tuning();
  CollectiveGroup group = one_each(2);
  group.inter_gbps = 100;
  EXPECT_NEAR(
      find(nccl_times(tuning, group, "all_reduce", 1e6), Algorithm::ring, Protocol::ll).algorithm_gbps, 39,
      1e-9);
  group.cpu = "amd";
  EXPECT_NEAR(
      find(nccl_times(tuning, group, "all_reduce", 1e6), Algorithm::ring, Protocol::ll).algorithm_gbps, 22.5,
      1e-9);
}

TEST(CollectiveModel, RefusesWhatItHasNoFormulaFor) {
  const NcclTuning tuning = shipped_nccl_tuning();
  EXPECT_THROW(nccl_times(tuning, pcie(2), "all_to_all", 1024), InputError);
  EXPECT_THROW(nccl_times(tuning, pcie(1), "all_reduce", 1024), InputError);
  CollectiveGroup group = pcie(4);
  group.nodes = 2;  // and nothing between them
  EXPECT_THROW(nccl_times(tuning, group, "all_reduce", 1024), InputError);
  group = pcie(2);
  group.cpu = "z80";
  EXPECT_THROW(nccl_times(tuning, group, "all_reduce", 1024), InputError);
}

}  // namespace
}  // namespace sextant
