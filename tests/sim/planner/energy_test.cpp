#include "sim/planner/energy.hpp"

#include <gtest/gtest.h>

#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

Candidate simulated(const std::string& gpus, const std::string& more = "") {
  PlanOptions options;
  options.intervals = false;
  return make_plan(
             read_scenario(JsonValue::parse(R"({"name": "energy", "cluster": {"nodes": [{"node": )" + gpus +
                                                R"(}]}, "model": {"name": "llama-3.1-8b"},
    "deployment": {"tp": 1, "dp": 2}, "engine": {"max_model_len": 4096},
    "workload": {"max_concurrency": 8, "num_prompts": 32, "prompt": {"fixed": 512}, "output": {"fixed": 64}})" +
                                                more + "}",
                                            "test.json")),
             options)
      .candidates.front();
}

// No power model of an H200: 2 x 700 W throughout, said to be an upper bound.
TEST(Energy, WithoutAModelTheLimitIsAnUpperBound) {
  const Candidate c = simulated(R"("hgx", "gpus": {"h200-sxm": 2})");
  ASSERT_TRUE(c.energy);
  EXPECT_TRUE(c.energy->upper_bound);
  EXPECT_DOUBLE_EQ(c.energy->gpu_watts, 1400);
  EXPECT_NEAR(c.energy->joules_per_output_token, 1400 / c.metrics.output_throughput, 1e-12);
  EXPECT_EQ(c.energy->grade, Grade::datasheet);
  EXPECT_EQ(c.energy->basis, "no power model of h200-sxm: the card's power limit throughout");
}

// Two cards that are never idle for long: each draws more than the 50 W of waiting and at most its limit.
// Under 250 W instead of 600 they are slower, but a token takes less energy.
TEST(Energy, LimitedCardsDrawLessForAToken) {
  const Candidate free = simulated(R"("workstation", "gpus": {"rtx-pro-6000-workstation": 2})");
  const Candidate limited = simulated(
      R"("workstation", "gpus": {"rtx-pro-6000-workstation": {"count": 2, "power_limit_watts": 250}})");
  ASSERT_TRUE(free.energy && limited.energy);
  EXPECT_FALSE(free.energy->upper_bound);
  EXPECT_GT(limited.energy->gpu_watts, 100);
  EXPECT_LE(limited.energy->gpu_watts, 500);
  EXPECT_GT(free.energy->gpu_watts, 500);
  EXPECT_LT(limited.metrics.output_throughput, free.metrics.output_throughput);
  EXPECT_LT(limited.energy->joules_per_output_token, free.energy->joules_per_output_token);
}

// 0.5 USD/kWh and no watts of the user's own: 1.4 kW for an hour cost 0.7 USD.
TEST(Energy, ElectricityPaysForPredictedWatts) {
  const Candidate c = simulated(R"("hgx", "gpus": {"h200-sxm": 2})",
                                R"(, "economics": {"capital_usd": 0, "electricity_usd_per_kwh": 0.5})");
  EXPECT_NEAR(c.usd_per_million_output_tokens.value(), 0.7 / (c.metrics.output_throughput * 3600) * 1e6,
              1e-9);
}

// Under different limits two equal cards are two kinds: a plan tries both orders.
TEST(Energy, LimitsMakeKinds) {
  const Scenario scenario = read_scenario(JsonValue::parse(R"({"name": "kinds", "cluster": {"nodes": [
      {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"},
      {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": {"count": 1, "power_limit_watts": 300}},
       "nic": "connectx-7-200"}]},
    "model": {"name": "llama-3.1-8b"}, "deployment": {"pp": 2}, "engine": {"max_model_len": 4096},
    "workload": {"max_concurrency": 4, "num_prompts": 8, "prompt": {"fixed": 512}, "output": {"fixed": 32}}})",
                                                           "test.json"));
  EXPECT_EQ(scenario.cluster.kinds(scenario.cluster.gpus()),
            "rtx-pro-6000-workstation + rtx-pro-6000-workstation at 300 W");
  PlanOptions options;
  options.intervals = false;
  const Candidate c = make_plan(scenario, options).candidates.front();
  EXPECT_GT(c.stages[1].chunk_pass_ms, 1.2 * c.stages[0].chunk_pass_ms) << "the same layers, fewer watts";
}

}  // namespace
}  // namespace sextant
