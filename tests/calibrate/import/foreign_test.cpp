#include <gmock/gmock.h>

#include "tests/calibrate/import/import_fixture.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

ForeignOrigin port(double gbps) {
  ForeignOrigin origin;
  origin.rate_gbps = gbps;
  return origin;
}

// perftest's MB is 2^20 B: 11,664.25 x 1,048,576 x 8 / 10^9 = 97.847 Gbit/s, not 93.3.
TEST(Perftest, MegabytesArePowersOfTwo) {
  const Imported read = import_fixture(import_perftest, "perftest-send-bw.txt", port(100));
  ASSERT_EQ(read.error, "");
  const auto row = read.row<RdmaRow>(0);
  EXPECT_NEAR(*row.gbps, 97.847, 0.001);
  EXPECT_EQ(row.op, "send");
  EXPECT_EQ(row.test, "bw");
  EXPECT_EQ(row.bytes, 65536);
  EXPECT_EQ(row.qps, 1);
  EXPECT_EQ(row.mtu, 4096);
  EXPECT_EQ(row.device, "mlx5_0");
  EXPECT_EQ(row.rate_gbps, 100);
  EXPECT_EQ(row.gdr, false);
}

TEST(Perftest, ReadsGigabitsAndLatencies) {
  const Imported read = import_fixture(import_perftest, "perftest-gb10.txt", port(200));
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.rows.size(), 2U);
  EXPECT_EQ(read.row<RdmaRow>(0).gbps, 111.71);
  EXPECT_EQ(read.row<RdmaRow>(0).qps, 4);
  EXPECT_EQ(read.row<RdmaRow>(1).test, "lat");
  EXPECT_EQ(read.row<RdmaRow>(1).us, 1.47);
  EXPECT_EQ(read.row<RdmaRow>(1).qps, 1);
  EXPECT_EQ(read.row<RdmaRow>(1).gbps, std::nullopt);
}

// 0.035668 million messages of 65,536 B a second are 2.3375 GB/s = 2229 x 2^20 B/s = 18.70 Gbit/s: JSON's
// 2229.27 is in MB/sec, and 18.70 would be in Gb/sec.
TEST(Perftest, TheMessageRateTellsTheUnitOfJson) {
  const Imported megabytes = import_fixture(import_perftest, "perftest-write-bw.json", port(100));
  ASSERT_EQ(megabytes.error, "");
  EXPECT_NEAR(*megabytes.row<RdmaRow>(0).gbps, 18.70, 0.005);
  const std::string text = fixture_text("perftest-write-bw.json");
  EXPECT_EQ(import_text(import_perftest, edited(text, "2229.27", "18.70"), port(100)).row<RdmaRow>(0).gbps,
            18.70);
  EXPECT_THAT(
      import_text(import_perftest, edited(text, "2229.27", "22.29"), port(100)).error,
      HasSubstr(
          "results.BW_average: found 22.29 and 0.035668 million messages of 65536 B a second, which agree "
          "neither in MB/sec nor in Gb/sec"));
  EXPECT_EQ(import_fixture(import_perftest, "perftest-write-lat.json", port(100)).row<RdmaRow>(0).us, 2.42);
}

TEST(Perftest, RefusesWhatContradictsItself) {
  const std::string text = fixture_text("perftest-send-bw.txt");
  // Megabytes of 10^6 would be 12,230.8: 4.9 % more than messages say.
  EXPECT_THAT(import_text(import_perftest, edited(text, "11664.25", "12230.8"), port(100)).error,
              HasSubstr(":20: found a bandwidth of 12230.8 MB/sec and 0.186628 million messages"));
  EXPECT_THAT(
      import_text(import_perftest, edited(text, "BW average[MB/sec]", "BW average[Gb/sec]"), port(100)).error,
      HasSubstr("which do not agree; is one of them in another unit?"));
  EXPECT_THAT(
      import_text(import_perftest, edited(text, "BW average[MB/sec]", "BW average[KB/sec]"), port(100)).error,
      HasSubstr(":19: found the unit 'KB/sec', expected one of MB/sec, MiB/sec, Gb/sec"));
  EXPECT_THAT(import_text(import_perftest, text, port(10)).error,
              HasSubstr("found 97.8468 Gbit/s on a port of 10 Gbit/s, expected less"));
}

