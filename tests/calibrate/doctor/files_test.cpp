#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "calibrate/import/foreign.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "tests/calibrate/doctor/diagnosis_search.hpp"

namespace sextant {
namespace {

using Keys = std::vector<std::string>;

const std::string logs = std::string(SEXTANT_SOURCE_DIR) + "/tests/calibrate/doctor/logs/";
const std::string foreign = std::string(SEXTANT_SOURCE_DIR) + "/tests/fixtures/import/";

class DoctorFiles : public testing::Test {
 protected:
  ~DoctorFiles() override { std::filesystem::remove(path_); }
  std::string file(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    return path_;
  }
  std::string path_ =
      (std::filesystem::temp_directory_path() / ("sextant-doctor-" + std::to_string(getpid()))).string();
};

Diagnosis diagnosis_of_log(const std::string& path, Doctor doctor = test::roce_doctor()) {
  NcclLogFacts facts;
  for_each_line(path, [&](std::string_view line, std::size_t) { facts.read(line); });
  EXPECT_GT(facts.lines, 0U);
  doctor.look_at_nccl_log(facts, path);
  return doctor.result();
}

TEST_F(DoctorFiles, SixLogsAreToldApart) {
  const std::vector<std::pair<std::string, Keys>> expected = {
      {"nvlink-p2p.txt", {}},
      {"p2p-disabled.txt", {"peers-staged"}},
      {"sockets.txt", {"socket-between-nodes", "variables-missing"}},
      {"ib-gdr.txt", {}},
      {"ib-no-gdr.txt", {"gpudirect-off", "variables-missing"}},
      {"half-rate.txt", {"port-half-rate"}}};
  for (const auto& [name, keys] : expected)
    EXPECT_EQ(test::symptoms_of(diagnosis_of_log(logs + name)), keys) << name;
}

// Recordings of four H200 on one node; sockets inside a node are NCCL with P2P and shared memory switched
// off.
TEST_F(DoctorFiles, RecordedLogsAreToldApart) {
  const std::vector<std::pair<std::string, Keys>> expected = {
      {"recorded-nvlink.txt", {}},
      {"recorded-shm.txt", {"peers-staged"}},
      {"recorded-socket.txt", {"network-inside-node"}}};
  int seen = 0;
  for (const auto& [name, keys] : expected) {
    if (!std::filesystem::exists(logs + name)) continue;
    ++seen;
    EXPECT_EQ(test::symptoms_of(diagnosis_of_log(logs + name)), keys) << name;
  }
  if (seen == 0) GTEST_SKIP() << "no recorded-*.txt in " << logs;
}

TEST_F(DoctorFiles, StagingNamesItsCauseAndItsPrice) {
  const Diagnosis diagnosis = diagnosis_of_log(logs + "ib-no-gdr.txt");
  const Finding* finding = test::find(diagnosis, "gpudirect-off");
  ASSERT_NE(finding, nullptr);
  EXPECT_NE(finding->found.find("GPU Direct RDMA Disabled for mlx5_0"), std::string::npos);
  EXPECT_NE(finding->mend.find("nvidia_peermem"), std::string::npos);
  EXPECT_EQ(finding->changes, (std::vector<ScenarioChange>{{"cluster.network.gpudirect", "false"}}));
  EXPECT_NE(test::find(diagnosis, "variables-missing")->found.find("NCCL_NET_GDR_LEVEL"), std::string::npos);
}

// GB10 cannot: what it does is not wrong.
TEST_F(DoctorFiles, StagingIsNoFaultWhereTheGpuCannot) {
  FabricExpectation expectation;
  expectation.transport = "roce";
  expectation.gpudirect_possible = false;
  const Diagnosis diagnosis = diagnosis_of_log(logs + "ib-no-gdr.txt", {shipped_symptoms(), expectation});
  EXPECT_EQ(test::find(diagnosis, "gpudirect-off"), nullptr);
  EXPECT_NE(test::find(diagnosis, "gpudirect-impossible"), nullptr);
}

TEST_F(DoctorFiles, SocketsAreRightWhereTheScenarioIsTcp) {
  FabricExpectation expectation;
  expectation.transport = "tcp";
  EXPECT_EQ(test::symptoms_of(diagnosis_of_log(logs + "sockets.txt", {shipped_symptoms(), expectation})),
            Keys{});
}

TEST_F(DoctorFiles, DistanceThatNcclRefusesIsNamed) {
  const std::string log =
      "a:1:2 [0] NCCL INFO GPU Direct RDMA Disabled for GPU ca000 / HCA 0 (distance 7 > 4)\n"
      "a:1:2 [0] NCCL INFO comm 0x1 rank 0 nRanks 2 nNodes 2 localRanks 1 localRank 0 MNNVL 0\n"
      "a:1:2 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[0] [send] via NET/IB/0\n";
  const Diagnosis diagnosis = diagnosis_of_log(file(log));
  ASSERT_NE(test::find(diagnosis, "gpudirect-off"), nullptr);
  EXPECT_NE(test::find(diagnosis, "gpudirect-off")->found.find("distance 7 > 4"), std::string::npos);
  EXPECT_NE(test::find(diagnosis, "gpudirect-off")->mend.find("NCCL_NET_GDR_LEVEL=SYS"), std::string::npos);
}

TEST_F(DoctorFiles, LogThatEndsEarlyIsNotJudged) {
  const Diagnosis diagnosis = diagnosis_of_log(file("a:1:2 [0] NCCL INFO NCCL version 2.27.5+cuda12.9\n"));
  EXPECT_FALSE(diagnosis.something_wrong());
  EXPECT_TRUE(test::unchecked(diagnosis, "transports"));
}

constexpr auto ibstat_text = R"(CA 'mlx5_0'
	CA type: MT4129
	Number of ports: 1
	Port 1:
		State: Active
		Physical state: LinkUp
		Rate: 100
		Base lid: 0
		Link layer: Ethernet
CA 'mlx5_1'
	Number of ports: 1
	Port 1:
		State: Down
		Physical state: Disabled
		Rate: 40
		Link layer: Ethernet
)";

TEST_F(DoctorFiles, Ibstat) {
  const auto ports = read_ibstat(file(ibstat_text));
  ASSERT_EQ(ports.size(), 2U);
  EXPECT_EQ(ports[0].device, "mlx5_0");
  EXPECT_EQ(ports[0].state, "ACTIVE");
  EXPECT_EQ(ports[0].rate_gbps, 100);
  EXPECT_EQ(ports[1].state, "DOWN");
  Doctor doctor = test::roce_doctor();
  doctor.look_at_ports(ports, "ibstat");
  EXPECT_EQ(test::symptoms_of(doctor.result()), Keys{"port-half-rate"});  // the other port is not cabled
  EXPECT_THROW(read_ibstat(file("bash: ibstat: command not found\n")), InputError);
}

constexpr auto devinfo_text = R"(hca_id:	mlx5_0
	transport:			InfiniBand (0)
	phys_port_cnt:			1
		port:	1
			state:			PORT_ACTIVE (4)
			max_mtu:		4096 (5)
			active_mtu:		1024 (3)
			link_layer:		Ethernet
			active_width:		4X (2)
			active_speed:		25.0 Gbps (32)
			phys_state:		LINK_UP (5)
			GID[  0]:		fe80::5aa2:e1ff:fe12:3456, RoCE v1
			GID[  1]:		fe80::5aa2:e1ff:fe12:3456, RoCE v2
			GID[  3]:		::ffff:192.168.100.1, RoCE v2
)";

