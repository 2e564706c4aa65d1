#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/launch/engine_words.hpp"
#include "tests/reports/example_plan.hpp"

namespace sextant {
namespace {

using testing::Contains;
using testing::Not;

// Without the option an engine takes the checkpoint's own format: what differs from it is said.
TEST(KvCacheDtype, IsThatOfThePlan) {
  Scenario scenario = test::example_scenario();
  const Layout layout = test::example_candidate().layout;
  const auto words = [&](ServingEngine engine) { return engine_words(engine, scenario, layout); };
  EXPECT_THAT(words(ServingEngine::vllm), Not(Contains("--kv-cache-dtype")));
  scenario.model.kv.name = "fp8";
  EXPECT_THAT(words(ServingEngine::vllm), Contains("fp8"));
  EXPECT_THAT(words(ServingEngine::sglang), Contains("fp8_e4m3"));
  scenario.model.architecture.quantisation = Quantisation{"fp8"};
  scenario.model.architecture.quantisation->kv = "fp8";
  EXPECT_THAT(words(ServingEngine::vllm), Contains("fp8"));
  scenario.model.kv.name = "bf16";
  for (const ServingEngine engine : {ServingEngine::vllm, ServingEngine::sglang})
    EXPECT_THAT(words(engine), Contains("bfloat16"));
}

}  // namespace
}  // namespace sextant
