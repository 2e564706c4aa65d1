// Mixture-of-experts models through the whole planner, with the test-only profiles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "models/base/error.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

Plan planned(const std::string& cluster, const std::string& model) {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  const std::string text = R"({"name": "experts", "cluster": {"nodes": [)" + cluster +
                           R"(]}, "model": {"name": ")" + model + R"("}, "deployment": "search",
      "workload": {"request_rate": 4, "num_prompts": 20, "prompt": {"fixed": 100}, "output": {"fixed": 10}}})";
  PlanOptions options;
  options.intervals = false;
  return make_plan(read_scenario(JsonValue::parse(text, "experts.json")), options);
}

// 32 layers stream all experts one token meets, 2 of 8: 2 x 352,321,536 B a layer on one H200 at 3200 GB/s =
// 7.05 ms, and 32 x 10 us; more where several tokens run.
TEST(Experts, ArePlannedAndCountedAsAFamily) {
  const Plan plan = planned(R"({"node": "hgx", "gpus": {"h200-sxm": 1}})", "mixtral-8x7b");
  const StageReport& stage = plan.candidates.front().stages.front();
  EXPECT_GT(stage.decode_families[Family::moe], 7.36e-3);
  EXPECT_EQ(plan.candidates.front().grade, Grade::assumed);
}

TEST(Experts, RuleALayoutOutWhereTheProfileLacksThem) {
  try {
    planned(R"({"node": "server-pcie", "gpus": {"rtx-pro-6000-server": 1}})", "qwen3-30b-a3b");
    FAIL() << "planned without a profile of routed experts";
  } catch (const InfeasibleError& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("profile rtx-pro-6000-server has no routed experts of type bf16/power_law"));
  }
}

}  // namespace
}  // namespace sextant
