#include "models/hardware/cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Cluster cluster(const std::string& text) {
  return read_cluster(JsonValue::parse(text, "s.json"));
}

std::string error_of(const std::string& text) {
  try {
    cluster(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

int device(const Cluster& c, const std::string& name) {
  for (std::size_t i = 0; i < c.devices.size(); ++i)
    if (c.devices[i].name == name) return static_cast<int>(i);
  return -1;
}

/// The link between two devices, either way round; kind empty if there is none.
Link link(const Cluster& c, const std::string& a, const std::string& b) {
  const int x = device(c, a), y = device(c, b);
  for (const Link& l : c.links)
    if ((l.from == x && l.to == y) || (l.from == y && l.to == x)) return l;
  return {};
}

const std::string two_workstations =
    R"({"nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200", "count": 2}])";

// Each node: root complex, 2 GPUs, 1 NIC; links: 3 each, and the cable.
TEST(Cluster, ExpandsTwoWorkstationsWithACable) {
  const Cluster c = cluster(two_workstations + "}");
  ASSERT_EQ(c.nodes.size(), 2u);
  EXPECT_EQ(c.nodes[0].name, "node-a");
  EXPECT_EQ(c.nodes[1].name, "node-b");
  EXPECT_EQ(c.devices.size(), 8u);
  EXPECT_EQ(c.links.size(), 7u);
  EXPECT_EQ(c.gpus().size(), 4u);
  EXPECT_EQ(c.gpu(c.gpus()[3]).name, "rtx-pro-6000-workstation");
  EXPECT_TRUE(c.nodes[0].peer_to_peer);
  EXPECT_NEAR(link(c, "node-a/gpu0", "node-a/root").gbps, 63.0, 0.05);  // Gen5 x16
  const Link cable = link(c, "node-a/nic0", "node-b/nic0");
  EXPECT_EQ(cable.kind, "ethernet");
  EXPECT_DOUBLE_EQ(cable.gbps, 25);  // 200 Gbit/s
  EXPECT_TRUE(c.network.gpudirect);
}

TEST(Cluster, JoinsNodesAtANamedSwitch) {
  const Cluster c =
      cluster(two_workstations + R"(, "network": {"transport": "ib", "switch": "quantum-2-qm9700"}})");
  const Link up = link(c, "node-a/nic0", "switch");
  EXPECT_EQ(up.kind, "infiniband");
  EXPECT_DOUBLE_EQ(up.gbps, 25);
  EXPECT_DOUBLE_EQ(up.latency_us, 0.075);  // 0.15 us through the switch, half on each link
  EXPECT_EQ(c.devices.back().kind, DeviceKind::network_switch);
  EXPECT_EQ(c.devices.back().node, -1);
  EXPECT_EQ(link(c, "node-a/nic0", "node-b/nic0").kind, "");
}

// Three nodes cannot share one cable: a switch without a model stands between them.
TEST(Cluster, JoinsThreeNodesAtAGenericSwitch) {
  const Cluster c = cluster(R"({"nodes": [{"node": "hgx", "gpus": {"h100-sxm": 8},
      "nics": ["connectx-7-400", "connectx-7-400"], "count": 3}]})");
  EXPECT_EQ(c.devices.size(), 3u * (1 + 1 + 8 + 2) + 1);
  EXPECT_EQ(c.devices.back().model, "");
  EXPECT_DOUBLE_EQ(link(c, "node-c/gpu7", "node-c/nvswitch").gbps, 450);
  EXPECT_EQ(link(c, "node-c/gpu7", "node-c/nvswitch").kind, "nvlink");
  EXPECT_DOUBLE_EQ(link(c, "node-c/nic1", "switch").gbps, 50);
}

// A Gen4 card in a Gen5 slot runs at Gen4: 31.5e9 B/s.
TEST(Cluster, RunsACardAtTheLesserGeneration) {
  const Cluster c = cluster(R"({"nodes": [{"node": "workstation", "name": "w", "gpus": {"l40s": 1},
      "nic": "connectx-8-800", "peer_to_peer": false}]})");
  EXPECT_NEAR(link(c, "w/gpu0", "w/root").gbps, 31.5, 0.05);
  EXPECT_NEAR(link(c, "w/nic0", "w/root").gbps, 63.0, 0.05);  // a Gen6 card in a Gen5 slot
  EXPECT_FALSE(c.nodes[0].peer_to_peer);
  EXPECT_EQ(c.links.size(), 2u);  // one node has nobody to talk to
}

