#include "reports/explorer/point_cluster.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sextant {
namespace {

using Json = nlohmann::json;

const std::string card = "rtx-pro-6000-workstation";

/// Two cards in node-a, one in node-b.
Json two_and_one() {
  return Json::parse(R"({"nodes": [
    {"node": "workstation", "name": "node-a", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200"},
    {"node": "workstation", "name": "node-b", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"}]})");
}

std::vector<int> cards_by_node(const Json& cluster) {
  std::vector<int> cards;
  for (const Json& node : cluster.at("nodes")) cards.push_back(node.at("gpus").at(card).get<int>());
  return cards;
}

TEST(PointCluster, CardsLeaveTheLastNodesAndFillThemBeforeFurtherOnes) {
  const auto with = [](int cards) {
    return cards_by_node(at_point(two_and_one(), {{"cards", {{card, cards}}}}));
  };
  EXPECT_EQ(with(1), (std::vector{1}));
  EXPECT_EQ(with(2), (std::vector{2}));
  EXPECT_EQ(with(3), (std::vector{2, 1}));
  EXPECT_EQ(with(4), (std::vector{2, 2}));        // as many as the fullest node has
  EXPECT_EQ(with(7), (std::vector{2, 2, 2, 1}));  // then nodes like the last
}

TEST(PointCluster, NodesGivenByCountKeepTheirNames) {
  Json cluster = Json::parse(
      R"({"nodes": [{"node": "hgx", "name": "node", "gpus": {"h200-sxm": 4}, "nic": "connectx-7-400", "count": 2}]})");
  const Json fewer = at_point(cluster, {{"cards", {{"h200-sxm", 5}}}});
  ASSERT_EQ(fewer["nodes"].size(), 2U);
  EXPECT_EQ(fewer["nodes"][0]["name"], "node-a");
  EXPECT_EQ(fewer["nodes"][1]["name"], "node-b");
  EXPECT_EQ(fewer["nodes"][1]["gpus"]["h200-sxm"], 1);
}

TEST(PointCluster, ANodeWithoutANicIsFilledAndNotJoined) {
  const Json cluster = Json::parse(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}}]})");
  const CardControl control = card_controls(cluster).at(0);
  EXPECT_EQ(control.base, 4);
  EXPECT_EQ(control.most, 8);  // of an HGX board
  EXPECT_EQ(network_gbits(cluster), 0);
}

TEST(PointCluster, APortComesUpSlowerOrTheCardIsExchanged) {
  const auto nic = [](double gbits) {
    return at_point(two_and_one(), {{"network_gbits", gbits}})["nodes"][0]["nic"];
  };
  EXPECT_EQ(nic(100), Json({{"nic", "connectx-7-200"}, {"port_gbits", 100}}));
  EXPECT_EQ(nic(400), Json({{"nic", "connectx-7-400"}}));
  EXPECT_EQ(nic(200), Json({{"nic", "connectx-7-200"}}));
}

TEST(PointCluster, APortThatIsPartOfItsMachineStays) {
  const Json cluster = Json::parse(
      R"({"nodes": [{"node": "dgx-spark", "gpus": {"dgx-spark-gb10": 1}, "nic": "connectx-7-spark-200"}]})");
  EXPECT_EQ(at_point(cluster, {{"network_gbits", 400}})["nodes"][0]["nic"],
            Json({{"nic", "connectx-7-spark-200"}}));
}

TEST(PointCluster, APowerLimitHoldsForEveryCardOfItsKind) {
  const Json changed = at_point(two_and_one(), {{"watts", {{card, 300}}}});
  for (const Json& node : changed["nodes"]) EXPECT_EQ(node["gpus"][card]["power_limit_watts"], 300);
  EXPECT_EQ(changed["nodes"][0]["gpus"][card]["count"], 2);
}

TEST(PointCluster, ClocksListedCardByCardAreNoControl) {
  Json cluster = two_and_one();
  cluster["nodes"][0]["gpus"][card] = {{"count", 2}, {"clock", {1, 0.8}}};
  const CardControl control = card_controls(cluster).at(0);
  EXPECT_EQ(control.clock, 0);
  EXPECT_EQ(control.least, 3);
  EXPECT_EQ(control.most, 3);
}

}  // namespace
}  // namespace sextant
