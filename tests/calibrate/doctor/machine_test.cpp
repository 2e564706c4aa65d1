#include "calibrate/doctor/machine.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "tests/calibrate/doctor/diagnosis_search.hpp"
#include "tests/calibrate/doctor/fake_machine.hpp"

namespace sextant {
namespace {

using test::FakeMachine;
using Keys = std::vector<std::string>;

constexpr auto port_folder = "sys/class/infiniband/mlx5_0/ports/1/";
const std::string nic_folder = std::string("sys/bus/pci/devices/") + FakeMachine::nic + "/";
const std::string gpu_folder = std::string("sys/bus/pci/devices/") + FakeMachine::gpu + "/";

Diagnosis diagnosis_of(const FakeMachine& machine, Doctor doctor = test::roce_doctor()) {
  doctor.look_at_machine(read_machine(machine.root()));
  return doctor.result();
}

TEST(Machine, InOrderIsClean) {
  const FakeMachine machine;
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{});
  EXPECT_FALSE(diagnosis.something_wrong());
  EXPECT_TRUE(test::unchecked(diagnosis, "PFC"));  // sysfs does not show it
}

TEST(Machine, HalfRateIsPricedAsTheCardOfThatRate) {
  FakeMachine machine;
  machine.put(std::string(port_folder) + "rate", "100 Gb/sec (4X EDR)");
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{"port-half-rate"});
  const Finding* finding = test::find(diagnosis, "port-half-rate");
  EXPECT_NE(finding->found.find("100 Gbit/s"), std::string::npos);
  EXPECT_EQ(finding->expected, "200 Gbit/s (the test)");
  EXPECT_EQ(finding->changes, (std::vector<ScenarioChange>{{"cluster.nodes[*].nic", "connectx-5-100"}}));
  EXPECT_NE(finding->mend.find("ethtool -s enp23s0np0 speed 200000"), std::string::npos) << finding->mend;
}

TEST(Machine, RateThatNobodyExpectsIsNotJudged) {
  const FakeMachine machine;
  const Diagnosis diagnosis = diagnosis_of(machine, {shipped_symptoms(), {}});
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{});
  EXPECT_TRUE(test::unchecked(diagnosis, "rate of mlx5_0"));
}

TEST(Machine, SlowerThanItsSiblingIsWrongWithoutAnyExpectation) {
  FakeMachine machine;
  machine.pci("0000:19:00.0", "0x15b3", "0x020000", 0);
  machine.adapter("mlx5_1", "0000:19:00.0", "enp23s0np0");
  machine.put("sys/class/infiniband/mlx5_1/ports/1/rate", "100 Gb/sec (4X EDR)");
  const Diagnosis diagnosis = diagnosis_of(machine, {shipped_symptoms(), {}});
  ASSERT_EQ(test::symptoms_of(diagnosis), Keys{"port-half-rate"});
  EXPECT_EQ(test::find(diagnosis, "port-half-rate")->subject, "mlx5_1 port 1");
}

TEST(Machine, DownPortIsWrongUnlessAnotherIsUp) {
  FakeMachine machine;
  machine.put(std::string(port_folder) + "state", "1: DOWN");
  machine.put(std::string(port_folder) + "phys_state", "3: Disabled");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{"port-down"});
  machine.pci("0000:19:00.0", "0x15b3", "0x020000", 0);
  machine.adapter("mlx5_1", "0000:19:00.0", "enp23s0np0");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{});
  EXPECT_NE(test::find(diagnosis_of(machine), "port-unused"), nullptr);
}

TEST(Machine, NoDeviceButACardMeansTheModules) {
  FakeMachine machine;
  machine.remove("sys/class/infiniband");
  machine.remove("sys/module/mlx5_ib");
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), (Keys{"no-rdma-device", "module-missing"}));
  EXPECT_NE(test::find(diagnosis, "no-rdma-device")->mend.find("modprobe"), std::string::npos);
}

TEST(Machine, LaptopWithoutAScenarioIsNotIll) {
  FakeMachine machine;
  machine.remove("sys/class/infiniband");
  machine.remove(std::string("sys/bus/pci/devices/") + FakeMachine::nic);
  const Diagnosis diagnosis = diagnosis_of(machine, {shipped_symptoms(), {}});
  EXPECT_FALSE(diagnosis.something_wrong());
  EXPECT_TRUE(test::unchecked(diagnosis, "RDMA"));
}

