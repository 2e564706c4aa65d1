#include "sim/scenario/purchase_question.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

const std::string host =
    R"({"chassis": "box", "node": "workstation", "price": 5000, "pcie_slots": 9, "pcie_lanes": 128,
  "power_supply_watts": 2000, "power_supply_efficiency": 0.9, "host_watts": 300})";
const std::string card = R"({"gpu": "rtx-pro-6000-server", "price": 9000})";

JsonValue page(const std::string& offers, const std::string& budget = R"({"usd": 100000})",
               const std::string& rest = "") {
  return JsonValue::parse(R"({"name": "t", "cluster": {"choose-from": [)" + offers + R"(], "budget": )" +
                              budget +
                              R"(}, "model": {"name": "llama-3.1-8b"}, "deployment": "search", "workload": {
      "max_concurrency": 4, "num_prompts": 10, "prompt": {"fixed": 100}, "output": {"fixed": 10}})" +
                              rest + "}",
                          "t.json");
}

std::string refusal(const JsonValue& document) {
  try {
    read_purchase_question(document);
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line";
    return error.what();
  }
  return "accepted";
}

TEST(PurchaseQuestion, TakesTheUsersPriceOrTheCataloguesWithItsSource) {
  const PurchaseQuestion question =
      read_purchase_question(page(host + "," + card + R"(, {"gpu": "rtx-5090"})"));
  ASSERT_EQ(question.gpus.size(), 2u);
  EXPECT_EQ(question.gpus[0].price.source, "the scenario");
  // models/hardware/catalogue/gpus.json: 3,200 USD, street.
  EXPECT_EQ(question.gpus[1].price.usd, 3200);
  EXPECT_TRUE(question.gpus[1].price.source.starts_with("catalogue, 2025-26: https://"));
}

TEST(PurchaseQuestion, AsksForAMissingPriceByName) {
  EXPECT_EQ(refusal(page(host + R"(, {"gpu": "rtx-pro-6000-server"})")),
            "t.json: cluster.choose-from[1].price: missing; expected what one rtx-pro-6000-server costs you "
            "in USD: "
            "the catalogue has no price that can be trusted");
}

TEST(PurchaseQuestion, RefusesACardThatFitsNoChassis) {
  EXPECT_EQ(refusal(page(host + R"(, {"gpu": "h200-sxm", "price": 30000})")),
            "t.json: cluster.choose-from[1]: h200-sxm fits no chassis: box takes form factor pcie, not sxm");
  // 600 W of the card and 1,700 of the host are more than 2,000.
  std::string hungry = host;
  hungry.replace(hungry.find("\"host_watts\": 300"), 17, "\"host_watts\": 1700");
  EXPECT_NE(refusal(page(hungry + "," + card)).find("supplies 2000 W, card and host take 2300"),
            std::string::npos);
}

TEST(PurchaseQuestion, RefusesANicWithoutAPortOnASwitch) {
  const std::string offers = host + "," + card + R"(, {"nic": "connectx-7-400", "price": 1, "watts": 25},
    {"switch": "mikrotik-crs812-ddq", "ports": [{"gbits": 200, "count": 4}]})";
  EXPECT_EQ(refusal(page(offers)),
            "t.json: cluster.choose-from[2]: found connectx-7-400 with ports of 400 Gbit/s, expected a port "
            "for it on "
            "a switch: mikrotik-crs812-ddq has none");
}

TEST(PurchaseQuestion, RefusesBoundsThatContradictEachOther) {
  const std::string range = R"({"usd": 1, "nodes": {"at_least": 3, "at_most": 2}})";
  EXPECT_NE(refusal(page(host + "," + card, range)).find("found at_least 3 and at_most 2"),
            std::string::npos);
  const std::string gpus = R"({"usd": 1, "nodes": {"at_least": 3}, "gpus": {"at_most": 2}})";
  EXPECT_NE(refusal(page(host + "," + card, gpus)).find("found at most 2 gpus and at least 3 nodes"),
            std::string::npos);
}

TEST(PurchaseQuestion, RefusesWhatFollowsFromThePurchase) {
  const std::string rest = R"(, "economics": {"capital_usd": 5, "electricity_usd_per_kwh": 0.2})";
  EXPECT_NE(refusal(page(host + "," + card, R"({"usd": 1})", rest))
                .find("economics.capital_usd: found a figure that"),
            std::string::npos);
}

TEST(PurchaseQuestion, ReadsTheRestOfThePageAsStrictlyAsAnyScenario) {
  EXPECT_NE(refusal(page(host + "," + card, R"({"usd": 1})", R"(, "slo": {"p99_ttft": "<=1"})"))
                .find("unknown metric 'p99_ttft'"),
            std::string::npos);
  EXPECT_NE(refusal(page(host + "," + card, R"({"usd": 1, "wats": 3})")).find("wats"), std::string::npos);
  EXPECT_NE(refusal(page(card)).find("found no chassis"), std::string::npos);
}

// 4 x 400G: each splits into at most four, so sixteen ports of 100G and eight of 200G; 2 x 400 and 2 x 200
// that do not split serve four NICs of 200G.
TEST(PurchaseQuestion, CountsPortsOfASwitch) {
  SwitchOffer offer;
  offer.ports = find_switch("mikrotik-crs804-ddq").ports;
  EXPECT_EQ(offer.ports_for(400), 4);
  EXPECT_EQ(offer.ports_for(200), 8);
  EXPECT_EQ(offer.ports_for(100), 16);
  EXPECT_EQ(offer.ports_for(800), 0);
  offer.ports = find_switch("mikrotik-crs812-ddq").ports;
  EXPECT_EQ(offer.ports_for(200), 4);
}

TEST(PurchaseQuestion, OtherCommandsSayWhoAnswersIt) {
  try {
    read_scenario(page(host + "," + card));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("'sextant plan' alone"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace sextant
