#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "calibrate/measure/fabric/fabric_options.hpp"
#include "calibrate/measure/fabric/hosts.hpp"
#include "calibrate/measure/fabric/process.hpp"
#include "calibrate/measure/fabric/topology.hpp"
#include "models/base/error.hpp"

namespace sextant::measure_fabric {
namespace {

namespace files = std::filesystem;

std::string written(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path) << text;
  return path;
}

template <class Work>
std::string reason(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

TEST(FabricHosts, TakesMpisHostsFile) {
  const auto hosts =
      read_hosts(written("hosts", "# two nodes\nnode-a slots=4\n\nnode-b address=10.0.0.2 # fast\n"));
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_EQ(hosts[0].name, "node-a");
  EXPECT_EQ(hosts[0].address, "node-a");
  EXPECT_EQ(hosts[1].address, "10.0.0.2");
}

TEST(FabricHosts, RefusesWithFileAndLine) {
  const std::string twice = written("twice", "a\na\n"), word = written("word", "a b\n"),
                    none = written("none", "#\n");
  EXPECT_EQ(reason([&] { read_hosts(twice); }), twice + ":2: found the host \"a\" again, expected each once");
  EXPECT_EQ(reason([&] { read_hosts(word); }),
            word + ":1: found \"b\", expected KEY=VALUE after the host's name");
  EXPECT_EQ(reason([&] { read_hosts(none); }), none + ": found no host, expected one on each line");
}

TEST(FabricHosts, LaunchersWords) {
  EXPECT_EQ(launch_words("srun --nodelist={host} -n1", "a"),
            (std::vector<std::string>{"srun", "--nodelist=a", "-n1"}));
  EXPECT_TRUE(usual_launcher(true, true).starts_with("srun"));
  EXPECT_TRUE(usual_launcher(false, true).starts_with("mpirun"));
  EXPECT_TRUE(usual_launcher(false, false).starts_with("ssh"));
}

PcieDevice at(const std::string& path, int numa) {
  return {"x", "/sys/devices/" + path, numa};
}

/// As nvidia-smi names them. GPU and NIC behind one switch: root port 01.0, upstream 16:00.0, downstream
/// ports 17:00.0 and 17:01.0, devices below these.
TEST(FabricTopology, DistancesOnPcie) {
  const PcieDevice gpu = at("pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/0000:18:00.0", 0);
  EXPECT_EQ(pcie_distance(gpu, at("pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:01.0/0000:19:00.0", 0)),
            "PIX");
  EXPECT_EQ(
      pcie_distance(gpu, at("pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:01.0/0000:19:00.0/0000:1a:00.0/"
                            "0000:1b:00.0",
                            0)),
      "PXB");
  EXPECT_EQ(pcie_distance(gpu, at("pci0000:15/0000:15:02.0/0000:2a:00.0", 0)), "PHB");
  EXPECT_EQ(pcie_distance(gpu, at("pci0000:37/0000:37:01.0/0000:38:00.0", 0)), "NODE");
  EXPECT_EQ(pcie_distance(gpu, at("pci0000:85/0000:85:01.0/0000:86:00.0", 1)), "SYS");
  EXPECT_EQ(pcie_distance(gpu, {"rxe0", "", -1}), "SYS");
}

/// A small /sys with one NIC port up at 100 Gbit/s and a GPU below the same root port.
TEST(FabricTopology, ReadsAndCarriesAnInventory) {
  const files::path sys = files::path(testing::TempDir()) / "sys";
  files::remove_all(sys);
  const files::path root = sys / "devices/pci0000:15/0000:15:01.0";
  const files::path nic = root / "0000:16:00.0", gpu = root / "0000:17:00.0";
  files::create_directories(nic / "infiniband/mlx5_0/ports/1");
  files::create_directories(gpu);
  files::create_directories(sys / "class/infiniband");
  files::create_directories(sys / "bus/pci/devices");
  files::create_symlink(nic / "infiniband/mlx5_0", sys / "class/infiniband/mlx5_0");
  files::create_symlink(nic, nic / "infiniband/mlx5_0/device");
  files::create_symlink(gpu, sys / "bus/pci/devices/0000:17:00.0");
  std::ofstream(nic / "infiniband/mlx5_0/ports/1/rate") << "100 Gb/sec (4X EDR)\n";
  std::ofstream(nic / "infiniband/mlx5_0/ports/1/state") << "4: ACTIVE\n";
  std::ofstream(nic / "numa_node") << "0\n";
  std::ofstream(gpu / "vendor") << "0x10de\n";
  std::ofstream(gpu / "class") << "0x030200\n";
  const Inventory read = Inventory::read(JsonValue::parse(take_inventory(sys.string()).write(), "inventory"));
  ASSERT_EQ(read.nics.size(), 1U);
  EXPECT_EQ(read.nics[0].name, "mlx5_0");
  EXPECT_EQ(read.nics[0].rate_gbps, 100);
  EXPECT_TRUE(read.nics[0].active);
  EXPECT_EQ(read.nics[0].numa_node, 0);
  ASSERT_EQ(read.gpus.size(), 1U);
  EXPECT_EQ(pcie_distance(read.gpus[0], read.nics[0]), "PIX");
}

TEST(FabricProcess, LinesCodesAndSilence) {
  Process process({"sh", "-c", "echo one; echo two; exit 3"});
  EXPECT_EQ(process.line(5), "one");
  EXPECT_EQ(process.line(5), "two");
  EXPECT_EQ(process.line(5), std::nullopt);
  EXPECT_EQ(process.wait(5), 3);
  Process silent({"sleep", "30"});
  EXPECT_EQ(reason([&] { silent.line(0.05); }), "sleep 30: said nothing for 0 s");
}

TEST(FabricOptions, Refusals) {
  EXPECT_EQ(reason([] {
              parse_options({"-o", "-"});
            }),
            "fabric: found no --hosts, expected a file with a host on each line");
  EXPECT_EQ(reason([] {
              parse_options({"--hosts", "h"});
            }),
            "fabric: found no -o, expected the measurement file to write, or '-'");
  EXPECT_EQ(reason([] {
              parse_options({"--hosts", "h", "-o", "-", "--launch", "ssh"});
            }),
            "fabric: --launch: found \"ssh\", expected a command with {host} in it, or local");
  EXPECT_EQ(reason([] {
              parse_options({"--hosts", "h", "-o", "-", "--parts", "tpc"});
            }),
            "fabric: --parts: found \"tpc\", expected tcp, rdma or nccl, did you mean 'tcp'");
  EXPECT_EQ(parse_options({"--describe"}).describe, true);
}

}  // namespace
}  // namespace sextant::measure_fabric
