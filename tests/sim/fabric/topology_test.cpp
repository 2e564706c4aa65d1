#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "tests/sim/fabric/toy_cluster.hpp"

namespace sextant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string workstation = "rtx-pro-6000-workstation";

class TopologyTest : public testing::Test {
 protected:
  test::ToyProfiles profiles;
};

TEST_F(TopologyTest, SameGpuCostsNothing) {
  const Cluster c = test::cluster(R"({"nodes": [{"node": "workstation", "gpus": {"rtx-5090": 1}}]})");
  const Route route = Topology(c).route(c.gpus()[0], c.gpus()[0]);
  EXPECT_EQ(route.kind, RouteKind::same_gpu);
  EXPECT_EQ(route.seconds(1e9), 0);
  EXPECT_TRUE(route.links.empty());
}

// Two Gen5 x16 cards: 2 links, 16 lanes x 32 GT/s x 128/130 / 8 = 63.0e9 B/s.
TEST_F(TopologyTest, PeersOnPcie) {
  const Cluster c =
      test::cluster(R"({"nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 2}}]})");
  const Route route = Topology(c).route(c.gpus()[0], c.gpus()[1]);
  EXPECT_EQ(route.kind, RouteKind::pcie_peer);
  EXPECT_EQ(route.profile.name, "pcie-gen5");
  EXPECT_EQ(route.describe(), "PCIe Gen5 x16, peer to peer");
  EXPECT_EQ(route.links.size(), 2u);
  EXPECT_NEAR(route.bottleneck_gbps, 63.0, 0.05);
  EXPECT_EQ(route.grade(), Grade::fitted);
}

// One Gen4 card among two decides: pcie-gen4, 31.5e9 B/s = 16 lanes of Gen4.
TEST_F(TopologyTest, OlderCardDecidesTheGeneration) {
  const Cluster c =
      test::cluster(R"({"nodes": [{"node": "workstation", "gpus": {"rtx-5090": 1, "rtx-6000-ada": 1}}]})");
  const Route route = Topology(c).route(c.gpus()[0], c.gpus()[1]);
  EXPECT_EQ(route.profile.name, "pcie-gen4");
  EXPECT_EQ(route.describe(), "PCIe Gen4 x16, peer to peer");
  EXPECT_NEAR(route.bottleneck_gbps, 31.5, 0.05);
}

// Without peer-to-peer the bytes go up to the root complex and down again even where a switch joins the
// cards: 4 links instead of 2.
TEST_F(TopologyTest, StagedPcieCrossesTheRootComplex) {
  for (const bool peers : {true, false}) {
    test::ToyCluster toy;
    const int node = toy.node("a", peers);
    const int root = toy.device(DeviceKind::root_complex, node, "root");
    const int pcie_switch = toy.device(DeviceKind::pcie_switch, node, "switch");
    const int up = toy.link(pcie_switch, root, "pcie", 63);
    const int gpu0 = toy.device(DeviceKind::gpu, node, "gpu0", workstation);
    const int gpu1 = toy.device(DeviceKind::gpu, node, "gpu1", workstation);
    const int first = toy.link(gpu0, pcie_switch, "pcie", 63),
              second = toy.link(gpu1, pcie_switch, "pcie", 63);
    const Route route = Topology(toy.cluster).route(gpu0, gpu1);
    if (peers) {
      EXPECT_THAT(route.links, ElementsAre(first, second));
    } else {
      EXPECT_EQ(route.kind, RouteKind::pcie_staged);
      EXPECT_THAT(route.links, ElementsAre(first, up, up, second));
      EXPECT_EQ(route.describe(), "PCIe Gen5 x16, staged through host memory");
    }
  }
}

// H200: NVLink 4, 450e9 B/s each way; its PCIe links to the root complex are not taken.
TEST_F(TopologyTest, NvlinkBeforePcie) {
  const Cluster c = test::cluster(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 8}}]})");
  const Topology topology(c);
  const Route route = topology.route(c.gpus()[3], c.gpus()[7]);
  EXPECT_EQ(route.kind, RouteKind::nvlink);
  EXPECT_EQ(route.profile.name, "nvlink4");
  EXPECT_EQ(route.describe(), "NVLink, 450 GB/s");
  ASSERT_EQ(route.links.size(), 2u);
  for (const int link : route.links) EXPECT_EQ(c.links[static_cast<std::size_t>(link)].kind, "nvlink");
  EXPECT_EQ(topology.slowest_route(c.gpus()).profile.name, "nvlink4");
}

