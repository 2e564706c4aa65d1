#include "reports/plan_json.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/reports/example_plan.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

Json example_json() {
  return Json::parse(plan_json(test::example_scenario(), test::example_plan(), test::example_variants()));
}

TEST(PlanJson, CarriesFormatVersionAndSeed) {
  const Json json = example_json();
  EXPECT_EQ(json["format"], "sextant plan");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["seed"], 7);
  EXPECT_EQ(json["considered"], 21);
  EXPECT_EQ(json["candidates"].size(), 2U);
}

TEST(PlanJson, PlacesLayoutsByDeviceName) {
  const Json layout = example_json()["candidates"][0]["layout"];
  EXPECT_EQ(layout["split"], "63/63");
  EXPECT_EQ(layout["replicas"][0][1]["gpus"], Json({"node-b/gpu0"}));
  EXPECT_EQ(layout["replicas"][0][1]["layers"], Json({{"begin", 63}, {"end", 126}}));
}

TEST(PlanJson, CarriesMetricsByVllmNames) {
  const Json metrics = example_json()["candidates"][0]["metrics"];
  EXPECT_DOUBLE_EQ(metrics["p99_ttft_ms"], 3120.4);
  EXPECT_DOUBLE_EQ(metrics["output_throughput"], 349.9);
  EXPECT_EQ(metrics["finished"], 958);
  EXPECT_EQ(metrics["fingerprint"], "00c0ffee00c0ffee");
}

TEST(PlanJson, CarriesMemoryInBytes) {
  const Json budget = example_json()["candidates"][0]["stages"][0]["memory"]["budget_bytes"];
  EXPECT_DOUBLE_EQ(budget["weights"], 67.2e9);
  EXPECT_NEAR(budget["for_kv"].get<double>(), 22.7e9, 1);
}

TEST(PlanJson, VariantsHaveAPlanOrAReason) {
  const Json variants = example_json()["variants"];
  // The variant's own device names, from its stages.
  EXPECT_EQ(variants[0]["plan"]["candidates"][0]["layout"]["replicas"][0][1]["gpus"], Json({"node-b/gpu0"}));
  EXPECT_TRUE(variants[1]["plan"].is_null());
  EXPECT_EQ(variants[1]["infeasible"], "two-cards: no layout fits");
}

TEST(PlanJson, WhatIsNotFiniteIsNull) {
  Plan plan = test::example_plan();
  plan.candidates[0].metrics.ttft.p99 = std::numeric_limits<double>::infinity();
  const Json json = Json::parse(plan_json(test::example_scenario(), plan, {}));
  EXPECT_TRUE(json["candidates"][0]["metrics"]["p99_ttft_ms"].is_null());
}

TEST(PlanJson, SurvivesBytesThatAreNotUtf8) {
  Plan plan = test::example_plan();
  plan.scenario = "bad \xff name\n";
  const Json json = Json::parse(plan_json(test::example_scenario(), plan, {}));
  EXPECT_EQ(json["scenario"], "bad \ufffd name\n");
}

TEST(MetricsJson, CarriesEveryReplicationAndTheSpread) {
  SimulatedRun first{0, test::example_candidate()}, second{1, test::example_candidate()};
  first.candidate.metrics.output_throughput = 300;
  second.candidate.metrics.output_throughput = 400;
  const Json json = Json::parse(metrics_json(test::example_scenario(), {first, second}));
  EXPECT_EQ(json["format"], "sextant metrics");
  EXPECT_EQ(json["replications"][1]["replication"], 1);
  // Mean 350; deviation of the sample sqrt((50^2 + 50^2) / 1) = 70.71.
  const Json spread = json["spread"]["output_throughput"];
  EXPECT_DOUBLE_EQ(spread["mean"], 350);
  EXPECT_NEAR(spread["deviation"].get<double>(), 70.7107, 1e-4);
  // Student's t for one degree of freedom at 97.5 % is 12.706; the mean's deviation is 70.71 / sqrt(2) = 50.
  EXPECT_NEAR(spread["margin_95"].get<double>(), 12.706 * 50, 0.05);
  EXPECT_DOUBLE_EQ(spread["low"], 300);
  EXPECT_DOUBLE_EQ(spread["high"], 400);
}

TEST(PlanCsv, HasOneRowPerCandidateAndAsManyFieldsAsItsHeader) {
  Plan plan = test::example_plan();
  plan.candidates[0].missed.clear();
  plan.candidates[1].missed = {"a, \"quoted\" one"};
  std::istringstream csv(plan_csv(test::example_scenario(), plan));
  std::string header, first, second, rest;
  std::getline(csv, header);
  std::getline(csv, first);
  std::getline(csv, second);
  EXPECT_FALSE(std::getline(csv, rest));
  // The example's GPUs are "node-a/gpu0, node-b/gpu0": quoted, with one comma inside.
  EXPECT_EQ(std::count(first.begin(), first.end(), ','), std::count(header.begin(), header.end(), ',') + 1);
  EXPECT_TRUE(header.starts_with("rank,tp,pp,dp,ep,split,gpus,"));
  EXPECT_TRUE(first.starts_with("1,1,2,1,1,63/63,\"node-a/gpu0, node-b/gpu0\",131952,"));
  EXPECT_NE(second.find("\"a, \"\"quoted\"\" one\""), std::string::npos);
}

// A missed bound that carries ESC (byte 1b), as from a scenario's own names, does not reach the terminal raw.
TEST(PlanCsv, EscapesWhatSteersATerminal) {
  Plan plan = test::example_plan();
  plan.candidates[0].missed = {"a\x1b[31m"};
  const std::string csv = plan_csv(test::example_scenario(), plan);
  EXPECT_EQ(csv.find('\x1b'), std::string::npos);
  EXPECT_NE(csv.find("a\\x1b[31m"), std::string::npos);
}

// No sample is no number: null, where 0 would read as a perfect latency.
TEST(PlanJson, MetricWithoutSamplesIsNull) {
  Plan plan = test::example_plan();
  plan.candidates[0].metrics.tpot.p99 = std::numeric_limits<double>::quiet_NaN();
  const std::string json = plan_json(test::example_scenario(), plan, {});
  EXPECT_NE(json.find("\"p99_tpot_ms\": null"), std::string::npos);
}

}  // namespace
}  // namespace sextant
