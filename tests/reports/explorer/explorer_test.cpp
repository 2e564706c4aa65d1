#include "reports/explorer/explorer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "reports/explorer/question.hpp"
#include "reports/plan_json.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;
using Changes = std::vector<std::pair<std::string, std::string>>;

/// A plan of one of scenarios/, of few requests and without intervals, as --json writes it.
Json planned(const std::string& name, Changes changes = {}) {
  changes.emplace_back("workload.num_prompts", "24");
  const std::string path = std::string(SEXTANT_SOURCE_DIR) + "/scenarios/" + name + ".json";
  const JsonValue document = with_changes(JsonValue::read(path), changes);
  const Scenario scenario = read_scenario(document);
  PlanOptions options;
  options.intervals = false;
  options.simulate_at_most = 2;
  const Plan plan = make_plan(scenario, options);
  return Json::parse(plan_json(scenario, plan, {}, &document));
}

Json question_of(const Json& plan) {
  return Json::parse(explorer_question(nlohmann::ordered_json::parse(plan.dump())).dump());
}

/// Three cards of 102.6 GB hold 203 GB of weights as a pipeline of three.
class ExplorerOfPart1 : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    plan = planned("part1-405b");
    question = question_of(plan);
  }
  static Json answer(const Json& point) {
    Explorer explorer(question.at("open").at("question").dump());
    return Json::parse(explorer.answer(point.dump()));
  }
  static double throughput(const Json& point) { return answer(point).at("best").at("output_throughput"); }
  static inline Json plan, question;
};

TEST_F(ExplorerOfPart1, EstimatesThePlannedLayoutAsThePlanDid) {
  EXPECT_EQ(question["base"]["planned"]["output_throughput"], plan["candidates"][0]["estimate"]);
  EXPECT_EQ(question["base"]["planned"]["kv_tokens"], plan["candidates"][0]["kv_tokens"]);
  // The best by estimate is one of those that the plan simulated, wherever the simulation ranked it.
  const auto& candidates = plan["candidates"];
  EXPECT_TRUE(std::any_of(candidates.begin(), candidates.end(), [](const Json& candidate) {
    return candidate["estimate"] == question["base"]["best"]["output_throughput"];
  }));
}

TEST_F(ExplorerOfPart1, OffersWhatTheScenarioLeavesOpen) {
  const Json& controls = question["controls"];
  EXPECT_EQ(controls["load"], Json({{"kind", "max_concurrency"}, {"base", 24}}));  // num_prompts caps 96
  EXPECT_EQ(controls["network_gbits"], Json({{"base", 200}, {"stops", {100, 200, 400}}}));
  ASSERT_EQ(controls["cards"].size(), 1U);
  EXPECT_EQ(controls["cards"][0]["base"], 3);
  EXPECT_EQ(controls["cards"][0]["most"], 8);
  EXPECT_EQ(controls["cards"][0]["watts"]["base"], 600);
}

TEST_F(ExplorerOfPart1, WhatIsSlowerGivesLess) {
  const double base = throughput(Json::object());
  EXPECT_LT(throughput({{"load", 4}}), base);
  EXPECT_LT(throughput({{"watts", {{"rtx-pro-6000-workstation", 300}}}}), base);
  // A full pipeline hides its hops; the tokens of one request alone wait for them.
  const auto alone = [](double gbits) { return throughput({{"load", 1}, {"network_gbits", gbits}}); };
  EXPECT_LE(throughput({{"network_gbits", 100}}), base);
  EXPECT_LT(alone(100), alone(200));
  EXPECT_GT(throughput({{"cards", {{"rtx-pro-6000-workstation", 6}}}}), base);
}

TEST_F(ExplorerOfPart1, NothingNamedIsThePlansPoint) {
  EXPECT_EQ(answer(Json::object()), question["base"]);
  EXPECT_EQ(answer({{"load", 24}, {"network_gbits", 200}, {"cards", {{"rtx-pro-6000-workstation", 3}}}}),
            question["base"]);
}

TEST_F(ExplorerOfPart1, TwoCardsDoNotHoldTheWeights) {
  const Json two = answer({{"cards", {{"rtx-pro-6000-workstation", 2}}}});
  EXPECT_TRUE(two["best"].is_null());
  EXPECT_NE(two["best_missing"].get<std::string>().find("GB of weights"), std::string::npos);
  EXPECT_EQ(two["planned_missing"], "it needs node-b/gpu0, which is not there");
}

TEST_F(ExplorerOfPart1, RefusesAPointThatCannotBe) {
  EXPECT_THROW(answer({{"watts", {{"rtx-pro-6000-workstation", 20}}}}), InputError);
  EXPECT_THROW(answer({{"cards", {{"rtx-pro-6000-workstation", 0}}}}), InputError);
  EXPECT_THROW(answer({{"cards", {{"h200-sxm", 1}}}}), InputError);
}

TEST_F(ExplorerOfPart1, HasNoAnswerWhereEstimatesAreOfSomethingElse) {
  const auto reason = [](const Json& changed) {
    return question_of(changed).at("unavailable").get<std::string>();
  };
  Json pools = plan, path = plan, bare = plan;
  pools["candidates"][0]["prefill"] = Json::object();
  EXPECT_EQ(reason(pools), "prefill and decode run apart here, and estimates are of one pool");
  path["scenario_document"]["model"]["name"] = "mine/config.json";
  EXPECT_EQ(reason(path), "the model is described by a file of its own, which is not in the page");
  bare.erase("scenario_document");
  EXPECT_EQ(reason(bare), "the plan was saved without its scenario");
  path["scenario_document"] = 7;
  EXPECT_FALSE(reason(path).empty());
  EXPECT_FALSE(reason({{"format", "sextant purchase"}}).empty());
  EXPECT_TRUE(explorer_question({{"format", "sextant sweep"}}).is_null());
}

TEST(Explorer, AnOpenLoopBeyondWhatIsServedHasNoFirstToken) {
  const Json question = question_of(planned("h200-node-70b"));
  Explorer explorer(question.at("open").at("question").dump());
  const Json served = Json::parse(explorer.answer(R"({"load": 0.5})")),
             beyond = Json::parse(explorer.answer(R"({"load": 1e6})"));
  EXPECT_GT(served["best"]["mean_ttft_ms"], 0);
  EXPECT_NEAR(served["best"]["request_throughput"], 0.5, 0.01);  // the estimate finds the batch by halving
  EXPECT_TRUE(beyond["best"]["mean_ttft_ms"].is_null());
  EXPECT_LT(beyond["best"]["request_throughput"], 1e6);
}

TEST(Explorer, FewerOfTheSlowerCardOfAMixture) {
  const Json question = question_of(planned("part4-max-q"));
  ASSERT_EQ(question["controls"]["cards"].size(), 2U);
  Explorer explorer(question.at("open").at("question").dump());
  // One Workstation card more in place of a Max-Q card, which has half its watts.
  const Json faster =
      Json::parse(explorer.answer(R"({"cards": {"rtx-pro-6000-max-q": 1, "rtx-pro-6000-workstation": 2}})"));
  EXPECT_GT(faster["best"]["output_throughput"], question["base"]["best"]["output_throughput"]);
}

}  // namespace
}  // namespace sextant
