#include <gmock/gmock.h>

#include "tests/calibrate/import/import_fixture.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

const ForeignOrigin spark{"dgx-spark-gb10", "roce", "", 0, 0};
const ForeignOrigin server{"rtx-pro-6000-server", "ib", "", 0, 0};

TEST(NcclTests, ReadsBothHalvesOfARow) {
  // 16 GiB gathered by two ranks on two hosts: 453,650 us out of place, 410,049 us in place.
  const Imported read = import_fixture(import_nccl_tests, "nccl-tests-gb10.txt", spark);
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.rows.size(), 2U);
  const auto row = read.row<CollectiveRow>(0);
  EXPECT_EQ(row.op, "all_gather");
  EXPECT_EQ(row.ranks, 2);
  EXPECT_EQ(row.nodes, 2);
  EXPECT_EQ(row.link, "roce");
  EXPECT_EQ(row.bytes, 17179869184.0);
  EXPECT_EQ(row.us, 453650);
  EXPECT_EQ(row.gdr, std::nullopt);
  EXPECT_EQ(read.row<CollectiveRow>(1).us, 410049);
  EXPECT_EQ(read.rows[0].note, "out-of-place; NVIDIA GB10");
  EXPECT_EQ(read.rows[1].note, "in-place; NVIDIA GB10");
  EXPECT_EQ(read.rows[0].source, "nccl-tests, nccl-tests-gb10.txt");
}

TEST(NcclTests, LearnsFromTheLogBetweenTheRows) {
  const Imported read = import_fixture(import_nccl_tests, "nccl-tests-with-log.txt", server);
  ASSERT_EQ(read.error, "");
  ASSERT_EQ(read.rows.size(), 6U);
  EXPECT_EQ(read.row<CollectiveRow>(4).us, 86786);
  EXPECT_EQ(read.row<CollectiveRow>(4).gdr, false);
  EXPECT_EQ(read.row<CollectiveRow>(4).nvls, false);
}

TEST(NcclTests, JsonSaysTheSameAsText) {
  const Imported text = import_fixture(import_nccl_tests, "nccl-tests-with-log.txt", server);
  const Imported json = import_fixture(import_nccl_tests, "nccl-tests.json", server);
  ASSERT_EQ(json.error, "");
  ASSERT_EQ(json.rows.size(), 2U);
  for (const std::size_t half : {0, 1}) {
    EXPECT_EQ(json.row<CollectiveRow>(half).us, text.row<CollectiveRow>(4 + half).us);
    EXPECT_EQ(json.row<CollectiveRow>(half).bytes, 1073741824.0);
    EXPECT_EQ(json.row<CollectiveRow>(half).nodes, 2);
    EXPECT_EQ(json.rows[half].note, text.rows[4 + half].note);
  }
}

// One process with four GPUs lists one of them in its JSON: 1 x 1 thread x 4 GPUs are four ranks.
TEST(NcclTests, JsonCountsTheGpusOfAProcess) {
  const std::string text = R"({"args": ["all_reduce_perf"],
    "config": {"nthreads": 1, "ngpus": 4, "devices": [{"hostname": "a", "device_info": "NVIDIA H200"}]},
    "results": [{"size": 4000000, "count": 1000000, "type": "float", "redop": "sum", "root": "-1",
      "out_of_place": {"time": 40, "alg_bw": 100, "bus_bw": 150, "nwrong": 0}, "in_place": null}]})";
  const Imported read = import_text(import_nccl_tests, text, {"h200-sxm", "", "", 0, 0});
  ASSERT_EQ(read.error, "");
  EXPECT_EQ(read.row<CollectiveRow>(0).ranks, 4);
  EXPECT_EQ(read.row<CollectiveRow>(0).link, "nvlink");
}

std::string gb10() {
  return fixture_text("nccl-tests-gb10.txt");
}

TEST(NcclTests, RefusesWhatContradictsItself) {
  // 17.2e9 B in 453.65 us would be 37,870 GB/s: the time is in ms.
  EXPECT_THAT(
      import_text(import_nccl_tests, edited(gb10(), "  453650", "  453.65"), spark).error,
      HasSubstr(
          ":12: column 'out-of-place time': found 1.71799e+10 B in 453.65 us and an algorithm bandwidth of "
          "37.87 GB/s, expected 37870.3 GB/s; is one of them in another unit?"));
  // An all-gather of two ranks has half the bus bandwidth, an all-reduce all of it.
  EXPECT_THAT(
      import_text(import_nccl_tests, edited(gb10(), "all_gather_perf", "all_reduce_perf"), spark).error,
      HasSubstr("found a bus bandwidth of 18.94 GB/s, expected 37.87 GB/s for all_reduce over 2 ranks"));
  EXPECT_THAT(import_text(import_nccl_tests, edited(gb10(), "(us)", "(ms)"), spark).error,
              HasSubstr(":11: found the unit (ms), expected (B), (us) and (GB/s)"));
  EXPECT_THAT(import_text(import_nccl_tests, edited(gb10(), "   time ", "cputime "), spark).error,
              HasSubstr(":10: found the column 'cputime', expected 'time'"));
}

TEST(NcclTests, AsksForWhatTheOutputDoesNotSay) {
  EXPECT_THAT(
      import_fixture(import_nccl_tests, "nccl-tests-gb10.txt", {"dgx-spark-gb10", "", "", 0, 0}).error,
      HasSubstr("the link between the 2 nodes is not known, expected --link roce, ib or tcp"));
  const std::string unnamed = edited(gb10(), "# Collective test starting: all_gather_perf\n", "");
  EXPECT_THAT(import_text(import_nccl_tests, unnamed, spark).error,
              HasSubstr("the operation is not named, expected --op"));
  EXPECT_EQ(
      import_text(import_nccl_tests, unnamed, {"dgx-spark-gb10", "roce", "all_gather", 0, 0}).rows.size(),
      2U);
}

