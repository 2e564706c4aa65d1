#include "models/hardware/host_tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// "gpu0 -> pcie-switch0 63.0" for every link.
std::vector<std::string> links_of(const Cluster& cluster) {
  std::vector<std::string> texts;
  for (const Link& link : cluster.links)
    texts.push_back(cluster.devices[static_cast<std::size_t>(link.from)].name.substr(2) + " - " +
                    cluster.devices[static_cast<std::size_t>(link.to)].name.substr(2) + " " +
                    std::to_string(static_cast<int>(link.gbps + 0.5)));
  return texts;
}

template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

const HostParts blackwell{"a", "server-pcie", "rtx-pro-6000-server", "connectx-7-400", 40};
const HostParts hopper{"a", "hgx", "h100-sxm", "connectx-7-400", 40};

// Two sockets; on the first a switch with a GPU (Gen5 x16, 63 GB/s) and a NIC (Gen5 x16), on the second a GPU
// at Gen4.
TEST(HostTree, NcclTopology) {
  const HostTree tree = read_nccl_topology(R"(<system version="1">
    <cpu numaid="0" arch="x86_64" vendor="AuthenticAMD">
      <pci busid="0000:01:00.0" class="0x060400" link_speed="32.0 GT/s PCIe" link_width="16">
        <pci busid="0000:03:00.0" class="0x030200" link_speed="32.0 GT/s PCIe" link_width="16"><gpu dev="0" sm="120" rank="0" gdr="1"/></pci>
        <pci busid="0000:04:00.0" class="0x020000" link_speed="32.0 GT/s PCIe" link_width="16">
          <nic><net name="mlx5_0" dev="0" speed="400000" port="1"/></nic></pci>
      </pci></cpu>
    <cpu numaid="1" arch="x86_64" vendor="AuthenticAMD">
      <pci busid="0000:81:00.0" class="0x030200" link_speed="16.0 GT/s PCIe" link_width="16"><gpu dev="1" sm="120" rank="1" gdr="1"/></pci>
    </cpu></system>)",
                                           "topo.xml");
  EXPECT_EQ(tree.cpu, "amd");
  const Cluster cluster = cluster_of(tree, blackwell);
  EXPECT_THAT(links_of(cluster),
              testing::ElementsAre("pcie-switch0 - root0 63", "gpu0 - pcie-switch0 63",
                                   "mlx5_0 - pcie-switch0 63", "root0 - root1 40", "gpu1 - root1 32"));
  EXPECT_EQ(cluster.nodes[0].gpus.size(), 2u);
  EXPECT_EQ(cluster.nodes[0].nics.size(), 1u);
}

// H100s with 18 links to the switches: one way to them, at the whole 450 GB/s.
TEST(HostTree, NcclNvlinks) {
  std::string gpus;
  for (const char* dev : {"0", "1", "2"})
    gpus +=
        std::string(R"(<pci busid="0000:0)") + dev +
        R"(:00.0" class="0x030200" link_speed="32.0 GT/s PCIe" link_width="16"><gpu dev=")" + dev +
        R"(" sm="90"><nvlink target="0000:c4:00.0" count="9" tclass="0x068000"/><nvlink target="0000:c5:00.0" count="9" tclass="0x068000"/></gpu></pci>)";
  const Cluster cluster = cluster_of(
      read_nccl_topology(
          "<system version=\"1\"><cpu numaid=\"0\" vendor=\"GenuineIntel\">" + gpus + "</cpu></system>", "t"),
      hopper);
  EXPECT_THAT(links_of(cluster), Contains("gpu2 - nvswitch 450"));
  EXPECT_EQ(cluster.links.size(), 3u + 3u);
}

// lstopo: a port (one device below a bridge) is no switch; the bridge with two is.
TEST(HostTree, HwlocTopology) {
  const HostTree tree =
      read_hwloc_topology(R"(<?xml version="1.0"?><topology version="2.0"><object type="Machine">
    <object type="Package"><object type="Bridge" bridge_type="0-1">
      <object type="Bridge" bridge_type="1-1" pci_link_speed="63.0">
        <object type="Bridge" bridge_type="1-1" pci_link_speed="63.0"><object type="PCIDev" pci_type="0302 [10de:2bb5] [10de:204e] a1" pci_link_speed="63.0"/></object>
        <object type="Bridge" bridge_type="1-1" pci_link_speed="31.5"><object type="PCIDev" pci_type="0200 [15b3:1021] [15b3:0041] 00" pci_link_speed="31.5">
          <object type="OSDev" name="mlx5_2" osdev_type="3"/></object></object>
      </object>
      <object type="Bridge" bridge_type="1-1" pci_link_speed="4.0"><object type="PCIDev" pci_type="0108 [144d:a80a] [144d:a801] 00"/></object>
    </object></object></object></topology>)",
                          "machine.xml");
  EXPECT_THAT(
      links_of(cluster_of(tree, blackwell)),
      testing::ElementsAre("pcie-switch0 - root0 63", "gpu0 - pcie-switch0 63", "mlx5_2 - pcie-switch0 32"));
}