// DGX Spark: chip-to-chip link to the CPU, 2 x Gen5 x4 to the NIC, no GPUDirect.
TEST(Cluster, KnowsThatASparkStagesInHostMemory) {
  const std::string sparks =
      R"({"nodes": [{"node": "dgx-spark", "gpus": {"dgx-spark-gb10": 1}, "nic": "connectx-7-spark-200", "count": 2}])";
  const Cluster c = cluster(sparks + "}");
  EXPECT_FALSE(c.network.gpudirect);
  EXPECT_DOUBLE_EQ(link(c, "node-a/gpu0", "node-a/root").gbps, 300);
  EXPECT_NEAR(link(c, "node-a/nic0", "node-a/root").gbps, 31.5, 0.05);
  EXPECT_FALSE(cluster(sparks + R"(, "network": {"mtu": 1500}})").network.gpudirect);
  EXPECT_THAT(error_of(sparks + R"(, "network": {"gpudirect": true}})"),
              HasSubstr("s.json: network.gpudirect: found true, expected false: dgx-spark-gb10"));
}

TEST(Cluster, NamesManyNodesWithLetters) {
  const Cluster c =
      cluster(R"({"nodes": [{"node": "workstation", "gpus": {"l40s": 1}, "nic": "connectx-7-200",
      "count": 27}, {"node": "workstation", "name": "w", "gpus": {"l40s": 1}, "nic": "connectx-7-200", "count": 2}]})");
  EXPECT_EQ(c.nodes[25].name, "node-z");
  EXPECT_EQ(c.nodes[26].name, "node-aa");
  EXPECT_EQ(c.nodes[27].name, "w-a");
  EXPECT_EQ(c.nodes[28].name, "w-b");
}

std::string node(const std::string& more) {
  return R"({"nodes": [{"node": "workstation", )" + more + "}]}";
}

TEST(BadCluster, NamesUnknownPartsAndTheNearest) {
  EXPECT_THAT(error_of(node(R"("gpus": {"rtx-pro-6000-workstaton": 1})")),
              AllOf(HasSubstr("s.json: nodes[0].gpus.rtx-pro-6000-workstaton: "),
                    HasSubstr("did you mean 'rtx-pro-6000-workstation'")));
  EXPECT_THAT(error_of(node(R"("gpus": {"l40s": 1}, "nic": "connectx-7")")),
              HasSubstr("s.json: nodes[0].nic: "));
  EXPECT_THAT(error_of(node(R"("gpu": {"l40s": 1})")), HasSubstr("did you mean 'gpus'"));
  EXPECT_THAT(error_of(R"({"nodes": [{"node": "workstations", "gpus": {"l40s": 1}}]})"),
              HasSubstr("s.json: nodes[0].node: node type: found \"workstations\""));
}

TEST(BadCluster, RefusesGpusThatDoNotFitTheNode) {
  EXPECT_THAT(error_of(node(R"("gpus": {"l40s": 3, "rtx-5090": 2})")),
              HasSubstr("nodes[0].gpus: found 5 gpus, expected 1 to 4 in a node of type workstation"));
  EXPECT_THAT(
      error_of(node(R"("gpus": {"h100-sxm": 1})")),
      HasSubstr("found a gpu of form factor sxm in a node of type workstation, expected form factor pcie"));
  EXPECT_THAT(error_of(node(R"("gpus": {"l40s": 0})")), HasSubstr("expected a whole number from 1"));
  EXPECT_THAT(error_of(node(R"("gpus": {})")), HasSubstr("found 0 gpus"));
}

TEST(BadCluster, RefusesAbsurdCounts) {
  EXPECT_THAT(error_of(R"({"nodes": []})"), HasSubstr("s.json: nodes: found no node"));
  EXPECT_THAT(error_of(node(R"("gpus": {"l40s": 1}, "count": 0)")), HasSubstr("nodes[0].count: found 0"));
  EXPECT_THAT(error_of(node(R"("gpus": {"l40s": 4}, "nic": "connectx-7-200", "count": 25001)")),
              HasSubstr("nodes: found 100004 gpus, expected at most 100000"));
}

TEST(BadCluster, RefusesTwinsAndNodesWithoutANetwork) {
  const std::string named =
      R"({"node": "workstation", "name": "a", "gpus": {"l40s": 1}, "nic": "connectx-7-200"})";
  EXPECT_THAT(error_of(R"({"nodes": [)" + named + ", " + named + "]}"),
              HasSubstr("found two nodes named \"a\""));
  EXPECT_THAT(error_of(R"({"nodes": [)" + named + R"(, {"node": "workstation", "gpus": {"l40s": 1}}]})"),
              HasSubstr("s.json: nodes[1]: found no nic, expected 'nic' or 'nics' in each of 2 nodes"));
  EXPECT_THAT(error_of(node(R"("gpus": {"l40s": 1}, "nic": "connectx-7-200", "nics": ["connectx-7-200"])")),
              HasSubstr("found both 'nic' and 'nics'"));
}