// 4 lanes of 25 Gbit/s are 100; RDMA MTU 1024 comes of an Ethernet MTU of 1500.
TEST_F(DoctorFiles, IbvDevinfo) {
  const auto ports = read_ibv_devinfo(file(devinfo_text));
  ASSERT_EQ(ports.size(), 1U);
  EXPECT_EQ(ports[0].rate_gbps, 100);
  EXPECT_EQ(ports[0].mtu, 1024);
  ASSERT_EQ(ports[0].gids.size(), 3U);
  EXPECT_EQ(ports[0].gids[2].index, 3);
  EXPECT_TRUE(ports[0].gids[2].ipv4());
  EXPECT_FALSE(ports[0].gids[1].ipv4());
  Doctor doctor = test::roce_doctor();
  doctor.look_at_ports(ports, "ibv_devinfo");
  EXPECT_EQ(test::symptoms_of(doctor.result()), (Keys{"port-half-rate", "mtu-small"}));
  EXPECT_THROW(read_ibv_devinfo(file("No IB devices found\n")), InputError);
}

constexpr auto qos_text = R"(DCBX mode: OS controlled
Priority trust state: dscp
dscp2prio mapping:
	prio:0 dscp:07,06,05,04,03,02,01,00,
	prio:3 dscp:31,30,29,28,27,26,25,24,
PFC configuration:
	priority    0   1   2   3   4   5   6   7
	enabled     0   0   0   1   0   0   0   0
	buffer      0   0   0   1   0   0   0   0
)";

TEST_F(DoctorFiles, MlnxQos) {
  Doctor good = test::roce_doctor(), bad = test::roce_doctor();
  good.look_at_qos(read_mlnx_qos(file(qos_text)), "qos");
  EXPECT_EQ(test::symptoms_of(good.result()), Keys{});
  EXPECT_EQ(good.result().passed.size(), 2U);
  std::string spoilt = qos_text;
  spoilt.replace(spoilt.find("state: dscp"), 11, "state: pcp ");
  spoilt.replace(spoilt.find("enabled     0   0   0   1"), 25, "enabled     0   0   0   0");
  bad.look_at_qos(read_mlnx_qos(file(spoilt)), "qos");
  EXPECT_EQ(test::symptoms_of(bad.result()), (Keys{"pfc-off", "trust-pcp"}));
  EXPECT_THROW(read_mlnx_qos(file("PFC configuration:\n enabled 1 0\n")), InputError);
  EXPECT_THROW(read_mlnx_qos(file("nothing\n")), InputError);
}