const char* const two_workstations = R"({"nodes": [{"node": "workstation", "count": 2, "gpus":
  {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200"}], "network": {"transport": "roce", "gpudirect": true}})";

// gpu - root - nic - nic - root - gpu is 5 links; 200 Gbit/s is 25e9 B/s.
TEST_F(TopologyTest, BetweenNodesWithGpudirect) {
  const Cluster c = test::cluster(two_workstations);
  const Route route = Topology(c).route(c.gpus()[0], c.gpus()[3]);
  EXPECT_EQ(route.kind, RouteKind::network_gpudirect);
  EXPECT_EQ(route.describe(), "RoCE 200 Gbit/s, GPUDirect RDMA");
  EXPECT_EQ(route.profile.name, "roce-200");
  EXPECT_EQ(route.links.size(), 5u);
  EXPECT_DOUBLE_EQ(route.bottleneck_gbps, 25);
  EXPECT_EQ(c.links[static_cast<std::size_t>(route.links[2])].kind, "ethernet");
}

TEST_F(TopologyTest, LinksOfARouteJoinEndToEnd) {
  const Cluster c = test::cluster(two_workstations);
  int at = c.gpus()[1];
  for (const int index : Topology(c).route(c.gpus()[1], c.gpus()[2]).links) {
    const Link& link = c.links[static_cast<std::size_t>(index)];
    ASSERT_TRUE(link.from == at || link.to == at);
    at = link.from == at ? link.to : link.from;
  }
  EXPECT_EQ(at, c.gpus()[2]);
}

TEST_F(TopologyTest, NetworkWithoutGpudirectIsStaged) {
  Cluster c = test::cluster(two_workstations);
  c.network.gpudirect = false;
  const Route route = Topology(c).route(c.gpus()[0], c.gpus()[2]);
  EXPECT_EQ(route.kind, RouteKind::network_staged);
  EXPECT_EQ(route.describe(), "RoCE 200 Gbit/s, staged through host memory");
  c.network.transport = "tcp";
  EXPECT_EQ(Topology(c).route(c.gpus()[0], c.gpus()[2]).profile.name, "tcp-200");
}

// GB10 cannot do GPUDirect RDMA: a link to it is staged whatever the network can do. Its NIC has a profile of
// its own among Sparks only; the mixed pair runs at the slower of 400 and 200 Gbit/s.
TEST_F(TopologyTest, SparkHasItsOwnClassAndNoGpudirect) {
  const Cluster c = test::cluster(R"({"nodes": [
    {"node": "dgx-spark", "count": 2, "gpus": {"dgx-spark-gb10": 1}, "nic": "connectx-7-spark-200"},
    {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-400"}]})");
  Cluster able = c;
  able.network.gpudirect = true;
  const Topology topology(able);
  const Route sparks = topology.route(c.gpus()[0], c.gpus()[1]);
  EXPECT_EQ(sparks.kind, RouteKind::network_staged);
  EXPECT_EQ(sparks.profile.name, "roce-spark-200");
  const Route mixed = topology.route(c.gpus()[0], c.gpus()[2]);
  EXPECT_EQ(mixed.kind, RouteKind::network_staged);
  EXPECT_EQ(mixed.profile.name, "roce-200");
}

// The slowest of a group over two nodes is the network, wherever the pair stands in the list.
TEST_F(TopologyTest, SlowestOfAGroup) {
  const Cluster c = test::cluster(two_workstations);
  const std::vector<int> g = c.gpus();
  const Topology topology(c);
  EXPECT_EQ(topology.slowest_route({g[0], g[1]}).profile.name, "pcie-gen5");
  EXPECT_EQ(topology.slowest_route({g[0], g[1], g[2]}).profile.name, "roce-200");
  EXPECT_EQ(topology.slowest_route({g[0]}).kind, RouteKind::same_gpu);
}

// A pair that does not contain the group's first GPU can be the slowest: two Gen4 cards staged through the
// host of a second node (4 us x 2 + 1 MiB / 6.25e9 = 176 us) against 400 Gbit/s InfiniBand (10 us + 1 MiB /
// 40e9 = 36 us).
TEST_F(TopologyTest, SlowestPairNeedNotHoldTheFirstGpu) {
  const Cluster c = test::cluster(R"({"nodes": [
    {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-400"},
    {"node": "workstation", "gpus": {"rtx-6000-ada": 2}, "nic": "connectx-7-400", "peer_to_peer": false}],
    "network": {"transport": "ib"}})");
  EXPECT_EQ(Topology(c).slowest_route(c.gpus()).kind, RouteKind::pcie_staged);
}

// Two NICs, each beside one GPU on its own PCIe switch: each GPU takes its own, 2 links away rather than 4.
TEST_F(TopologyTest, NearestNic) {
  test::ToyCluster toy;
  std::vector<int> gpus, nics;
  const int spine = toy.device(DeviceKind::network_switch, -1, "spine");
  for (const char* name : {"a", "b"}) {
    const int node = toy.node(name);
    const int root = toy.device(DeviceKind::root_complex, node, "root");
    for (int i = 0; i < 2; ++i) {
      const int pcie_switch = toy.device(DeviceKind::pcie_switch, node, "switch" + std::to_string(i));
      gpus.push_back(toy.device(DeviceKind::gpu, node, "gpu" + std::to_string(i), workstation));
      nics.push_back(toy.device(DeviceKind::nic, node, "nic" + std::to_string(i), "connectx-7-400"));
      toy.link(pcie_switch, root, "pcie", 63);
      toy.link(gpus.back(), pcie_switch, "pcie", 63);
      toy.link(nics.back(), pcie_switch, "pcie", 63);
      toy.link(nics.back(), spine, "ethernet", 50);
    }
  }
  const auto touches = [&](const Route& route, int device) {
    for (const int index : route.links) {
      const Link& link = toy.cluster.links[static_cast<std::size_t>(index)];
      if (link.from == device || link.to == device) return true;
    }
    return false;
  };
  const Route route = Topology(toy.cluster).route(gpus[1], gpus[2]);  // a/gpu1 to b/gpu0
  EXPECT_EQ(route.links.size(), 6u);                                  // gpu switch nic spine nic switch gpu
  EXPECT_TRUE(touches(route, nics[1]));
  EXPECT_TRUE(touches(route, nics[2]));
  EXPECT_DOUBLE_EQ(route.bottleneck_gbps, 50);
}

// Three nodes cabled NIC to NIC in a chain, a - b - c, two NICs in b: b reaches c by its second NIC though
// both are equally near; a and c have no way, for a node does not pass bytes on from NIC to NIC.
TEST_F(TopologyTest, NicsThatReachEachOtherAreTaken) {
  test::ToyCluster toy;
  std::vector<int> gpus, nics;
  for (const auto& [name, count] : {std::pair{"a", 1}, {"b", 2}, {"c", 1}}) {
    const int node = toy.node(name);
    const int root = toy.device(DeviceKind::root_complex, node, "root");
    gpus.push_back(toy.device(DeviceKind::gpu, node, "gpu0", workstation));
    toy.link(gpus.back(), root, "pcie", 63);
    for (int i = 0; i < count; ++i) {
      nics.push_back(toy.device(DeviceKind::nic, node, "nic" + std::to_string(i), "connectx-7-200"));
      toy.link(nics.back(), root, "pcie", 63);
    }
  }
  toy.link(nics[0], nics[1], "ethernet", 25);
  const int second = toy.link(nics[2], nics[3], "ethernet", 25);
  const Topology topology(toy.cluster);
  EXPECT_EQ(topology.route(gpus[1], gpus[2]).links[2], second);
  EXPECT_THAT(
      test::message_of([&] { topology.route(gpus[0], gpus[2]); }),
      testing::AllOf(HasSubstr("a/gpu0"), HasSubstr("c/gpu0"), HasSubstr("no nics that reach each other")));
}

// Of two ways through switches the one of least latency (0.2 + 0.2 against 0.5 + 0.1), of two equal cables
// the wider.
TEST_F(TopologyTest, LeastLatencyThenWidest) {
  test::ToyCluster toy;
  std::vector<int> gpus, nics;
  for (const char* name : {"a", "b"}) {
    const int node = toy.node(name);
    const int root = toy.device(DeviceKind::root_complex, node, "root");
    gpus.push_back(toy.device(DeviceKind::gpu, node, "gpu0", workstation));
    nics.push_back(toy.device(DeviceKind::nic, node, "nic0", "connectx-7-200"));
    toy.link(gpus.back(), root, "pcie", 63);
    toy.link(nics.back(), root, "pcie", 63);
  }
  const int slow = toy.device(DeviceKind::network_switch, -1, "slow");
  const int fast = toy.device(DeviceKind::network_switch, -1, "fast");
  toy.link(nics[0], slow, "ethernet", 25, 0.5);
  toy.link(slow, nics[1], "ethernet", 25, 0.1);
  toy.link(nics[0], fast, "ethernet", 12.5, 0.2);
  const int wide = toy.link(nics[0], fast, "ethernet", 25, 0.2);
  const int last = toy.link(fast, nics[1], "ethernet", 25, 0.2);
  const Route route = Topology(toy.cluster).route(gpus[0], gpus[1]);
  EXPECT_THAT(std::vector<int>(route.links.begin() + 2, route.links.begin() + 4), ElementsAre(wide, last));
}

TEST_F(TopologyTest, UnreachableGpuIsNamed) {
  test::ToyCluster toy;
  const int node = toy.node("a");
  const int root = toy.device(DeviceKind::root_complex, node, "root");
  toy.link(toy.device(DeviceKind::gpu, node, "gpu0", workstation), root, "pcie", 63);
  toy.device(DeviceKind::gpu, node, "gpu1", workstation);
  EXPECT_THAT(test::message_of([&] { Topology{toy.cluster}; }), HasSubstr("no way from a/gpu0 to a/gpu1"));
}

// No profile for InfiniBand at 100 Gbit/s: the message says what was looked for, for which pair, and what
// exists.
TEST_F(TopologyTest, MissingProfileSaysWhichExist) {
  const Cluster c = test::cluster(R"({"nodes": [{"node": "workstation", "count": 2, "gpus": {"rtx-5090": 1},
    "nic": "connectx-5-100"}], "network": {"transport": "ib"}})");
  EXPECT_THAT(test::message_of([&] { Topology(c).route(c.gpus()[0], c.gpus()[1]); }),
              testing::AllOf(HasSubstr("node-a/gpu0"), HasSubstr("'ib-100'"), HasSubstr("ib-400")));
}

