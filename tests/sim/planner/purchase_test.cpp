#include "sim/planner/purchase.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <random>

#include "models/base/error.hpp"

namespace sextant {
namespace {

/// A box of 500 USD for at most four cards, L40S at 1,000 and RTX PRO 6000 Server at 3,000 USD.
std::string page(const std::string& model, const std::string& budget, const std::string& prefer = "price",
                 const std::string& rest = "", double l40s = 1000, double pro = 3000, double box = 500,
                 const std::string& more = "") {
  return fmt::format(R"({{"name": "toy", "cluster": {{"choose-from": [
      {{"chassis": "box", "node": "workstation", "price": {}, "pcie_slots": 10, "pcie_lanes": 128, "rack_units": 4,
       "power_supply_watts": 3200, "power_supply_efficiency": 0.9, "host_watts": 300}},
      {{"gpu": "l40s", "price": {}}}, {{"gpu": "rtx-pro-6000-server", "price": {}}}{}],
      "budget": {}, "prefer": "{}"}}, "model": {{"name": "{}"}}, "deployment": "search",
      "engine": {{"max_model_len": 4096}},
      "workload": {{"max_concurrency": 4, "num_prompts": 12, "prompt": {{"fixed": 200}}, "output": {{"fixed": 20}}}}{}}})",
                     box, l40s, pro, more, budget, prefer, model, rest);
}

PurchaseQuestion question(const std::string& text) {
  return read_purchase_question(JsonValue::parse(text, "toy.json"));
}

PlanOptions quick() {
  PlanOptions options;
  options.threads = 1;
  options.simulate_at_most = 4;
  return options;
}

// 70 B parameters in 16 bit are 141.1 GB. An L40S has 46,068 MiB, 43.5 GB of them usable at 0.9: three lack
// 10.7 GB, four hold the model: 500 + 4 x 1,000 = 4,500 USD. An RTX PRO 6000 has 92.4 GB usable: two hold it,
// for 500 + 2 x 3,000 = 6,500. One of each has 135.9 GB, two L40S and one RTX PRO 6000 179.4 GB for 5,500.
TEST(Purchase, TheCheapestThatHoldsTheModel) {
  const PurchasePlan plan = plan_purchase(question(page("llama-3.1-70b", R"({"usd": 20000})")), quick());
  EXPECT_EQ(plan.best.totals.usd, 4500);
  EXPECT_EQ(plan.best.kind.cards, "l40s");
  EXPECT_EQ(plan.best.totals.gpus, 4);
  // 300 W of the host and 4 x 350 W, through supplies of 90 %.
  EXPECT_NEAR(plan.best.totals.peak_watts, 1700 / 0.9, 1e-9);
  EXPECT_FALSE(plan.best.cost.has_value()) << "nothing was said of electricity";
}

// Two RTX PRO 6000 for 6,500 become the cheaper ones where four L40S cost more than 6,000: from 1,500 each;
// or where two of their own cost less than 4,000: below 2,000 each.
TEST(Purchase, FlipsWhereThePricesMeet) {
  const PurchasePlan plan = plan_purchase(question(page("llama-3.1-70b", R"({"usd": 20000})")), quick());
  const auto other = std::find_if(plan.alternatives.begin(), plan.alternatives.end(), [](const auto& a) {
    return a.planned.kind.cards == "rtx-pro-6000-server";
  });
  ASSERT_NE(other, plan.alternatives.end());
  EXPECT_EQ(other->planned.totals.usd, 6500);
  EXPECT_EQ(other->differs, std::vector<std::string>{"other cards"});
  std::map<std::string, std::optional<double>> flips;
  for (const Flip& flip : other->flips) flips[flip.input] = flip.at;
  ASSERT_TRUE(flips["price of l40s (USD)"]);
  EXPECT_NEAR(*flips["price of l40s (USD)"], 1500, 0.1);
  ASSERT_TRUE(flips["price of rtx-pro-6000-server (USD)"]);
  EXPECT_NEAR(*flips["price of rtx-pro-6000-server (USD)"], 2000, 0.1);
  EXPECT_FALSE(flips["price of box (USD)"]) << "both need one";
}