constexpr auto lspci_text = R"(17:00.0 Ethernet controller: Mellanox Technologies MT2910 Family [ConnectX-7]
	Subsystem: Mellanox Technologies Device 0026
		LnkCap:	Port #0, Speed 32GT/s, Width x16, ASPM not supported
		LnkSta:	Speed 8GT/s (downgraded), Width x8 (downgraded)
18:00.0 SATA controller: Intel Corporation Device
		LnkCap:	Port #0, Speed 8GT/s, Width x4
		LnkSta:	Speed 2.5GT/s (downgraded), Width x1 (downgraded)
)";

// 8 GT/s x8 x 128/130 x 0.85 = 53.6 Gbit/s for a port of 200; the SATA controller is nobody's business.
TEST_F(DoctorFiles, Lspci) {
  const auto links = read_lspci(file(lspci_text));
  ASSERT_EQ(links.size(), 2U);
  EXPECT_EQ(links[0].highest_speed_gts, 32);
  EXPECT_EQ(links[0].lanes, 8);
  EXPECT_NEAR(usable_gbps(links[0], 0.85).value_or(0), 53.6, 0.05);
  Doctor doctor = test::roce_doctor();
  doctor.look_at_pcie(links, "lspci");
  EXPECT_EQ(test::symptoms_of(doctor.result()), Keys{"pcie-narrow"});
  EXPECT_THROW(read_lspci(file("pcilib: Cannot open\n")), InputError);
}

Diagnosis diagnosis_of_topology(const std::string& path) {
  Doctor doctor = test::roce_doctor();
  ImportReport report;
  import_topology(path, {}, report, [&](const Measurement& row) {
    doctor.look_at_topology(JsonValue::parse(std::get<OtherRow>(row.row).json, path), path);
  });
  return doctor.result();
}

TEST_F(DoctorFiles, TopologyBySockets) {
  const Diagnosis diagnosis =
      diagnosis_of_topology(foreign + "topo-pcie.txt");  // each GPU has a NIC behind its host bridge
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{});
  EXPECT_NE(test::find(diagnosis, "far-nic"), nullptr);  // PHB is beyond what NCCL takes by itself
  EXPECT_NE(test::find(diagnosis, "gpus-across-sockets"), nullptr);  // GPU0 and GPU1: SYS
  const std::string far =
      "\tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\n"
      "GPU0\t X \tNV18\tPIX\t0-31\t0\n"
      "GPU1\tNV18\t X \tSYS\t32-63\t1\n"
      "NIC0\tPIX\tSYS\t X \t\t\n";
  const Diagnosis spoilt = diagnosis_of_topology(file(far));
  ASSERT_EQ(test::symptoms_of(spoilt), Keys{"sys-between"});
  EXPECT_EQ(test::find(spoilt, "sys-between")->subject, "GPU1");
}

// Cut anywhere, or with any byte spoilt, a file gives a diagnosis or an InputError and nothing else.
TEST_F(DoctorFiles, HostileFiles) {
  const auto read_all = [&](const std::string& path) {
    const auto attempt = [&](auto read) {
      try {
        read();
      } catch (const InputError&) {
      }
    };
    Doctor doctor = test::roce_doctor();
    attempt([&] { doctor.look_at_ports(read_ibstat(path), path); });
    attempt([&] { doctor.look_at_ports(read_ibv_devinfo(path), path); });
    attempt([&] { doctor.look_at_qos(read_mlnx_qos(path), path); });
    attempt([&] { doctor.look_at_pcie(read_lspci(path), path); });
    NcclLogFacts facts;
    attempt([&] { for_each_line(path, [&](std::string_view line, std::size_t) { facts.read(line); }); });
    doctor.look_at_nccl_log(facts, path);
    return doctor.result();
  };
  std::ifstream log(logs + "half-rate.txt");
  const std::string log_text = std::string(std::istreambuf_iterator<char>(log), {}).substr(0, 3000);
  for (const std::string& text : {std::string(ibstat_text), std::string(devinfo_text), std::string(qos_text),
                                  std::string(lspci_text), log_text}) {
    for (std::size_t cut = 0; cut < text.size(); cut += 83)
      EXPECT_NO_THROW(read_all(file(text.substr(0, cut))));
    for (std::size_t at = 0; at < text.size(); at += 61) {
      std::string spoilt = text;
      spoilt[at] = static_cast<char>("\0\xff\n:'[9"[at % 7]);
      EXPECT_NO_THROW(read_all(file(spoilt)));
    }
  }
  EXPECT_NO_THROW(read_all(file(std::string(500'000, 'C'))));
  std::string many = "CA 'x'\n";
  for (int i = 0; i < 5000; ++i) many += "Port 1:\n";
  EXPECT_THROW(read_ibstat(file(many)), InputError);
}

}  // namespace
}  // namespace sextant