TEST(Perftest, RefusesBadFiles) {
  const std::string text = fixture_text("perftest-send-bw.txt");
  EXPECT_THAT(import_text(import_perftest, text).error, HasSubstr("expected --rate-gbps 200"));
  EXPECT_THAT(
      import_text(import_perftest, edited(text, "Send BW Test", "Send Bidirectional BW Test"), port(100))
          .error,
      HasSubstr(":2: found a bidirectional test"));
  EXPECT_THAT(import_text(import_perftest, edited(text, "Send BW Test", "Atomic BW Test"), port(100)).error,
              HasSubstr("expected one of Send, RDMA_Write, RDMA_Read"));
  EXPECT_THAT(import_text(import_perftest, edited(text, "4096[B]", "none"), port(100)).error,
              HasSubstr(":9: found 'none', expected a whole number"));
  EXPECT_THAT(import_text(import_perftest, "nothing\n", port(100)).error,
              HasSubstr("found no header '#bytes"));
}

TEST(Iperf3, ReadsWhatTheReceiverGot) {
  const Imported read = import_fixture(import_iperf3, "iperf3.json");
  ASSERT_EQ(read.error, "");
  EXPECT_EQ(read.row<TcpRow>(0).streams, 8);
  EXPECT_EQ(read.row<TcpRow>(0).gbps, 198);
  EXPECT_EQ(read.rows[0].note, "37 retransmits");
}

TEST(Iperf3, RefusesBadFiles) {
  const std::string text = fixture_text("iperf3.json");
  EXPECT_THAT(import_text(import_iperf3, R"({"start": {}, "end": {}, "error": "unable to connect"})").error,
              HasSubstr("error: found \"unable to connect\", expected a finished test"));
  EXPECT_THAT(import_text(import_iperf3, edited(text, "\"TCP\"", "\"UDP\"")).error,
              HasSubstr("expected \"TCP\""));
  EXPECT_THAT(
      import_text(import_iperf3, edited(text, "198000000000.0", "198000000.0")).error,
      HasSubstr("end.sum_received.bits_per_second: found 1.98e+08, expected 1.98e+11 by bytes and seconds"));
  EXPECT_THAT(import_text(import_iperf3, text.substr(0, 200)).error, HasSubstr("RefusesBadFiles"));
}

ForeignOrigin gpu(const std::string& name) {
  ForeignOrigin origin;
  origin.gpu = name;
  origin.bytes = 536870912;
  return origin;
}

TEST(Nvbandwidth, ReadsOneWayMatrices) {
  const Imported read = import_fixture(import_nvbandwidth, "nvbandwidth-h100.txt", gpu("h100-sxm"));
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.rows.size(), 4U);
  // 536,870,912 B at 55.15 GB/s.
  EXPECT_NEAR(read.row<CopyRow>(0).us, 9734.74, 0.01);
  EXPECT_EQ(read.row<CopyRow>(0).direction, "h2d");
  EXPECT_EQ(read.row<CopyRow>(2).direction, "d2d");
  EXPECT_NEAR(read.row<CopyRow>(2).us, 1447.48, 0.01);
  EXPECT_EQ(read.rows[3].note, "device_to_device_memcpy_read_ce: GPU 1 and GPU 0");
  EXPECT_EQ(read.report.left_out.size(), 1U);  // the two cells of the copy both ways
  EXPECT_EQ(read.report.left_out.begin()->second.rows, 2);
}

TEST(Nvbandwidth, ReadsJson) {
  const Imported read = import_fixture(import_nvbandwidth, "nvbandwidth-gb10.json", gpu("dgx-spark-gb10"));
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.rows.size(), 1U);
  EXPECT_NEAR(read.row<CopyRow>(0).us, 536870912 / 24.83e3, 0.01);
}