// 1,024 GPUs on 128 boards with 8 NICs each. A route is meant to take less than 50 us; ten times that fails
// here, so that a busy machine does not.
TEST_F(TopologyTest, ThousandGpusStayFast) {
  std::string nics;
  for (int i = 0; i < 8; ++i) nics += i ? R"(, "connectx-7-400")" : R"("connectx-7-400")";
  const Cluster c =
      test::cluster(R"({"nodes": [{"node": "hgx", "count": 128, "gpus": {"h100-sxm": 8}, "nics": [)" + nics +
                    R"(]}], "network": {"transport": "ib"}})");
  const std::vector<int> gpus = c.gpus();
  ASSERT_EQ(gpus.size(), 1024u);
  const std::clock_t start = std::clock();
  const Topology topology(c);
  const double building = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  constexpr std::size_t count = 1000;
  const std::clock_t begin = std::clock();
  for (std::size_t i = 0; i < count; ++i) EXPECT_FALSE(topology.route(gpus[i], gpus[1023 - i]).links.empty());
  const double each = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / count;
  RecordProperty("building_us", static_cast<int>(building * 1e6));
  RecordProperty("route_ns", static_cast<int>(each * 1e9));
  EXPECT_LT(building, 1);
  EXPECT_LT(each, 500e-6);
}

}  // namespace
}  // namespace sextant
