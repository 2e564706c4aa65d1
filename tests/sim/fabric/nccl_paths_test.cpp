#include "sim/fabric/nccl_paths.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "sim/fabric/transfers.hpp"
#include "tests/sim/fabric/toy_cluster.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names(NcclPaths& paths, const TransferPath& path) {
  std::vector<std::string> names;
  for (const int direction : path.directions) names.push_back(paths.name(direction));
  return names;
}

/// Four GPUs on two PCIe switches of two sockets.
Cluster two_sockets(const std::string& more) {
  return test::cluster(R"({"nodes": [{"node": "server-pcie", "name": "a", "gpus": {"rtx-pro-6000-server": 4},
    "pcie": {"switches": 2, "sockets": 2, "socket_gbps": 40)" +
                       more + "]}");
}

TransferPath path_of(const Cluster& cluster, int from, int to) {
  NcclPaths paths(cluster);
  return paths.path(cluster.gpus()[static_cast<std::size_t>(from)],
                    cluster.gpus()[static_cast<std::size_t>(to)]);
}

// Where the processor is said NCCL's own rule holds: peers under one switch, through host memory beyond.
TEST(NcclPaths, HostBridgesAreOffByDefault) {
  const Cluster c = two_sockets(R"(, "cpu": "intel"}})");
  NcclPaths paths(c);
  const TransferPath near = path_of(c, 0, 1), far = path_of(c, 0, 2);
  EXPECT_EQ(near.kind, RouteKind::pcie_peer);
  EXPECT_THAT(names(paths, near), ElementsAre("a/gpu0 -> a/pcie-switch0", "a/pcie-switch0 -> a/gpu1"));
  EXPECT_EQ(far.kind, RouteKind::pcie_staged);
  EXPECT_THAT(names(paths, far),
              ElementsAre("a/gpu0 -> a/pcie-switch0", "a/pcie-switch0 -> a/root0", "a/root0 -> a/root1",
                          "a/root1 -> a/pcie-switch1", "a/pcie-switch1 -> a/gpu2"));
}

// NCCL_P2P_LEVEL=SYS lets them cross the sockets, LOC nobody.
TEST(NcclPaths, TheLevelOverrides) {
  EXPECT_EQ(path_of(two_sockets(R"(, "cpu": "intel"}, "p2p_level": "SYS"})"), 0, 2).kind,
            RouteKind::pcie_peer);
  EXPECT_EQ(path_of(two_sockets(R"(, "cpu": "intel"}, "p2p_level": "LOC"})"), 0, 1).kind,
            RouteKind::pcie_staged);
  EXPECT_EQ(path_of(two_sockets(R"(, "cpu": "intel"}, "p2p_level": "PHB"})"), 0, 2).kind,
            RouteKind::pcie_staged);
  EXPECT_EQ(path_of(two_sockets(R"(, "cpu": "amd"}})"), 0, 2).kind, RouteKind::pcie_staged);  // four GPUs
}

// On AMD two GPUs are peers however far apart; on Intel they are not across the host bridge.
TEST(NcclPaths, AmdHostsOfTwoGpus) {
  for (const auto& [cpu, kind] : {std::pair{"amd", RouteKind::pcie_peer}, {"intel", RouteKind::pcie_staged}})
    EXPECT_EQ(
        path_of(
            test::cluster(fmt::format(
                R"({{"nodes": [{{"node": "workstation", "gpus": {{"rtx-5090": 2}}, "pcie": {{"cpu": "{}"}}}}]}})",
                cpu)),
            0, 1)
            .kind,
        kind)
        << cpu;
}

/// Two HGX nodes of four GPUs and four NICs, a leaf for each rail and spines as given.
Cluster rails(const std::string& spines, const std::string& network = "") {
  return test::cluster(R"({"nodes": [{"node": "hgx", "count": 2, "gpus": {"h100-sxm": 4},
    "nics": [{"nic": "connectx-7-400", "count": 4}], "pcie": {"switches": 4}}],
    "network": {"transport": "roce", )" +
                       network + R"("leaf_spine": {"rails": 4, "nodes_per_leaf": 1, "uplink_gbits": 400, )" +
                       spines + "}}}");
}

