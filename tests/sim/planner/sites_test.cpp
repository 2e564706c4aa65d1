#include "sim/planner/sites.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace sextant {
namespace {

Cluster four_nodes(const std::string& network) {
  unsetenv("SEXTANT_PROFILES");
  return read_cluster(JsonValue::parse(
      R"({"nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200",
                     "count": 4}], "network": {)" +
          network + "}}",
      "test.json"));
}

std::vector<int> pair_name(const Sites& sites, const Cluster& c, std::size_t a, std::size_t b) {
  const std::vector<int> g = c.gpus();
  return sites.name({g[a], g[b]});
}

// Four equal nodes on a switch: any pair is any other. A checkpoint from the first to the second slows hops
// out of the first and into the second: those two stand apart, the others stay alike.
TEST(Sites, BackgroundSetsNodesApart) {
  Cluster c = four_nodes(R"("switch": "mikrotik-crs812-ddq")");
  const Sites equal{Topology(c)};
  EXPECT_EQ(pair_name(equal, c, 0, 1), pair_name(equal, c, 2, 3));
  c.background = {{c.nodes[0].nics[0], c.nodes[1].nics[0], 0, "checkpoint"}};
  const Topology topology(c);
  const Sites sites(topology);
  EXPECT_NE(pair_name(sites, c, 0, 2), pair_name(sites, c, 3, 2));
  EXPECT_NE(pair_name(sites, c, 2, 1), pair_name(sites, c, 2, 3));
  EXPECT_NE(pair_name(sites, c, 0, 2), pair_name(sites, c, 1, 2));
  EXPECT_EQ(pair_name(sites, c, 2, 3), pair_name(sites, c, 3, 2));
  // What the names stand for: 1e8 bytes out of the first node take longer than out of the third.
  const auto seconds = [&](std::size_t a, std::size_t b) {
    return topology.route(c.gpus()[a], c.gpus()[b]).seconds(1e8);
  };
  EXPECT_GT(seconds(0, 2), 1.5 * seconds(3, 2));
}

// A cable with half of its capacity sets its node apart as well.
TEST(Sites, AFaultSetsItsNodeApart) {
  Cluster c = four_nodes(R"("switch": "mikrotik-crs812-ddq")");
  for (Link& link : c.links)
    if (link.from == c.nodes[3].nics[0] || link.to == c.nodes[3].nics[0]) link.share = 0.5;
  const Sites sites{Topology(c)};
  EXPECT_NE(pair_name(sites, c, 0, 3), pair_name(sites, c, 0, 1));
  EXPECT_EQ(pair_name(sites, c, 0, 2), pair_name(sites, c, 0, 1));
}

// Two leaves of two nodes: traffic between the leaves burdens their uplinks and with them every node that
// hangs on them, but nodes of one leaf stay alike.
TEST(Sites, BurdenedUplinksSetLeavesApart) {
  Cluster c = four_nodes(R"("leaf_spine": {"nodes_per_leaf": 2, "spines": 1, "uplink_gbits": 400})");
  const Sites equal{Topology(c)};
  EXPECT_EQ(pair_name(equal, c, 0, 2), pair_name(equal, c, 2, 0));
  for (Link& link : c.links)
    if (c.devices[static_cast<std::size_t>(link.from)].node < 0 &&
        c.devices[static_cast<std::size_t>(link.to)].node < 0) {
      link.share = 0.1;
      break;
    }
  const Sites sites{Topology(c)};
  EXPECT_NE(pair_name(sites, c, 0, 2), pair_name(sites, c, 2, 0));
  EXPECT_EQ(pair_name(sites, c, 0, 1), pair_name(sites, c, 1, 0));
}

}  // namespace
}  // namespace sextant