TEST(BadCluster, RefusesAnUnknownNetwork) {
  EXPECT_THAT(error_of(two_workstations + R"(, "network": {"transport": "rocce"}})"),
              HasSubstr("did you mean 'roce'"));
  EXPECT_THAT(error_of(two_workstations + R"(, "network": {"mtu": 9}})"), HasSubstr("network.mtu: found 9"));
  EXPECT_THAT(error_of(two_workstations + R"(, "network": {"transport": "tcp", "gpudirect": true}})"),
              HasSubstr("expected false over tcp"));
  EXPECT_FALSE(cluster(two_workstations + R"(, "network": {"transport": "tcp"}})").network.gpudirect);
}

TEST(Dot, DrawsEveryVertexAndEdge) {
  const std::string dot = to_dot(cluster(two_workstations + "}"));
  EXPECT_TRUE(dot.starts_with("graph cluster {\n"));
  EXPECT_THAT(dot,
              HasSubstr("\"node-a/gpu0\" [shape=box, label=\"node-a/gpu0\\nrtx-pro-6000-workstation\"];"));
  EXPECT_THAT(dot, HasSubstr("\"node-a/nic0\" -- \"node-b/nic0\" [label=\"ethernet 25.0 GB/s\"];"));
  EXPECT_THAT(dot, HasSubstr("\"node-a/gpu0\" -- \"node-a/root\" [label=\"pcie 63.0 GB/s\"];"));
}

// Equal cards under different limits are different kinds; a card's default limit is no limit of its own.
TEST(Cluster, PowerLimitsMakeKinds) {
  const auto node = [](const std::string& gpus) {
    return cluster(R"({"nodes": [{"node": "workstation", "gpus": )" + gpus + "}]}");
  };
  const Cluster limited = node(
      R"({"rtx-pro-6000-workstation": {"count": 2, "power_limit_watts": 300}, "rtx-pro-6000-max-q": {"count": 1}})");
  EXPECT_EQ(limited.kinds(limited.gpus()), "rtx-pro-6000-max-q + rtx-pro-6000-workstation at 300 W");
  EXPECT_EQ(limited.gpu(limited.gpus()[1]).name, "rtx-pro-6000-workstation");
  const Cluster usual = node(R"({"rtx-pro-6000-workstation": {"count": 1, "power_limit_watts": 600}})");
  EXPECT_EQ(usual.kinds(usual.gpus()), "rtx-pro-6000-workstation");
}

TEST(Cluster, RefusesPowerLimitsTheCardCannotBeSetTo) {
  const auto error = [](const std::string& gpus) {
    return error_of(R"({"nodes": [{"node": "workstation", "gpus": )" + gpus + "}]}");
  };
  EXPECT_EQ(
      error(R"({"rtx-pro-6000-max-q": {"count": 1, "power_limit_watts": 600}})"),
      "s.json: nodes[0].gpus.rtx-pro-6000-max-q.power_limit_watts: found 600 W, expected 250 to 325 W for "
      "rtx-pro-6000-max-q");
  EXPECT_THAT(error(R"({"rtx-5090": {"count": 1, "power_limit_watts": 400}})"),
              HasSubstr("the limits that rtx-5090 can be set to are not known"));
  EXPECT_THAT(error(R"({"rtx-pro-6000-max-q": {"power_limit_watts": 300}})"), HasSubstr("count"));
  EXPECT_THAT(error(R"({"rtx-pro-6000-max-q": {"count": 1, "power_limit": 300}})"),
              HasSubstr("found the unknown key 'power_limit'"));
}

// ESC is byte 1b, U+009B (CSI) is c2 9b in UTF-8; in DOT a backslash is written twice.
TEST(Cluster, DotEscapesWhatSteersATerminal) {
  Cluster c = cluster(two_workstations + "}");
  c.nodes[0].name =
      "a\x1b[31m\"b\xc2\x9b"
      "c";
  const std::string dot = to_dot(c);
  EXPECT_THAT(dot, HasSubstr(R"(label="a\\x1b[31m\"b\\xc2\\x9bc";)"));
  EXPECT_EQ(dot.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace sextant
