#include "calibrate/measure/rdma/plan/wire.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

JsonObject parsed(const std::string& line) {
  return JsonValue::parse(line, "peer").object();
}

Gid gid(int index, GidType type, std::array<std::uint8_t, 16> bytes) {
  return {index, type, bytes};
}
constexpr std::array<std::uint8_t, 16> link_local = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> ipv4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> ipv6 = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};

Hello hello() {
  Hello result;
  result.version = "1.0";
  result.settings = {{"qp", "4"}, {"size", "2,64K"}};
  result.host = "a";
  result.device = "mlx5_0";
  result.gid = gid(3, GidType::roce_v2, ipv4);
  result.active_mtu = 4096;
  result.rate_gbps = 200;
  return result;
}

TEST(RdmaWire, HelloComesBack) {
  const Hello read = Hello::read(parsed(hello().write()));
  EXPECT_EQ(read.settings, hello().settings);
  EXPECT_EQ(read.gid.bytes, ipv4);
  EXPECT_EQ(read.gid.index, 3);
  EXPECT_EQ(read.rate_gbps, 200);
  EXPECT_EQ(disagreement(hello(), read), "");
}

TEST(RdmaWire, VersionsMustBeEqual) {
  Hello other = hello();
  other.version = "1.1";
  EXPECT_EQ(disagreement(hello(), other),
            "versions differ: 1.0 (protocol 1) at the client, 1.1 (protocol 1) at the server");
}

/// Of another protocol's greeting only protocol and version are read.
TEST(RdmaWire, AnotherProtocolIsNamedBeforeItsKeysMatter) {
  const Hello other = Hello::read(parsed(R"({"type":"hello","protocol":2,"version":"9"})"));
  EXPECT_EQ(disagreement(hello(), other),
            "versions differ: 1.0 (protocol 1) at the client, 9 (protocol 2) at the server");
}

TEST(RdmaWire, SettingsAndAddressesMustFit) {
  Hello server = hello();
  server.settings = {{"qp", "1"}};
  EXPECT_EQ(disagreement(hello(), server), "settings differ: --qp is 4 at the client and 1 at the server");
  server.settings = {};
  server.gid = gid(0, GidType::roce_v2, link_local);
  EXPECT_EQ(disagreement(hello(), server),
            "IP versions differ: GID 3 (RoCE v2 ::ffff:10.0.0.1) at the client, GID 0 (RoCE v2 fe80::1) at "
            "the server; "
            "choose with -x");
}

TEST(RdmaWire, BrokenMessagesAreRefused) {
  EXPECT_THROW(Hello::read(parsed(R"({"type":"hello"})")), InputError);
  EXPECT_THROW(PointResult::read(parsed(R"({"messages":1,"seconds":1,"best_rate":1,"sums":["xyz"]})")),
               InputError);
  EXPECT_THROW(PointRequest::read(parsed(R"({"bytes":-1,"iterations":1,"seconds":1,"seed":"0"})")),
               InputError);
  EXPECT_THROW(BlockRequest::read(parsed(R"({"op":"fly"})")), InputError);
}

TEST(RdmaWire, SixtyFourBitsComeBackWhole) {
  PointResult result;
  result.sums = {0xffffffffffffffff, 1};
  EXPECT_EQ(PointResult::read(parsed(result.write())).sums, result.sums);
  Endpoint endpoint;
  endpoint.intake_address = 0x7fffdeadbeef0001;
  EXPECT_EQ(Endpoint::read(parsed(endpoint.write())).intake_address, endpoint.intake_address);
}

TEST(RdmaGid, PrefersRoceV2WithIpv4) {
  const std::vector<Gid> table = {gid(0, GidType::roce_v1, link_local), gid(1, GidType::roce_v2, link_local),
                                  gid(2, GidType::roce_v1, ipv4),       gid(3, GidType::roce_v2, ipv4),
                                  gid(4, GidType::roce_v2, ipv6),       gid(5, GidType::roce_v2, ipv4)};
  EXPECT_EQ(choose_gid(table, std::nullopt, "d").index, 3);
  EXPECT_EQ(choose_gid(table, 0, "d").index, 0);
  EXPECT_EQ(choose_gid({table[0], table[1], table[4]}, std::nullopt, "d").index, 4);
}

TEST(RdmaGid, NamesWhatThereIs) {
  try {
    choose_gid({gid(3, GidType::roce_v2, ipv4)}, 7, "mlx5_0");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "mlx5_0: found no GID with index 7 (-x), expected one of 3 (RoCE v2 ::ffff:10.0.0.1)");
  }
  EXPECT_THROW(choose_gid({}, std::nullopt, "d"), InputError);
}

}  // namespace
}  // namespace sextant::rdma
