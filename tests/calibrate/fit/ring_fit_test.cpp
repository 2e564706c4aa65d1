#include "calibrate/fit/ring_fit.hpp"

#include <gtest/gtest.h>

#include "models/cost/group_curve.hpp"

namespace sextant {
namespace {

constexpr double capability = 120;

/// Groups of 2, 4 and 8 over PCIe, as straight lines in the protocol NCCL chooses at a plateau of 40 GB/s: LL
/// 3 us + 1.5 a step at 20 GB/s, Simple 5 + 5 a step at 40.
LinkProfile straight() {
  const NcclTuning tuning = shipped_nccl_tuning();
  LinkProfile link;
  link.link = "pcie";
  link.line_gbps = 63;
  CollectiveGroup group;
  group.compute_capability = capability;
  group.channels = tuning.channels.at("pcie");
  group.intra_gbps = 40;
  for (const int ranks : {2, 4, 8}) {
    group.ranks = ranks;
    TransferCurve curve{Grade::measured, "test", {}, {}, {}};
    for (double bytes = 512; bytes < 1e12; bytes *= 2) {
      const bool ll = ring_protocol(tuning, group, "all_reduce", bytes) == Protocol::ll;
      const ProtocolLine line = ll ? ProtocolLine{"ll", 3, 1.5, 20} : ProtocolLine{"simple", 5, 5, 40};
      curve.bytes.push_back(bytes);
      curve.us.push_back(line_us(line, "all_reduce", ranks, bytes));
    }
    link.collectives.push_back({"all_reduce", ranks, curve, "nccl"});
  }
  return link;
}

TEST(RingFit, FindsTheLinesBack) {
  RingFitReport report;
  const auto ring = fit_ring(shipped_nccl_tuning(), straight(), capability, report);
  ASSERT_TRUE(ring);
  const RingOperation* operation = ring->operation("all_reduce");
  ASSERT_NE(operation, nullptr);
  ASSERT_EQ(operation->protocols.size(), 2u) << "no LL128 over PCIe";
  EXPECT_EQ(operation->protocols[0].protocol, "ll");
  EXPECT_NEAR(operation->protocols[0].base_us, 3, 1e-3);
  EXPECT_NEAR(operation->protocols[0].hop_us, 1.5, 1e-3);
  EXPECT_NEAR(operation->protocols[0].busbw_gbps, 20, 1e-2);
  EXPECT_NEAR(operation->protocols[1].base_us, 5, 1e-2);
  EXPECT_NEAR(operation->protocols[1].hop_us, 5, 1e-2);
  EXPECT_NEAR(operation->protocols[1].busbw_gbps, 40, 1e-2);
  ASSERT_EQ(report.groups.size(), 3u);
  EXPECT_TRUE(report.groups[1].between) << "4 ranks lie between 2 and 8";
  for (const LeftOutGroup& group : report.groups) EXPECT_LT(group.errors.median, 0.01) << group.ranks;
}

// Eight ranks from 1 MiB on in a third of the time: a switch. Judged by it, the lines would bend.
TEST(RingFit, LeavesTheSwitchOut) {
  LinkProfile link = straight();
  CollectiveCurve& eight = link.collectives[2];
  eight.nvls_from = 1048576;
  std::size_t before = 0;
  for (std::size_t i = 0; i < eight.curve.bytes.size(); ++i) {
    if (eight.curve.bytes[i] < eight.nvls_from)
      ++before;
    else
      eight.curve.us[i] /= 3;
  }
  RingFitReport report;
  const auto ring = fit_ring(shipped_nccl_tuning(), link, capability, report);
  ASSERT_TRUE(ring);
  EXPECT_NEAR(ring->operation("all_reduce")->protocols[1].busbw_gbps, 40, 0.1);
  EXPECT_EQ(report.groups[2].sizes, before);
}

// Two operations of three groups, 0.8 us less wherever a rank has under 4 KiB: where LL takes one channel.
// The lines are not quite straight any more, so the saving comes back within a tenth. straight() has none.
TEST(RingFit, FindsWhatOneChannelSaves) {
  LinkProfile link = straight();
  RingFitReport report;
  EXPECT_FALSE(fit_ring(shipped_nccl_tuning(), link, capability, report)->one_channel);
  for (int i = 0; i < 3; ++i) {
    CollectiveCurve gather = link.collectives[static_cast<std::size_t>(i)];
    gather.op = "all_gather";
    link.collectives.push_back(gather);
  }
  for (CollectiveCurve& item : link.collectives)
    for (std::size_t i = 0; i < item.curve.bytes.size(); ++i)
      if (item.curve.bytes[i] < 4096.0 * item.ranks) item.curve.us[i] -= 0.8;
  const auto ring = fit_ring(shipped_nccl_tuning(), link, capability, report);
  ASSERT_TRUE(ring->one_channel);
  EXPECT_EQ(ring->one_channel->below_bytes_per_rank, 4096);
  EXPECT_NEAR(ring->one_channel->saves_us, 0.8, 0.08);
}

// All-to-alls that leave LL where eight channels of 16 KiB a peer are full, over a link whose tables have
// two: the fit finds the eight. Left at two it says nothing.
TEST(RingFit, FindsTheChannelsOfASend) {
  for (const int channels : {2, 8}) {
    LinkProfile link = straight();
    for (CollectiveCurve& item : link.collectives) {
      item.op = "all_to_all";
      for (std::size_t i = 0; i < item.curve.bytes.size(); ++i) {
        const double bytes = item.curve.bytes[i];
        const bool ll = bytes / item.ranks <= 16384.0 * channels;
        item.curve.us[i] = line_us(ll ? ProtocolLine{"ll", 3, 1.5, 20} : ProtocolLine{"simple", 15, 5, 40},
                                   item.op, item.ranks, bytes);
      }
    }
    RingFitReport report;
    EXPECT_EQ(fit_ring(shipped_nccl_tuning(), link, capability, report)->send_channels,
              channels == 2 ? 0 : 8);
  }
}

TEST(RingFit, NeedsTwoGroups) {
  LinkProfile link = straight();
  link.collectives.resize(1);
  RingFitReport report;
  EXPECT_FALSE(fit_ring(shipped_nccl_tuning(), link, capability, report));
}

}  // namespace
}  // namespace sextant