// GPU i of either node has NIC i under its switch: one rail, no spine but its own.
TEST(NcclPaths, OnOneRail) {
  const Cluster c = rails(R"("spines": 1, "spines_of": "rail")");
  NcclPaths paths(c);
  EXPECT_THAT(names(paths, path_of(c, 2, 6)),
              ElementsAre("node-a/gpu2 -> node-a/pcie-switch2", "node-a/pcie-switch2 -> node-a/nic2",
                          "node-a/nic2 -> leaf-rack-a-rail2", "leaf-rack-a-rail2 -> spine0-rail2",
                          "spine0-rail2 -> leaf-rack-b-rail2", "leaf-rack-b-rail2 -> node-b/nic2",
                          "node-b/nic2 -> node-b/pcie-switch2", "node-b/pcie-switch2 -> node-b/gpu2"));
}

// To another rail NCCL goes by NVLink to the neighbour on it; without PXN across the spines where rails share
// them; and where they do not, on its own rail and over the receiver's PCIe.
TEST(NcclPaths, ToAnotherRail) {
  const Cluster with = rails(R"("spines": 1, "spines_of": "rail")");
  const TransferPath pxn = path_of(with, 0, 7);
  EXPECT_EQ(pxn.relay_gpu, with.gpus()[3]);
  NcclPaths paths(with);
  EXPECT_EQ(names(paths, pxn).front(), "node-a/gpu0 -> node-a/nvswitch");
  EXPECT_EQ(with.devices[static_cast<std::size_t>(pxn.from_nic)].name, "node-a/nic3");

  const Cluster across = rails(R"("spines": 1)", R"("pxn": false, )");
  const TransferPath crossing = path_of(across, 0, 7);
  EXPECT_EQ(across.devices[static_cast<std::size_t>(crossing.from_nic)].name, "node-a/nic0");
  EXPECT_EQ(across.devices[static_cast<std::size_t>(crossing.to_nic)].name, "node-b/nic3");

  const Cluster stays = rails(R"("spines": 1)", R"("pxn": false, "cross_nic": 0, )");
  const TransferPath staying = path_of(stays, 0, 7);
  EXPECT_EQ(stays.devices[static_cast<std::size_t>(staying.to_nic)].name, "node-b/nic0");

  const Cluster apart = rails(R"("spines": 1, "spines_of": "rail")", R"("pxn": false, )");
  EXPECT_EQ(apart.devices[static_cast<std::size_t>(path_of(apart, 0, 7).to_nic)].name, "node-b/nic0");
}

// Without GPUDirect the bytes cross PCIe twice more on each side: up to the root complex and down to the NIC.
TEST(NcclPaths, StagingCrossesPcieTwiceMore) {
  const Cluster direct = rails(R"("spines": 1, "spines_of": "rail")");
  const Cluster staged = rails(R"("spines": 1, "spines_of": "rail")", R"("gpudirect": false, )");
  const Cluster level = rails(R"("spines": 1, "spines_of": "rail")", R"("gdr_level": "LOC", )");
  EXPECT_EQ(path_of(direct, 0, 4).kind, RouteKind::network_gpudirect);
  EXPECT_EQ(path_of(staged, 0, 4).kind, RouteKind::network_staged);
  EXPECT_EQ(path_of(staged, 0, 4).directions.size(), path_of(direct, 0, 4).directions.size() + 4);
  EXPECT_EQ(path_of(level, 0, 4).directions, path_of(staged, 0, 4).directions);
}