TEST(Machine, PeermemMissingIsDoubtfulForDmaBufMayStandIn) {
  FakeMachine machine;
  machine.remove("sys/module/nvidia_peermem");
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{"peermem-missing"});
  EXPECT_EQ(test::find(diagnosis, "peermem-missing")->severity, Severity::doubtful);
}

TEST(Machine, Mtu1500) {
  FakeMachine machine;
  machine.put("sys/class/net/enp23s0np0/mtu", "1500");
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{"mtu-small"});
  EXPECT_TRUE(test::find(diagnosis, "mtu-small")
                  ->changes.empty());  // the simulator does not model it: no price invented
}

TEST(Machine, GidTableWithoutRoceV2) {
  FakeMachine machine;
  machine.remove(std::string(port_folder) + "gids/3");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{"no-roce-v2-gid"});
}

TEST(Machine, GidAtAnotherIndex) {
  FakeMachine machine;
  machine.gid("mlx5_0", 3, "0000:0000:0000:0000:0000:ffff:c0a8:6401", "IB/RoCE v1", "enp23s0np0");
  machine.gid("mlx5_0", 5, "0000:0000:0000:0000:0000:ffff:c0a8:6401", "RoCE v2", "enp23s0np0");
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{"gid-index"});
  EXPECT_EQ(test::find(diagnosis, "gid-index")->mend, "export NCCL_IB_GID_INDEX=5");
}

// 16 GT/s x8 = 126 Gbit/s, of which 85 % are 107: too little for 200.
TEST(Machine, NicInASlotOfEightLanes) {
  FakeMachine machine;
  machine.put(nic_folder + "current_link_speed", "16.0 GT/s PCIe");
  machine.put(nic_folder + "current_link_width", "8");
  const Diagnosis diagnosis = diagnosis_of(machine);
  ASSERT_EQ(test::symptoms_of(diagnosis), Keys{"pcie-narrow"});
  const Finding* finding = test::find(diagnosis, "pcie-narrow");
  EXPECT_NE(finding->found.find("16 GT/s x8"), std::string::npos);
  EXPECT_NE(finding->found.find("107 Gbit/s"), std::string::npos) << finding->found;
  EXPECT_NE(finding->mend.find(FakeMachine::nic), std::string::npos);
  EXPECT_EQ(finding->changes.front().second, "connectx-5-100");
}

// 16 GT/s x16, the playbook's target, carries 214 Gbit/s: enough for the port, less than the card could do.
TEST(Machine, NicBelowItsBestThatStillCarriesThePort) {
  FakeMachine machine;
  machine.put(nic_folder + "current_link_speed", "16.0 GT/s PCIe");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{"pcie-below-best"});
}

TEST(Machine, IdleGpuMayLowerItsSpeedButNotItsWidth) {
  FakeMachine machine;
  machine.put(gpu_folder + "current_link_speed", "2.5 GT/s PCIe");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{});
  EXPECT_TRUE(test::unchecked(diagnosis_of(machine), "PCIe speed of GPU"));
  machine.put(gpu_folder + "current_link_width", "8");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{"pcie-below-best"});
}

TEST(Machine, NicOnTheOtherSocket) {
  FakeMachine machine;
  machine.put(gpu_folder + "numa_node", "1");
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{"wrong-numa"});
  EXPECT_NE(test::find(diagnosis, "wrong-numa")->mend.find("--cpunodebind=1"), std::string::npos);
  machine.put(gpu_folder + "numa_node", "-1");
  EXPECT_TRUE(test::unchecked(diagnosis_of(machine), "NUMA"));
}

TEST(Machine, DeviceFilesClosedOrMissing) {
  FakeMachine machine;
  machine.mode("dev/infiniband/uverbs0", 0600);
  Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{"permissions"});
  EXPECT_EQ(test::find(diagnosis, "permissions")->found, "mode 0600");
  machine.remove("dev/infiniband");
  diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{"permissions"});
}

TEST(Machine, EcnOffOrNotVisible) {
  FakeMachine machine;
  machine.put("sys/class/net/enp23s0np0/ecn/roce_rp/enable/3", "0");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{"ecn-off"});
  machine.remove("sys/class/net/enp23s0np0/ecn");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{});
  EXPECT_TRUE(test::unchecked(diagnosis_of(machine), "ECN"));
}