// The budget of 5,000 W at the wall is no bound, 1,000 W is: two RTX PRO 6000 draw (300 + 1,200) / 0.9 =
// 1,667 W, four L40S 1,889 W.
TEST(Purchase, WattsAtTheWallDecide) {
  const PurchasePlan plan =
      plan_purchase(question(page("llama-3.1-70b", R"({"usd": 20000, "watts": 1700})")), quick());
  EXPECT_EQ(plan.best.kind.cards, "rtx-pro-6000-server");
  EXPECT_GT(plan.left_out.at("watts at the wall"), 0);
  EXPECT_THROW(plan_purchase(question(page("llama-3.1-70b", R"({"usd": 20000, "watts": 1000})")), quick()),
               InfeasibleError);
}

std::string impossible(const std::string& text) {
  try {
    plan_purchase(question(text), quick());
  } catch (const InfeasibleError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "possible";
}

TEST(Purchase, ABudgetBelowTheSmallestNamesTheSmallest) {
  EXPECT_EQ(impossible(page("llama-3.1-70b", R"({"usd": 4000})")),
            "toy: cluster.budget.usd is 4000: the smallest purchase that holds every model costs 4500: 1 x "
            "box (4 x "
            "l40s)");
}

// 16 GB of weights, less embedding and head of 128,256 x 4,096 each: 7.0 G weights a token, 13.96 GB. Of at
// most two cards a pair of RTX PRO 6000 reads them fastest, in 13.96 / (2 x 1,597) s = 4.4 ms; two L40S
// need 8.1 ms.
TEST(Purchase, AnImpossibleSloSaysWhatBoundsIt) {
  const std::string message =
      impossible(page("llama-3.1-8b", R"({"usd": 20000, "nodes": {"at_most": 1}, "gpus": {"at_most": 2}})",
                      "price", R"(, "slo": {"p99_tpot_ms": "<=1"})"));
  EXPECT_TRUE(
      message.starts_with("toy: no purchase within the budget meets the slo; nearest is 1 x box (2 x "
                          "rtx-pro-6000-server) for 6500 USD: llama-3.1-8b: p99_tpot_ms is "))
      << message;
  EXPECT_NE(message.find("takes at least 4.4 ms for llama-3.1-8b"), std::string::npos) << message;
}

// One L40S serving an 8B model: price 1,500 USD. Standing: 300 / 0.9 = 333.3 W. At a utilisation of 0.5 and
// 8,766 hours a year for two years, electricity at 0.30 USD/kWh: 17.532 h x W x 0.3.
TEST(Purchase, TotalCostAddsPriceAndElectricity) {
  const PurchasePlan plan = plan_purchase(
      question(page("llama-3.1-8b", R"({"usd": 1600})", "price",
                    R"(, "economics": {"years": 2, "electricity_usd_per_kwh": 0.3, "utilisation": 0.5})")),
      quick());
  const PlannedPurchase& best = plan.best;
  ASSERT_TRUE(best.cost);
  const double gpu = best.models.front().gpu_watts;
  EXPECT_NEAR(best.cost->serving_watts, (300 + gpu) / 0.9, 1e-9);
  EXPECT_GE(best.cost->mean_watts, 300 / 0.9);
  EXPECT_LT(best.cost->mean_watts, best.cost->serving_watts);
  EXPECT_NEAR(best.cost->electricity_usd, best.cost->mean_watts * 17.532 * 0.3, 1e-6);
  EXPECT_NEAR(best.cost->tco_usd, 1500 + best.cost->electricity_usd, 1e-6);
  // Tokens of two years, half of the time.
  const double millions = best.output_throughput * 0.5 * 17532 * 3600 / 1e6;
  EXPECT_NEAR(best.cost->usd_per_million_output_tokens, best.cost->tco_usd / millions, 1e-6);
}

// What bounds prove worse is worse: with and without them the same purchase, on random prices, budgets and
// SLOs.
TEST(Purchase, PruningChangesNothing) {
  std::mt19937 random(7);
  const auto between = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int i = 0; i < 6; ++i) {
    const std::string budget =
        fmt::format(R"({{"usd": {}, "nodes": {{"at_most": 1}}}})", between(3000, 9000));
    const std::string slo = fmt::format(R"(, "slo": {{"p99_tpot_ms": "<={}"}})", between(8, 40));
    const std::string text = page("llama-3.1-8b", budget, "throughput", slo, between(800, 2500),
                                  between(1500, 4000), between(300, 900));
    PurchaseLimits all;
    all.most_planned = 1000;
    all.flips = false;
    PurchaseLimits exhaustive = all;
    exhaustive.prune = false;
    const auto answer = [&](const PurchaseLimits& limits) -> std::string {
      try {
        const PurchaseQuestion asked = question(text);
        const PurchasePlan plan = plan_purchase(asked, quick(), limits);
        return fmt::format("{} {}", describe(asked, plan.best.purchase), plan.best.output_throughput);
      } catch (const InfeasibleError&) {
        return "none";
      }
    };
    EXPECT_EQ(answer(all), answer(exhaustive)) << text;
  }
}

