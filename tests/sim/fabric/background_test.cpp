#include "sim/fabric/background.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>

#include "models/base/error.hpp"
#include "sim/fabric/route.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

/// Two workstations of one card and one NIC of 200 Gbit/s each, joined by a cable: 25 GB/s, of which RoCE at
/// MTU 9000 leaves 4096 of 4178 bytes to data.
Cluster pair_of_nodes(int mtu = 9000) {
  unsetenv("SEXTANT_PROFILES");
  return read_cluster(JsonValue::parse(
      R"({"nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200",
                     "count": 2}], "network": {"transport": "roce", "mtu": )" +
          std::to_string(mtu) + "}}",
      "test.json"));
}

constexpr double data_gbps = 25.0 * 4096 / 4178;

BackgroundFlow flow(const Cluster& c, int from, int to, double gbps) {
  return {c.nodes[static_cast<std::size_t>(from)].nics[0], c.nodes[static_cast<std::size_t>(to)].nics[0],
          gbps, "checkpoint"};
}

double left(const Cluster& c, int from, int to) {
  return BackgroundTraffic(c).rate_left(
      {{c.gpus()[static_cast<std::size_t>(from)], c.gpus()[static_cast<std::size_t>(to)]}});
}

// An elastic flow takes half of the cable, one that asks for 5 GB/s no more than that; the other direction is
// free, and so is a cluster without background.
TEST(Background, TakesItsFairShare) {
  Cluster c = pair_of_nodes();
  EXPECT_TRUE(std::isinf(left(c, 0, 1)));
  c.background = {flow(c, 0, 1, 0)};
  EXPECT_NEAR(left(c, 0, 1), data_gbps / 2, 1e-6);
  EXPECT_TRUE(std::isinf(left(c, 1, 0)));
  c.background = {flow(c, 0, 1, 5)};
  EXPECT_NEAR(left(c, 0, 1), data_gbps - 5, 1e-6);
}

// A ring goes both ways: the slower of them counts.
TEST(Background, SlowsARing) {
  Cluster c = pair_of_nodes();
  c.background = {flow(c, 0, 1, 0)};
  EXPECT_NEAR(BackgroundTraffic(c).rate_left(ring_of(c.gpus())), data_gbps / 2, 1e-6);
  EXPECT_NEAR(Topology(c).ring_rate_left(c.gpus()), data_gbps / 2, 1e-6);
}

// A cable that gives half of its rate is as slow as one that is shared with one flow, both ways.
TEST(Background, AFaultOfACable) {
  Cluster c = pair_of_nodes();
  for (Link& link : c.links)
    if (link.kind == "ethernet") link.share = 0.5;
  EXPECT_NEAR(left(c, 0, 1), data_gbps / 2, 1e-6);
  EXPECT_NEAR(left(c, 1, 0), data_gbps / 2, 1e-6);
}

// 100 MB at half of 24.5 GB/s take 8.16 ms; alone they take what the profile says, about 4.4 ms.
TEST(Background, LengthensAHop) {
  Cluster c = pair_of_nodes();
  const double alone = Topology(c).route(c.gpus()[0], c.gpus()[1]).seconds(1e8);
  EXPECT_LT(alone, 4.6e-3);
  c.background = {flow(c, 0, 1, 0)};
  EXPECT_NEAR(Topology(c).route(c.gpus()[0], c.gpus()[1]).seconds(1e8), 1e8 / (data_gbps / 2 * 1e9), 1e-7);
}

// At MTU 1500 a packet carries 1024 bytes of 1106 instead of 4096 of 4178: 134,217,728 B take
// (1106 / 1024 - 4178 / 4096) / 25 ns a byte longer, 322 us.
TEST(Mtu, SmallPacketsHaveMoreHeaders) {
  const Cluster large = pair_of_nodes(9000), small = pair_of_nodes(1500);
  const auto seconds = [](const Cluster& c) {
    return Topology(c).route(c.gpus()[0], c.gpus()[1]).seconds(134217728);
  };
  EXPECT_NEAR(seconds(small) - seconds(large), 322e-6, 2e-6);
}

}  // namespace
}  // namespace sextant
