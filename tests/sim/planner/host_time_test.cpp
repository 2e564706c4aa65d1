// The engine's own time at the ends of an interval.
#include <gtest/gtest.h>

#include "sim/planner/candidate.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

/// Microseconds that scheduling ten requests takes at this level of the host's time.
double host_us(const std::string& engine, double level) {
  const Scenario scenario = read_scenario(JsonValue::parse(
      R"({"name": "host", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h100-sxm": 1}}]},
          "model": {"name": "llama-3.1-8b"}, "deployment": {"tp": 1}, "engine": {"profile": ")" +
          engine + R"("}, "workload": {"max_concurrency": 1, "num_prompts": 1, "prompt": {"fixed": 10},
                                       "output": {"fixed": 10}, "seed": 1}})",
      "test.json"));
  const Machine machine(scenario.cluster, scenario.engine.profile);
  const SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
  const auto setups = replica_setups(context, fixed_layout(scenario, *scenario.deployment),
                                     CostLevel::only(Family::host, level));
  return static_cast<double>(setups.front().pipeline->host(10).ns) / 1000;
}

// vllm-0.19: 100 + 10 x 6 us, 0.1 to 2.4 times that. trtllm-1.0: nothing is exposed, 500 us a step at most,
// half of it half-way.
TEST(HostTime, WidensByAFactorOrFromNothing) {
  EXPECT_NEAR(host_us("vllm-0.19", 0), 160, 0.01);
  EXPECT_NEAR(host_us("vllm-0.19", 1), 160 * 2.4, 0.01);
  EXPECT_NEAR(host_us("vllm-0.19", -1), 16, 0.01);
  EXPECT_NEAR(host_us("trtllm-1.0", 0), 0, 0.01);
  EXPECT_NEAR(host_us("trtllm-1.0", 0.5), 250, 0.01);
  EXPECT_NEAR(host_us("trtllm-1.0", 1), 500, 0.01);
  EXPECT_NEAR(host_us("trtllm-1.0", -1), 0, 0.01);
}

}  // namespace
}  // namespace sextant