// A larger budget can buy all that a smaller one can: throughput falls by no more than the percent within
// which the cheaper of two is taken.
TEST(Purchase, MoreBudgetNeverGivesLess) {
  double before = 0;
  for (const int usd : {1600, 2600, 3600, 4600, 6600, 9600, 12600}) {
    PurchaseLimits limits;
    limits.most_planned = 1000;
    limits.flips = false;
    const PurchasePlan plan = plan_purchase(
        question(page("llama-3.1-8b", fmt::format(R"({{"usd": {}, "nodes": {{"at_most": 1}}}})", usd),
                      "throughput")),
        quick(), limits);
    EXPECT_GE(plan.best.output_throughput, 0.99 * before) << usd;
    EXPECT_LE(plan.best.totals.usd, usd);
    before = plan.best.output_throughput;
  }
  EXPECT_GT(before, 0);
}

// Two boxes need a NIC each; three need a switch as well. 405B in 4 bit is 217 GB: five L40S at least, more
// than a box holds.
TEST(Purchase, SeveralNodesNeedNicsAndASwitch) {
  const std::string nic = R"(, {"nic": "connectx-6-200", "price": 700, "watts": 20})";
  const std::string at_switch = nic + R"(, {"switch": "mikrotik-crs804-ddq"})";
  const std::string budget =
      R"({"usd": 30000, "nodes": {"at_least": 3, "at_most": 3}, "gpus": {"at_most": 3}})";
  LeftOut left_out;
  EXPECT_TRUE(
      possible_purchases(question(page("llama-3.1-8b", budget, "price", "", 1000, 3000, 500, nic)), left_out)
          .empty());
  EXPECT_GT(left_out["no switch for three nodes or more"], 0);
  const PurchaseQuestion asked =
      question(page("llama-3.1-8b", budget, "price", "", 1000, 3000, 500, at_switch));
  // One card each: three L40S, two and one, one and two, three RTX PRO 6000.
  const std::vector<Purchase> bought = possible_purchases(asked, left_out);
  ASSERT_EQ(bought.size(), 4u);
  // 3 x (500 + 1,000 + 700) + 1,295 for the switch of the catalogue.
  double least = 1e9;
  for (const Purchase& purchase : bought) least = std::min(least, totals_of(asked, purchase).usd);
  EXPECT_EQ(least, 7895);
}

}  // namespace
}  // namespace sextant
