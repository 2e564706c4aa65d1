#include "calibrate/measure/rdma/plan/options.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

std::string complaint(const std::vector<std::string>& arguments) {
  try {
    parse_options(arguments);
  } catch (const InputError& error) {
    return error.what();
  }
  return "none";
}

TEST(RdmaOptions, TakesPerftestsFlags) {
  const Options options = parse_options({"-d",           "mlx5_0",
                                         "-x",           "3",
                                         "-q",           "4",
                                         "-s",           "65536",
                                         "-n",           "1000",
                                         "-t",           "64",
                                         "-I",           "0",
                                         "-m",           "1024",
                                         "-S",           "5",
                                         "--tclass=106", "-b",
                                         "-F",           "--report_gbits",
                                         "--use_cuda=1", "10.0.0.1"});
  EXPECT_EQ(options.device, "mlx5_0");
  EXPECT_EQ(options.gid_index, 3);
  EXPECT_EQ(options.qps, std::vector<int>{4});
  EXPECT_EQ(options.sizes, std::vector<std::int64_t>{65536});
  EXPECT_EQ(options.iterations, 1000);
  EXPECT_EQ(options.tx_depth, 64);
  EXPECT_EQ(options.inline_bytes, 0);
  EXPECT_EQ(options.mtu, 1024);
  EXPECT_EQ(options.service_level, 5);
  EXPECT_EQ(options.traffic_class, 106);
  EXPECT_TRUE(options.both_ways);
  EXPECT_EQ(options.gpu, 1);
  EXPECT_EQ(options.host, "10.0.0.1");
}

TEST(RdmaOptions, HostMayStandAnywhere) {
  EXPECT_EQ(parse_options({"host", "-n", "5"}).host, "host");
  EXPECT_EQ(parse_options({"-o", "-", "host"}).output, "-");
  EXPECT_EQ(parse_options({"host", "-o", "-"}).host, "host");
}

/// 2, 4 ... 8388608: 2^1 to 2^23.
TEST(RdmaOptions, AllSizesAre23PowersOfTwo) {
  const auto sizes = parse_options({"host"}).sizes;
  ASSERT_EQ(sizes.size(), 23U);
  EXPECT_EQ(sizes.front(), 2);
  EXPECT_EQ(sizes.back(), 8 << 20);
}

TEST(RdmaOptions, RefusesWithFoundAndExpected) {
  EXPECT_EQ(complaint({"-q", "17", "h"}), "rdma: --qp: found \"17\", expected a whole number from 1 to 16");
  EXPECT_EQ(complaint({"-q", "4x", "h"}), "rdma: --qp: found \"4x\", expected a whole number from 1 to 16");
  EXPECT_EQ(complaint({"-m", "9000", "h"}),
            "rdma: --mtu: found \"9000\", expected a whole number from 1 to 4096");
  EXPECT_EQ(complaint({"-m", "1500", "h"}),
            "rdma: --mtu: found \"1500\", expected 256, 512, 1024, 2048 or 4096: the RDMA MTU, not the "
            "interface's");
  EXPECT_EQ(complaint({"-s", "0", "h"}), "rdma: --size: found 0, expected 1 or more");
  EXPECT_EQ(complaint({"-s", "2G", "h"}), "rdma: --size: found \"2G\", expected at most 1G");
  EXPECT_EQ(complaint({"-s", "", "h"}), "rdma: --size: found '', expected a size such as 512, 64K, 8M or 1G");
  EXPECT_EQ(complaint({"--op", "atomic", "h"}), "rdma: --op: found \"atomic\", expected send, write or read");
  EXPECT_EQ(complaint({"-D", "0", "h"}),
            "rdma: --duration: found \"0\", expected seconds above 0, at most 3600");
  EXPECT_EQ(complaint({"-S", "16", "h"}), "rdma: --sl: found \"16\", expected a whole number from 0 to 15");
}

TEST(RdmaOptions, UnknownAndMissing) {
  EXPECT_EQ(
      complaint({"--sise", "2", "h"}),
      "rdma: found the unknown option \"--sise\", did you mean '--size'; see sextant-measure rdma --help");
  EXPECT_EQ(complaint({"-Z", "h"}), "rdma: found the unknown option \"-Z\"; see sextant-measure rdma --help");
  EXPECT_EQ(complaint({"h", "-d"}), "rdma: -d: found no value, expected one");
  EXPECT_EQ(complaint({}), "rdma: found no host, expected the server's name, or --server to be one");
  EXPECT_EQ(complaint({"a", "b"}), "rdma: found the hosts \"a\" and \"b\", expected one");
  EXPECT_EQ(complaint({"--server", "a"}), "rdma: found --server and the host \"a\", expected one of them");
  EXPECT_EQ(complaint({"--server", "-o", "f"}),
            "rdma: found --output on the server, expected it on the client");
  EXPECT_EQ(complaint({"--help"}), "none");
}

/// Latency is of one queue pair; a write into GPU memory cannot be watched by the CPU, so its latency has no
/// twin: 3 bw x 2 queue-pair counts x 2 memories + 3 lat + 2 lat on the GPU = 17.
TEST(RdmaOptions, GpuBlocksFollowTheirTwins) {
  const auto blocks = parse_options({"-q", "1,16", "--use_cuda", "h"}).blocks();
  ASSERT_EQ(blocks.size(), 17U);
  EXPECT_EQ(blocks[0].text(), "send bw");
  EXPECT_EQ(blocks[1].text(), "send bw, GPU memory");
  EXPECT_EQ(blocks[2].text(), "send bw, 16 queue pairs");
  EXPECT_EQ(blocks[14].text(), "write lat");
  EXPECT_EQ(blocks[15].text(), "read lat");
}

TEST(RdmaOptions, ServersGivenSettingsMustBeTheClients) {
  const Options client = parse_options({"-q", "1", "-s", "2,64K", "h"});
  EXPECT_EQ(disagreement(client.effective(), parse_options({"--server"}).given), "");
  EXPECT_EQ(disagreement(client.effective(), parse_options({"--server", "-s", "2,65536", "-d", "any"}).given),
            "");
  EXPECT_EQ(
      disagreement(client.effective(), parse_options({"--server", "-q", "4", "-t", "64"}).given),
      "--qp is 1 at the client and 4 at the server; --tx-depth is 128 at the client and 64 at the server");
}

}  // namespace
}  // namespace sextant::rdma
