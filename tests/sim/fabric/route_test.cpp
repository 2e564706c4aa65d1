#include "sim/fabric/route.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/fabric/link_class.hpp"
#include "tests/sim/fabric/toy_cluster.hpp"

namespace sextant {
namespace {

Route toy_route(RouteKind kind, double bottleneck_gbps) {
  Route route;
  route.kind = kind;
  route.bottleneck_gbps = bottleneck_gbps;
  route.profile.name = "toy";
  route.profile.send = test::toy_curve(20, 20);
  return route;
}

// 20 us + 1e6 B / 20e9 B/s = 70 us; the ends of the interval are half and twice of it, while 1e6 B at 100e9
// B/s (10 us) never bind.
TEST(Route, TimeFollowsTheCurveAndItsInterval) {
  const Route route = toy_route(RouteKind::network_gpudirect, 100);
  EXPECT_NEAR(route.seconds(1e6), 70e-6, 1e-12);
  EXPECT_NEAR(route.seconds(1e6, 1), 140e-6, 1e-12);
  EXPECT_NEAR(route.seconds(1e6, -1), 35e-6, 1e-12);
  EXPECT_NEAR(route.seconds(0), 20.05e-6, 1e-12);  // the first point's time
}

// A narrower link on the way: 1e6 B at 10e9 B/s take 100 us, however fast the profile; its fast end cannot
// beat that.
TEST(Route, NeverFasterThanItsNarrowestLink) {
  const Route route = toy_route(RouteKind::network_gpudirect, 10);
  EXPECT_NEAR(route.seconds(1e6), 100e-6, 1e-12);
  EXPECT_NEAR(route.seconds(1e6, -1), 100e-6, 1e-12);
}

// 40 us + 1e6 / 5e9 = 240 us through the host.
TEST(Route, StagedUsesItsOwnCurve) {
  Route route = toy_route(RouteKind::network_staged, 25);
  EXPECT_THAT(test::message_of([&] { route.seconds(1); }),
              testing::AllOf(testing::HasSubstr("link profile toy"), testing::HasSubstr("staged")));
  route.profile.staged = test::toy_curve(40, 5);
  EXPECT_NEAR(route.seconds(1e6), 240e-6, 1e-12);
}

TEST(LinkClass, NvlinkGenerations) {
  EXPECT_EQ(nvlink_class(300).profile, "nvlink3");
  EXPECT_EQ(nvlink_class(450).profile, "nvlink4");
  EXPECT_EQ(nvlink_class(900).profile, "nvlink5");
  EXPECT_THAT(test::message_of([] { nvlink_class(1800); }), testing::HasSubstr("1800"));
}

// x8 of Gen5 is 31.5e9 B/s.
TEST(LinkClass, PcieLanesFollowFromTheCapacity) {
  const Gpu& gpu = find_gpu("rtx-5090");
  const Node node{"a", "workstation", true, {}, {}};
  EXPECT_EQ(pcie_class(gpu, gpu, node, 31.5).words, "PCIe Gen5 x8");
  EXPECT_EQ(pcie_class(gpu, gpu, node, 31.5).profile, "pcie-gen5");
}

TEST(LinkClass, NetworkTakesTheSlowerNic) {
  const Nic &slow = find_nic("connectx-7-200"), &fast = find_nic("connectx-7-400");
  EXPECT_EQ(network_class("roce", slow, fast).profile, "roce-200");
  EXPECT_EQ(network_class("ib", fast, fast).profile, "ib-400");
  EXPECT_EQ(network_class("ib", fast, fast).words, "InfiniBand 400 Gbit/s");
  EXPECT_EQ(network_class("tcp", slow, slow).profile, "tcp-200");
  const Nic& spark = find_nic("connectx-7-spark-200");
  EXPECT_EQ(network_class("roce", spark, spark).profile, "roce-spark-200");
  EXPECT_EQ(network_class("roce", spark, slow).profile, "roce-200");
  EXPECT_EQ(network_class("tcp", spark, spark).profile, "tcp-200");
}

TEST(RouteKind, HasWords) {
  EXPECT_EQ(to_string(RouteKind::pcie_staged), "pcie_staged");
  EXPECT_EQ(to_string(RouteKind::network_staged), "network_staged");
}

}  // namespace
}  // namespace sextant