// The file names the GPU, the operation and the hosts; options say what it leaves out, nothing else.
TEST(NcclTests, RefusesOptionsThatContradictTheFile) {
  const auto error = [](const std::string& gpu, const std::string& link, const std::string& op) {
    return import_fixture(import_nccl_tests, "nccl-tests-with-log.txt", {gpu, link, op, 0, 0}).error;
  };
  const std::string device =
      "found the GPU 'NVIDIA RTX PRO 6000 Blackwell Server Edition', which is "
      "rtx-pro-6000-server, expected ";
  EXPECT_THAT(error("h200-sxm", "ib", ""), HasSubstr(device + "h200-sxm"));
  // five of six words are the same; "server" is not
  EXPECT_THAT(error("rtx-pro-6000-workstation", "ib", ""), HasSubstr(device + "rtx-pro-6000-workstation"));
  EXPECT_THAT(error("rtx-pro-6000-server", "ib", "all_gather"),
              HasSubstr("found all_reduce, expected all_gather as --op says"));
  EXPECT_EQ(error("rtx-pro-6000-server", "ib", "all_reduce"), "");
  EXPECT_THAT(error("rtx-pro-6000-server", "nvlink", ""),
              HasSubstr("found the link nvlink between 2 nodes, expected roce, ib or tcp"));
  EXPECT_THAT(import_fixture(import_nccl_tests, "nccl-tests.json", {"h200-sxm", "ib", "", 0, 0}).error,
              HasSubstr(device + "h200-sxm"));
}

// A name that no entry of the catalogue fits contradicts nothing; "80GB" alone is no card.
TEST(NcclTests, AcceptsAGpuThatTheCatalogueDoesNotKnow) {
  const std::string unknown =
      edited(edited(gb10(), "NVIDIA GB10", "NVIDIA H800 80GB"), "NVIDIA GB10", "NVIDIA H800 80GB");
  EXPECT_EQ(import_text(import_nccl_tests, unknown, spark).error, "");
}

TEST(NcclTests, RefusesBadFiles) {
  EXPECT_THAT(import_text(import_nccl_tests, "", spark).error, HasSubstr("found no header"));
  EXPECT_THAT(
      import_text(import_nccl_tests, edited(gb10(), "Rank  1", "Rank  0"), spark).error,
      HasSubstr(":7: found rank 0, expected 1: are these several runs, of a binary built without MPI?"));
  EXPECT_THAT(
      import_text(import_nccl_tests,
                  edited(gb10(), "   37.87   18.94       0   410049   41.90   20.95       0", ""), spark)
          .error,
      HasSubstr(":12: found 6 columns, expected 13 as in the header"));
  EXPECT_THAT(import_text(import_nccl_tests, edited(gb10(), "20.95       0", "20.95       7"), spark).error,
              HasSubstr("found 1 of 2 rows without a usable number"));
  EXPECT_THAT(import_text(import_nccl_tests, "{\"version\": 2}", spark).error, HasSubstr("config"));
}

TEST(NcclLog, SaysHowEachPairIsConnected) {
  const Imported read = import_fixture(import_nccl_log, "nccl-log-gdr.txt");
  ASSERT_EQ(read.error, "");
  const auto context = JsonValue::parse(read.row<OtherRow>(0).json, "context").object();
  EXPECT_EQ(context.text("kind"), "context");
  EXPECT_TRUE(context.boolean("gdr"));
  EXPECT_TRUE(context.boolean("nvls"));
  EXPECT_EQ(context.text("link"), "roce");
  EXPECT_EQ(context.integer("ranks"), 4);
  EXPECT_EQ(context.integer("nodes"), 2);
  EXPECT_EQ(context.at("channels").object().integer("p2p"), 8);
  const auto transports = context.at("transports").array();
  ASSERT_EQ(transports.size(), 5U);
  EXPECT_EQ(transports[1].object().text("via"), "P2P/CUMEM");
  EXPECT_EQ(transports[1].object().integer("channels"), 2);
  // It can be read back as a line of a measurement file.
  EXPECT_EQ(std::get<OtherRow>(read_measurement(JsonValue::parse(read.row<OtherRow>(0).json, "x")).row).kind,
            "context");
}

// One transfer that is staged in host memory is enough: the run is not one over GPUDirect.
TEST(NcclLog, OneStagedTransferIsNoGpuDirect) {
  const Imported read =
      import_text(import_nccl_log, edited(fixture_text("nccl-log-gdr.txt"), "NET/IB/3/GDRDMA", "NET/IB/3"));
  EXPECT_FALSE(JsonValue::parse(read.row<OtherRow>(0).json, "context").object().boolean("gdr"));
}

TEST(NcclLog, SocketsAreTcp) {
  const Imported read = import_text(
      import_nccl_log,
      "[1,0]<stdout>:h:1:257 [0] NCCL INFO Channel 00/0 : 1[0] -> 0[0] [receive] via NET/Socket/0\n");
  const auto context = JsonValue::parse(read.row<OtherRow>(0).json, "context").object();
  EXPECT_FALSE(context.boolean("gdr"));
  EXPECT_EQ(context.text("link"), "tcp");
}

TEST(NcclLog, RefusesAnotherLog) {
  EXPECT_THAT(import_text(import_nccl_log, "Hello\n").error, HasSubstr("found no line of NCCL's"));
}

}  // namespace
}  // namespace sextant