// GPU0 and NIC0 under one switch, GPU1 on the other socket: x16 of Gen5 everywhere, as the parts say.
TEST(HostTree, MatrixOfNvidiaSmi) {
  const HostTree tree =
      read_topology_line(JsonValue::parse(R"({"kind": "context", "tool": "nvidia-smi topo -m",
    "devices": ["GPU0", "GPU1", "NIC0"], "pairs": [{"a": "GPU0", "b": "GPU1", "connection": "SYS"},
    {"a": "GPU0", "b": "NIC0", "connection": "PIX"}, {"a": "GPU1", "b": "NIC0", "connection": "SYS"}]})",
                                          "topo.jsonl"));
  EXPECT_THAT(links_of(cluster_of(tree, blackwell)),
              testing::ElementsAre("pcie-switch0 - root0 63", "gpu0 - pcie-switch0 63", "root0 - root1 40",
                                   "gpu1 - root1 63", "NIC0 - pcie-switch0 63"));
}

TEST(HostTree, BadInputIsNamed) {
  EXPECT_THAT(message_of([] { read_nccl_topology("<system", "a.xml"); }),
              HasSubstr("a.xml:1: found broken xml"));
  EXPECT_THAT(message_of([] { read_nccl_topology("<a/>", "a.xml"); }), HasSubstr("no element 'system'"));
  EXPECT_THAT(message_of([] { read_hwloc_topology("<a/>", "a.xml"); }), HasSubstr("no element 'topology'"));
  EXPECT_THAT(message_of([] { cluster_of(read_hwloc_topology("<topology/>", "a.xml"), blackwell); }),
              HasSubstr("no gpu"));
}

// Two GPUs of one number; a GPU that hangs below no processor.
TEST(HostTree, NcclDevicesOutOfPlaceAreNamed) {
  const std::string pci = R"(<pci busid="0000:03:00.0" class="0x030200"><gpu dev="0" sm="90"/></pci>)";
  const auto message = [](const std::string& inside) {
    return message_of([&] {
      cluster_of(read_nccl_topology("<system version=\"1\">" + inside + "</system>", "a.xml"), hopper);
    });
  };
  EXPECT_THAT(message("<cpu numaid=\"0\">" + pci + pci + "</cpu>"),
              "a.xml: found gpu0 twice, expected every device once");
  EXPECT_THAT(message("<cpu numaid=\"0\">" + pci + "</cpu>" + pci),
              HasSubstr("a.xml: found device 0000:03:00.0 outside every cpu"));
}

// NCCL and lstopo write 0 where a virtual machine hides the link: then the card's own rate counts, as for
// NCCL.
TEST(HostTree, AWidthOfZeroIsNotKnown) {
  const HostTree tree = read_nccl_topology(
      R"(<system version="1"><cpu numaid="0"><pci busid="0000:03:00.0" class="0x030200" link_speed="32.0 GT/s PCIe" link_width="0"><gpu dev="0" sm="90"/></pci></cpu></system>)",
      "a.xml");
  EXPECT_THAT(links_of(cluster_of(tree, hopper)), testing::ElementsAre("gpu0 - root0 63"));
}

// lstopo gives two cards one name: mlx5_0.
TEST(HostTree, HwlocNamesGivenTwiceAreNamed) {
  const std::string card =
      R"(<object type="PCIDev" pci_type="0200 [15b3:1021] [15b3:0041] 00"><object type="OSDev" name="mlx5_0"/></object>)";
  const std::string gpu = R"(<object type="PCIDev" pci_type="0302 [10de:2330] [10de:16c1] a1"/>)";
  EXPECT_THAT(message_of([&] {
                cluster_of(read_hwloc_topology("<topology><object type=\"Package\">" + gpu + card + card +
                                                   "</object></topology>",
                                               "m.xml"),
                           hopper);
              }),
              "m.xml: found mlx5_0 twice, expected every device once");
}

TEST(HostTree, BadMatricesAreNamed) {
  const auto message = [](const std::string& devices, const std::string& pairs) {
    return message_of([&] {
      read_topology_line(JsonValue::parse(
          R"({"kind": "context", "devices": [)" + devices + R"(], "pairs": [)" + pairs + "]}", "t.jsonl"));
    });
  };
  const std::string near = R"({"a": "GPU0", "b": "GPU1", "connection": "PIX"})";
  EXPECT_THAT(message(R"("GPU0", "GPU0")", ""), HasSubstr("found GPU0 twice"));
  EXPECT_THAT(message(R"("GPU0", "GPU1", "NIC0")", near), HasSubstr("found no way between GPU0 and NIC0"));
  EXPECT_THAT(message(R"("GPU0", "GPU1")", R"({"a": "GPU0", "b": "GPU1", "connection": "PXI"})"),
              HasSubstr("found \"PXI\", expected one of PIX"));
  EXPECT_THAT(message(R"("GPU0", "GPU1")", R"({"a": "GPU0", "b": "GPU2", "connection": "PIX"})"),
              HasSubstr("found \"GPU2\", expected one of 'devices'"));
}

}  // namespace
}  // namespace sextant
