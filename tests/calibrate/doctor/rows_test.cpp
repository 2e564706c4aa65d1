#include <gtest/gtest.h>

#include "calibrate/import/foreign.hpp"
#include "models/hardware/cluster.hpp"
#include "tests/calibrate/doctor/diagnosis_search.hpp"

namespace sextant {
namespace {

using Keys = std::vector<std::string>;

const std::string foreign = std::string(SEXTANT_SOURCE_DIR) + "/tests/fixtures/import/";

Measurement bandwidth(double gbps, double line = 200, bool gpu_memory = false, double bytes = 65536) {
  RdmaRow row{"send", "bw", bytes, 1, gbps, std::nullopt, "mlx5_0", 4096, line, gpu_memory};
  return {"", "test", "", row};
}

Measurement latency(double us) {
  RdmaRow row{"send", "lat", 2, 1, std::nullopt, us, "mlx5_0", 4096, 200, false};
  return {"", "test", "", row};
}

/// An all-reduce of 256 MiB with that bus bandwidth, 10^9 B/s: time = bytes x 2 (n - 1) / n / busbw.
Measurement all_reduce(int ranks, int nodes, const std::string& link, double busbw) {
  CollectiveRow row;
  row.op = "all_reduce";
  row.ranks = ranks;
  row.nodes = nodes;
  row.link = link;
  row.bytes = 268435456;
  row.us = row.bytes * 2 * (ranks - 1) / ranks / busbw / 1e3;
  return {"h100-sxm", "test", "", row};
}

Diagnosis diagnosis_of(const std::vector<Measurement>& rows, Doctor doctor = test::roce_doctor()) {
  doctor.look_at_rows(rows, "rows");
  return doctor.result();
}

// The playbook's verdicts on 100 Gbit/s: over 90 excellent, 80 to 90 good, less: check.
TEST(DoctorRows, ThreeVerdicts) {
  const Diagnosis excellent = diagnosis_of({bandwidth(97.85, 100)});
  EXPECT_EQ(excellent.findings.size(), 0U);
  ASSERT_EQ(excellent.passed.size(), 1U);
  EXPECT_NE(excellent.passed[0].find("98 %: excellent"), std::string::npos) << excellent.passed[0];
  const Diagnosis good = diagnosis_of({bandwidth(85, 100)});
  EXPECT_EQ(test::symptoms_of(good), Keys{});
  EXPECT_NE(test::find(good, "bandwidth-fair"), nullptr);
  const Diagnosis check = diagnosis_of({bandwidth(79, 100)});
  EXPECT_EQ(test::symptoms_of(check), Keys{"bandwidth-low"});
  EXPECT_NE(test::find(check, "bandwidth-low")->expected.find("95 to 98 Gbit/s"), std::string::npos);
}

// 11,664.25 "MB/sec" of the playbook are 97.85 Gbit/s, not the 93.3 it says.
TEST(DoctorRows, PlaybooksOwnFigureIsExcellent) {
  std::vector<Measurement> rows;
  ImportReport report;
  ForeignOrigin origin;
  origin.rate_gbps = 100;
  import_perftest(foreign + "perftest-send-bw.txt", origin, report,
                  [&](const Measurement& row) { rows.push_back(row); });
  const Diagnosis diagnosis = diagnosis_of(rows);
  ASSERT_FALSE(diagnosis.passed.empty());
  EXPECT_NE(diagnosis.passed[0].find("97.85 Gbit/s of 100"), std::string::npos) << diagnosis.passed[0];
}

TEST(DoctorRows, SmallMessagesAreNotJudgedByBandwidth) {
  const Diagnosis diagnosis = diagnosis_of({bandwidth(3, 200, false, 1024)});
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{});
  EXPECT_TRUE(test::unchecked(diagnosis, "ib_send_bw"));
}

TEST(DoctorRows, MoreThanFiveMicrosecondsIsBroken) {
  EXPECT_EQ(test::symptoms_of(diagnosis_of({latency(1.1)})), Keys{});
  EXPECT_NE(test::find(diagnosis_of({latency(2.4)}), "latency-high"),
            nullptr);  // 0.9 to 1.3 us on a clean 200G fabric
  EXPECT_EQ(test::symptoms_of(diagnosis_of({latency(5.2)})), Keys{"latency-broken"});
}

TEST(DoctorRows, GpuMemoryBesideHostMemory) {
  EXPECT_EQ(test::symptoms_of(diagnosis_of({bandwidth(195), bandwidth(190, 200, true)})), Keys{});
  EXPECT_EQ(test::symptoms_of(diagnosis_of({bandwidth(195), bandwidth(120, 200, true)})), Keys{"gdr-slower"});
  EXPECT_EQ(test::symptoms_of(diagnosis_of({bandwidth(195), bandwidth(35, 200, true)})),
            Keys{"gdr-staged"});  // 5.6 times
  EXPECT_TRUE(test::unchecked(diagnosis_of({bandwidth(35, 200, true)}), "GPUDirect"));
}

TEST(DoctorRows, TcpIsAPropertyOfItsOwn) {
  const auto tcp = [](int streams, double gbps) {
    return Measurement{"", "test", "", TcpRow{streams, gbps}};
  };
  EXPECT_EQ(test::symptoms_of(diagnosis_of({tcp(8, 198)})), Keys{});
  EXPECT_EQ(test::symptoms_of(diagnosis_of({tcp(8, 120)})), Keys{"tcp-low"});
  EXPECT_TRUE(test::unchecked(diagnosis_of({tcp(1, 40)}), "TCP, 1 stream"));  // one stream is no fabric
  EXPECT_TRUE(
      test::unchecked(diagnosis_of({tcp(8, 398)}), "TCP, 8 streams"));  // 398 of 200: the line is another
}

// Two nodes of four on 200GbE: 20 to 24 GB/s; 70 % of 20 are 14.
TEST(DoctorRows, SeventyPercentRule) {
  EXPECT_EQ(test::symptoms_of(diagnosis_of({all_reduce(8, 2, "roce", 22)})), Keys{});
  EXPECT_EQ(test::symptoms_of(diagnosis_of({all_reduce(8, 2, "roce", 14.1)})), Keys{});
  const Diagnosis low = diagnosis_of({all_reduce(8, 2, "roce", 13.9)});
  ASSERT_EQ(test::symptoms_of(low), Keys{"busbw-low"});
  EXPECT_NE(test::find(low, "busbw-low")->expected.find("at least 14"), std::string::npos);
  EXPECT_EQ(test::symptoms_of(diagnosis_of({all_reduce(4, 1, "nvlink", 130)})),
            Keys{"busbw-low"});  // 200 x 0.7 = 140
}

TEST(DoctorRows, GroupThatNobodyDescribesIsNotJudged) {
  const Diagnosis diagnosis = diagnosis_of({all_reduce(6, 3, "roce", 1)});
  EXPECT_EQ(test::symptoms_of(diagnosis), Keys{});
  EXPECT_TRUE(test::unchecked(diagnosis, "all_reduce of 6 ranks"));
}

// From 300 GB/s of NVLink to 22 over one 200G port is a drop of 14, and all the line gives; to 3 it is not.
TEST(DoctorRows, DropFromOneNodeToTwo) {
  EXPECT_EQ(test::symptoms_of(diagnosis_of({all_reduce(4, 1, "nvlink", 300), all_reduce(8, 2, "roce", 22)})),
            Keys{});
  const Diagnosis broken = diagnosis_of({all_reduce(4, 1, "nvlink", 300), all_reduce(8, 2, "roce", 3)});
  EXPECT_EQ(test::symptoms_of(broken), (Keys{"busbw-low", "busbw-drop"}));
  EXPECT_EQ(test::find(broken, "busbw-drop")->changes.front(),
            (ScenarioChange{"cluster.network.transport", "tcp"}));
}

TEST(DoctorRows, ExpectationOfAScenariosCluster) {
  const Cluster cluster = read_cluster(JsonValue::parse(
      R"({"nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-400"},
                    {"node": "dgx-spark", "gpus": {"dgx-spark-gb10": 1}, "nic": "connectx-7-spark-200"}]})",
      "test"));
  const FabricExpectation expectation = expectation_of(cluster);
  EXPECT_EQ(expectation.port_gbps,
            100);  // the Spark's two ports have 200 together; each machine should reach the least
  EXPECT_FALSE(expectation.gpudirect_possible);
  EXPECT_TRUE(expectation.several_nodes);
}

TEST(DoctorRows, CatalogueTextsAreComplete) {
  const Symptoms symptoms = shipped_symptoms();
  EXPECT_THROW(symptoms.describe("no such", {}), std::runtime_error);
  EXPECT_EQ(symptoms.describe("permissions", {{"path", "/dev/x"}}).expected,
            "/dev/x readable and writable by the engine's user");
  EXPECT_EQ(symptoms.sources().size(), 4U);
}

}  // namespace
}  // namespace sextant
