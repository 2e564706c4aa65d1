#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/hardware/cluster.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

Cluster cluster(const std::string& text) {
  return read_cluster(JsonValue::parse(text, "test"));
}

std::string message_of(const std::string& text) {
  try {
    cluster(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::ptrdiff_t links_of(const Cluster& c, const std::string& device) {
  return std::count_if(c.links.begin(), c.links.end(), [&](const Link& link) {
    return c.devices[static_cast<std::size_t>(link.from)].name == device ||
           c.devices[static_cast<std::size_t>(link.to)].name == device;
  });
}

std::string fabric(const std::string& leaf_spine, const std::string& node = "") {
  return R"({"nodes": [{"node": "hgx", "count": 4, "gpus": {"h100-sxm": 8}, "nics": [{"nic": "connectx-7-400", "count": 8}])" +
         node + R"(}], "network": {"leaf_spine": )" + leaf_spine + "}}";
}

// Two nodes a rack and eight rails: 16 leaves of two NICs; oversubscribed twice, one uplink each, to one
// spine a rail.
TEST(LeafSpine, RailsRacksAndOversubscription) {
  const Cluster c = cluster(fabric(
      R"({"rails": 8, "nodes_per_leaf": 2, "spines": 1, "spines_of": "rail", "uplink_gbits": 400, "oversubscription": 2})"));
  EXPECT_EQ(std::count_if(c.devices.begin(), c.devices.end(),
                          [](const Device& d) { return d.kind == DeviceKind::network_switch; }),
            16 + 8);
  EXPECT_EQ(links_of(c, "leaf-rack-b-rail3"), 2 + 1);
  EXPECT_EQ(links_of(c, "spine0-rail7"), 2);
  EXPECT_EQ(c.nodes[2].rack, "rack-b");
  EXPECT_THAT(to_dot(c), HasSubstr("label=\"rack-b\""));
}

// One leaf for all needs no spine.
TEST(LeafSpine, OneRackHasNoSpine) {
  const Cluster c = cluster(fabric(R"({"nodes_per_leaf": 4, "spines": 2, "uplink_gbits": 400})"));
  EXPECT_EQ(c.devices.back().name, "leaf-rack-a");
  EXPECT_EQ(links_of(c, "leaf-rack-a"), 32);
}

// A port of a 400 Gbit/s card that came up at 200: 25 GB/s, and red in the drawing.
TEST(LeafSpine, PortAtTheWrongSpeed) {
  const Cluster c = cluster(R"({"nodes": [{"node": "workstation", "count": 2, "gpus": {"rtx-5090": 1},
    "nic": {"nic": "connectx-7-400", "port_gbits": 200}}]})");
  EXPECT_DOUBLE_EQ(c.links.back().gbps, 25);
  EXPECT_THAT(to_dot(c), HasSubstr("port at 200 Gbit/s\", color=red"));
}

// Eight GPUs and eight NICs on four switches of two sockets: two of each on a switch, two switches on a
// socket.
TEST(PcieTree, CardsAreDealtInOrder) {
  const Cluster c =
      cluster(R"({"nodes": [{"node": "server-pcie", "name": "a", "gpus": {"rtx-pro-6000-server": 8},
    "nics": [{"nic": "connectx-7-400", "count": 8}], "pcie": {"switches": 4, "sockets": 2, "socket_gbps": 40}}]})");
  EXPECT_EQ(links_of(c, "a/pcie-switch3"), 1 + 2 + 2);
  EXPECT_EQ(links_of(c, "a/root1"), 1 + 2);
}

TEST(LeafSpine, BadInputIsNamed) {
  EXPECT_THAT(message_of(fabric(R"({"nodes_per_leaf": 2, "spines": 3, "uplink_gbits": 400})")),
              HasSubstr("network.leaf_spine: found 16 uplinks"));
  EXPECT_THAT(message_of(fabric(R"({"rails": 3, "nodes_per_leaf": 2, "spines": 1, "uplink_gbits": 400})")),
              HasSubstr("found 8 nics in node-a"));
  EXPECT_THAT(message_of(fabric(R"({"nodes_per_leaf": 2, "spines": 1, "uplink_gbits": 0})")),
              HasSubstr("uplink_gbits"));
  EXPECT_THAT(message_of(fabric("{}", R"(, "pcie": {"sockets": 2})")), HasSubstr("socket_gbps"));
  EXPECT_THAT(message_of(fabric("{}", R"(, "pcie": {"switches": 3, "sockets": 2, "socket_gbps": 1})")),
              HasSubstr("3 switches"));
  EXPECT_THAT(message_of(fabric("{}", R"(, "p2p_level": "PXX")")), HasSubstr("PXX"));
  EXPECT_THAT(message_of(R"({"nodes": [{"node": "workstation", "gpus": {"rtx-5090": 1},
    "nic": {"nic": "connectx-7-200", "port_gbits": 400}}]})"),
              HasSubstr("found 400 Gbit/s, expected at most the 200"));
}

}  // namespace
}  // namespace sextant