TEST(Machine, InfinibandWhereTheScenarioHasRoce) {
  FakeMachine machine;
  machine.put(std::string(port_folder) + "link_layer", "InfiniBand");
  EXPECT_EQ(test::symptoms_of(diagnosis_of(machine)), Keys{"link-layer"});
}

TEST(Machine, SparksFourInterfacesAreTwoPorts) {
  FakeMachine machine;
  machine.put("sys/class/dmi/id/product_name", "NVIDIA_DGX_Spark");
  for (const char* number : {"1", "2", "3"}) {
    const std::string address = std::string("0000:2") + number + ":00.0";
    machine.pci(address, "0x15b3", "0x020000", 0);
    machine.adapter(std::string("mlx5_") + number, address, "enp23s0np0");
  }
  const Diagnosis diagnosis = diagnosis_of(machine);
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{});
  EXPECT_NE(test::find(diagnosis, "twin-interfaces"), nullptr);
}

// After netplan the card is mlx5_0 no more: the environment that NCCL printed names what is not there.
TEST(Machine, RenamedDeviceAndWrongGidIndexAgainstTheLog) {
  const FakeMachine machine;
  Doctor doctor = test::roce_doctor();
  doctor.look_at_machine(read_machine(machine.root()));
  NcclLogFacts log;
  for (const char* line : {"h:1:2 [0] NCCL INFO NCCL_IB_HCA set to rocep1s0f0",
                           "h:1:2 [0] NCCL INFO NCCL_SOCKET_IFNAME set by environment to enp1s0f0np0",
                           "h:1:2 [0] NCCL INFO NCCL_IB_GID_INDEX set by environment to 2.",
                           "h:1:2 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM"})
    log.read(line);
  doctor.look_at_nccl_log(log, "log");
  const Diagnosis diagnosis = doctor.result();
  EXPECT_EQ(test::symptoms_of(diagnosis), (Keys{"device-renamed", "device-renamed", "gid-index"}));
  EXPECT_EQ(test::find(diagnosis, "device-renamed")->mend, "export NCCL_IB_HCA=mlx5_0");
  EXPECT_EQ(test::find(diagnosis, "gid-index")->mend, "export NCCL_IB_GID_INDEX=3");
}

TEST(Machine, RootMustBeAFolder) {
  const FakeMachine machine;
  EXPECT_THROW(read_machine(machine.root() + "/sys/module/mlx5_ib/refcnt"), InputError);
  EXPECT_THROW(read_machine(machine.root() + "/nothing"), InputError);
}

// Every file of the tree in turn empty, binary, huge, a folder, a pipe: nothing hangs, crashes or is
// believed.
TEST(Machine, HostileFiles) {
  FakeMachine machine;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(machine.root()))
    if (entry.is_regular_file() && !entry.is_symlink()) paths.push_back(entry.path());
  ASSERT_GT(paths.size(), 30U);
  const std::vector<std::string> contents = {"",
                                             std::string("\0\xff\x1b[31m\x80", 8),
                                             std::string(100'000, '9'),
                                             "-99999999999999999999",
                                             "4: ",
                                             "9e999 Gb/sec",
                                             "NaN",
                                             ": : :",
                                             "200 Gb/sec\n\n\n200",
                                             std::string(4096, 'x')};
  for (const auto& path : paths) {
    const std::string before = [&] {
      std::ifstream file(path);
      return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    for (const std::string& content : contents) {
      std::ofstream(path, std::ios::binary) << content;
      for (const Finding& finding : diagnosis_of(machine).findings)
        EXPECT_EQ((finding.subject + finding.found + finding.mend).find('\x1b'), std::string::npos) << path;
    }
    std::filesystem::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_NO_THROW(diagnosis_of(machine));
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    EXPECT_NO_THROW(diagnosis_of(machine));
    std::filesystem::remove(path);
    std::filesystem::create_symlink(path, path);  // to itself
    EXPECT_NO_THROW(diagnosis_of(machine));
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << before;
  }
  machine.mode("dev/infiniband/uverbs0", 0666);
  machine.mode("dev/infiniband/rdma_cm", 0666);
  EXPECT_FALSE(diagnosis_of(machine).something_wrong());
}

}  // namespace
}  // namespace sextant