TEST(Nvbandwidth, RefusesBadFiles) {
  const std::string text = fixture_text("nvbandwidth-h100.txt");
  ForeignOrigin unknown = gpu("h100-sxm");
  unknown.bytes = 0;
  EXPECT_THAT(import_text(import_nvbandwidth, text, unknown).error, HasSubstr("expected --bytes 536870912"));
  EXPECT_THAT(import_text(import_nvbandwidth, edited(text, "(GB/s)", "(GiB/s)"), gpu("h100-sxm")).error,
              HasSubstr("expected 'bandwidth (GB/s)'"));
  EXPECT_THAT(
      import_text(import_nvbandwidth, edited(text, "55.15     55.09", "55.15"), gpu("h100-sxm")).error,
      HasSubstr(":17: found 1 cells, expected 2"));
  EXPECT_THAT(
      import_text(import_nvbandwidth, edited(text, "55.15     55.09", "55.15     fast"), gpu("h100-sxm"))
          .error,
      HasSubstr(":17: column '1': found 'fast', expected a number above 0"));
  EXPECT_THAT(import_text(import_nvbandwidth, "hello", gpu("h100-sxm")).error,
              HasSubstr("found no test case"));
}

TEST(Topology, ReadsTheMatrix) {
  const Imported read = import_fixture(import_topology, "topo-pcie.txt");
  ASSERT_EQ(read.error, "");
  const auto context = JsonValue::parse(read.row<OtherRow>(0).json, "context").object();
  EXPECT_EQ(context.at("devices").array().size(), 6U);
  EXPECT_EQ(context.at("pairs").array().size(), 15U);  // 6 x 5 / 2
  EXPECT_EQ(context.at("pairs").array()[1].object().text("connection"), "PHB");
  EXPECT_EQ(context.at("nics").object().text("NIC2"), "rocep137s0f0");
  const auto second = context.at("affinity").array().at(1).object();
  EXPECT_EQ(second.text("cpus"), "14-27,42-55");
  EXPECT_EQ(second.integer("numa"), 1);
}

TEST(Topology, CountsNvlinks) {
  const Imported read = import_fixture(import_topology, "topo-nvlink.txt");
  ASSERT_EQ(read.error, "");
  const auto context = JsonValue::parse(read.row<OtherRow>(0).json, "context").object();
  EXPECT_EQ(context.at("pairs").array()[0].object().integer("nvlinks"), 18);
}

TEST(Topology, RefusesBadMatrices) {
  const std::string text = fixture_text("topo-nvlink.txt");
  EXPECT_THAT(import_text(import_topology, edited(text, "GPU1    NV18", "GPU1    SYS ")).error,
              HasSubstr(":3: column 'GPU0': found 'SYS', expected NV18 as in the row of GPU0"));
  EXPECT_THAT(import_text(import_topology, edited(text, "NV18", "NVX ")).error,
              HasSubstr(":2: column 'GPU1': found 'NVX', expected one of NV#"));
  EXPECT_THAT(import_text(import_topology, text.substr(0, text.find("NIC1    NODE    PIX "))).error,
              HasSubstr("found 4 rows, expected 5 as columns"));
  EXPECT_THAT(import_text(import_topology, "hello\n").error, HasSubstr("expected nvidia-smi topo -m"));
}

TEST(Measurements, AreHeldToTheSameLimits) {
  const std::string row =
      R"({"kind":"gemm","gpu":"h200-sxm","dtype":"bf16","m":8192,"n":8192,"k":8192,"us":1500,"source":"s"})";
  const Imported read = import_text(import_measurements, row + "\n" + edited(row, "1500", "1900") + "\n");
  ASSERT_EQ(read.error, "");
  EXPECT_EQ(read.report.repeated, 1);
  EXPECT_EQ(read.report.disagreeing, 1);
  EXPECT_THAT(read.report.first_disagreement, HasSubstr(":2: column 'us': 1900 and earlier 1500"));
  // 1.1e12 operations at 989 TFLOP/s take 1112 us.
  EXPECT_THAT(
      import_text(import_measurements, edited(row, "1500", "1.5")).error,
      HasSubstr(":1: column 'us': found 1.5 us, expected at least 855.185 us by the data sheet of h200-sxm"));
}

}  // namespace
}  // namespace sextant
