#include "sim/validation/link_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/cost/cost.hpp"
#include "sim/validation/usual_node.hpp"
#include "tests/sim/validation/message.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

CollectiveRow all_reduce(int ranks, const std::string& link, double bytes) {
  CollectiveRow row;
  row.op = "all_reduce";
  row.ranks = ranks;
  row.link = link;
  row.bytes = bytes;
  return row;
}

double us(const Outcome& outcome) {
  const Prediction* prediction = std::get_if<Prediction>(&outcome);
  return prediction ? prediction->value : 0;
}

TEST(UsualNode, JoinsACardAsItUsuallyIs) {
  EXPECT_EQ(usual_node("h100-sxm", 8).nodes.front().type, "hgx");
  EXPECT_EQ(usual_node("rtx-pro-6000-workstation", 8).nodes.front().type, "server-pcie");
  EXPECT_EQ(usual_node("dgx-spark-gb10", 1).nodes.front().type, "dgx-spark");
  EXPECT_THAT(message_of([] { usual_node("h100-sxm", 9); }),
              HasSubstr("found 9 GPUs, expected at most the 8"));
  EXPECT_THAT(message_of([] { usual_node("h100", 1); }), HasSubstr("h100"));
}

// A row of NCCL is compared with NCCL's curve, one of an engine's own kernel with that kernel's.
TEST(LinkRows, NcclAndCustomKernelsAreKeptApart) {
  LinkRows rows;
  const LinkProfile link = find_link_profile("nvlink4");
  constexpr double bytes = 65536;
  CollectiveRow row = all_reduce(8, "nvlink", bytes);
  EXPECT_NEAR(us(rows.predict(row, "h100-sxm")), link.collective("all_reduce", 8)->time_us(bytes), 1e-9);
  row.impl = "custom";
  EXPECT_NEAR(us(rows.predict(row, "h100-sxm")), link.custom("all_reduce", 8)->time_us(bytes), 1e-9);
}

TEST(LinkRows, BetweenNodesTheRowSaysHowFastTheNetworkIs) {
  LinkRows rows;
  CollectiveRow row = all_reduce(3, "roce", 1 << 30);
  row.nodes = 2;
  EXPECT_THAT(message_of([&] { rows.predict(row, "rtx-pro-6000-workstation"); }),
              HasSubstr("without rate_gbps"));
  row.rate_gbps = 200;
  const double direct = us(rows.predict(row, "rtx-pro-6000-workstation"));
  EXPECT_NEAR(direct, find_link_profile("roce-200").collective("all_reduce", 3)->time_us(row.bytes), 1e-6);
  row.gdr = false;
  EXPECT_GT(us(rows.predict(row, "rtx-pro-6000-workstation")), direct) << "host memory is a longer way";
  row.rate_gbps = 123;
  EXPECT_THAT(message_of([&] { rows.predict(row, "rtx-pro-6000-workstation"); }), HasSubstr("roce-123"));
}

TEST(LinkRows, AnotherLinkThanTheUsualOneIsNotPredicted) {
  LinkRows rows;
  EXPECT_THAT(message_of([&] { rows.predict(all_reduce(2, "pcie", 1e6), "h100-sxm"); }),
              HasSubstr("h100-sxm is usually joined by nvlink"));
  EXPECT_TRUE(std::holds_alternative<NotPredicted>(rows.predict(all_reduce(1, "nvlink", 1e6), "h100-sxm")));
}

TEST(LinkRows, WhatNcclWasToldIsNotItsOwnChoice) {
  LinkRows rows;
  CollectiveRow row = all_reduce(8, "nvlink", 65536);
  row.algo = "Tree";
  EXPECT_TRUE(std::holds_alternative<NotPredicted>(rows.predict(row, "h100-sxm")));
  PointToPointRow both;
  both.link = "nvlink";
  both.bytes = 1e6;
  both.both_ways = true;
  EXPECT_TRUE(std::holds_alternative<NotPredicted>(rows.predict(both, "h100-sxm")));
}

// A message is at least as slow as the link's rate: 450 GB/s carry 450 MB in a millisecond.
TEST(LinkRows, MessagesTakeTheirRoute) {
  LinkRows rows;
  PointToPointRow row;
  row.link = "nvlink";
  row.bytes = 450e6;
  const Outcome outcome = rows.predict(row, "h100-sxm");
  const Prediction& prediction = std::get<Prediction>(outcome);
  EXPECT_GE(prediction.value, 1000);
  EXPECT_LE(prediction.interval->low90, prediction.value);
  EXPECT_GE(prediction.interval->high90, prediction.value);
}

}  // namespace
}  // namespace sextant
