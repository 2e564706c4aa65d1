#include "sim/scenario/uplink.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

Cluster four_nodes() {
  return read_cluster(JsonValue::parse(
      R"({"nodes": [{"node": "hgx", "count": 4, "gpus": {"h100-sxm": 4}, "nics": [{"nic": "connectx-7-400", "count": 4,
          "port_gbits": 100}]}], "network": {"transport": "roce"}})",
      "test"));
}

UplinkTime find(const std::vector<UplinkTime>& times, const std::string& errand, const std::string& network) {
  for (const UplinkTime& time : times)
    if (time.errand == errand && time.network == network) return time;
  ADD_FAILURE() << errand << " over " << network;
  return {};
}

// RDMA set-up in practice: a checkpoint of 280 GB (140 GB of weights and as much again) takes about 90 s over
// 25 GbE and 22 s over 100 GbE: 280e9 x 8 / 25e9 = 89.6 s, 1 % more with TCP's headers. Four NICs of 100 give
// one stream 100.
TEST(Uplink, TheSetUpGuidesCheckpoint) {
  const std::vector<UplinkTime> times = uplink_times(four_nodes(), {25, 0, 0, 8, 0}, 140e9);
  EXPECT_NEAR(find(times, "checkpoint from one node", "management").one_connection_seconds, 90.5, 0.1);
  const UplinkTime data = find(times, "checkpoint from one node", "data");
  EXPECT_NEAR(data.one_connection_seconds, 22.6, 0.1);
  EXPECT_NEAR(data.many_connections_seconds, 22.6 / 4, 0.05);
}

// Four nodes of 25 Gbit/s behind a store of 50: 140 GB x 4 at 50 Gbit/s are 89.6 s, 90.5 with headers; a
// connection of 5 Gbit/s makes it 226 s for each alone.
TEST(Uplink, TheStoreIsShared) {
  const std::vector<UplinkTime> shared = uplink_times(four_nodes(), {25, 50, 0, 8, 0}, 140e9);
  EXPECT_NEAR(find(shared, "weights to every node", "management").one_connection_seconds, 90.5, 0.1);
  EXPECT_NEAR(find(shared, "weights to one node", "management").one_connection_seconds, 45.3, 0.1);
  const std::vector<UplinkTime> slow = uplink_times(four_nodes(), {25, 0, 5, 8, 0}, 140e9);
  EXPECT_NEAR(find(slow, "weights to one node", "management").one_connection_seconds, 226.3, 0.2);
  EXPECT_NEAR(find(slow, "weights to one node", "management").many_connections_seconds, 45.3, 0.1);
}

TEST(Uplink, SizedToWhatIsNeeded) {
  EXPECT_NEAR(needed_gbits(140e9, 60, 9000), 18.85, 0.05);
  EXPECT_EQ(usual_gbits(18.85), 25);
  EXPECT_EQ(usual_gbits(801), 0);
}

TEST(Uplink, BadInputIsNamed) {
  for (const char* text : {R"({})", R"({"management_gbits": 0})", R"({"management_gbits": 25, "store": 1})"})
    EXPECT_THROW(read_uplink(JsonValue::parse(text, "test")), InputError) << text;
}

}  // namespace
}  // namespace sextant