// 16 flows over 8 equal cables by hash. How many cables stay idle is the urn problem: 8 (7/8)^16 = 0.94 of 8
// on average, so the busiest carries more than 2; over 300 seeds the mean must be within 0.15 of it.
TEST(Ecmp, CollidesAsChanceHasIt) {
  const Cluster c = test::cluster(R"({"nodes": [{"node": "hgx", "count": 2, "gpus": {"h100-sxm": 1},
    "nic": "connectx-7-400"}], "network": {"leaf_spine": {"nodes_per_leaf": 1, "spines": 8, "uplink_gbits": 50}}})");
  NcclPaths paths(c);
  double idle = 0;
  const int seeds = 300;
  for (int seed = 0; seed < seeds; ++seed) {
    std::map<int, int> flows;
    for (std::uint64_t flow = 0; flow < 16; ++flow)
      ++flows[paths.path(c.gpus()[0], c.gpus()[1], {static_cast<std::uint64_t>(seed), flow}).directions[3]];
    idle += 8 - static_cast<double>(flows.size());
  }
  EXPECT_NEAR(idle / seeds, 0.94, 0.15);
  EXPECT_EQ(paths.path(c.gpus()[0], c.gpus()[1], {1, 2}).directions,
            paths.path(c.gpus()[0], c.gpus()[1], {1, 2}).directions);
}

// Eight NICs of 400 Gbit/s on a leaf oversubscribed twice: four uplinks. Two flows of 50 GB/s hashed onto one
// cable get half each, and the cable is named.
TEST(Transfers, TwoFlowsMeetOnACable) {
  const Cluster c = test::cluster(R"({"nodes": [{"node": "workstation", "count": 4, "gpus": {"rtx-5090": 1},
    "nic": "connectx-7-400"}], "network": {"leaf_spine": {"nodes_per_leaf": 2, "spines": 1, "uplink_gbits": 400,
    "oversubscription": 2}}})");
  NcclPaths paths(c);
  const std::vector<int> g = c.gpus();
  const std::vector<TransferResult> results = run_transfers(paths, {{g[0], g[2], 1e9}, {g[1], g[3], 2e9}});
  // 400 Gbit/s at RoCE MTU 4096: 50 x 4096 / 4178 = 49.02 GB/s for both.
  const double line = 50 * 4096.0 / 4178;
  EXPECT_NEAR(results[0].gbps, line / 2, 1e-9);
  // The cable down from the spine is as full as the one up.
  EXPECT_THAT(results[0].bottleneck, testing::AnyOf("leaf-rack-a -> spine0", "spine0 -> leaf-rack-b"));
  EXPECT_NEAR(results[0].seconds, 2 / line, 3e-6);
  EXPECT_NEAR(results[1].seconds, 3 / line, 3e-6);  // 1e9 B at half, 1e9 B at the whole
  const std::vector<LinkLoad> loads = bottleneck_links(paths, {{g[0], g[2], 1e9}, {g[1], g[3], 2e9}});
  ASSERT_EQ(loads.size(), 1u);
  EXPECT_EQ(loads[0].flows, 2);
  EXPECT_NEAR(loads[0].gbps, loads[0].capacity_gbps, 1e-9);
}

TEST(NcclPaths, BadFabricsAreNamed) {
  test::ToyCluster toy;
  std::vector<int> gpus;
  for (const char* name : {"a", "b"}) {
    const int node = toy.node(name);
    const int root = toy.device(DeviceKind::root_complex, node, "root");
    gpus.push_back(toy.device(DeviceKind::gpu, node, "gpu0", "rtx-5090"));
    toy.link(gpus.back(), root, "pcie", 63);
  }
  NcclPaths paths(toy.cluster);
  EXPECT_THAT(test::message_of([&] { paths.path(gpus[0], gpus[1]); }),
              AllOf(HasSubstr("route from a/gpu0 to b/gpu0"), HasSubstr("no nic that a/gpu0 reaches")));
  toy.cluster.links[1].gbps = 0;
  EXPECT_THAT(test::message_of([&] { NcclPaths(toy.cluster).capacities(); }),
              AllOf(HasSubstr("b/gpu0"), HasSubstr("capacity of 0")));
}

}  // namespace
}  // namespace sextant
