#include "reports/launch/engine_words.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sextant {
namespace {

bool holds(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// vllm serve takes a switch, SGLang a degree (--ep-size); neither is said where experts are cut in width.
TEST(EngineWords, AskForExpertParallel) {
  Scenario scenario;
  scenario.model.kv = {"bf16", 2};
  Layout layout{4, 1, 1, {}};
  EXPECT_FALSE(holds(engine_words(ServingEngine::vllm, scenario, layout), "--enable-expert-parallel"));
  EXPECT_FALSE(holds(engine_words(ServingEngine::sglang, scenario, layout), "--ep-size"));
  layout.ep = 4;
  EXPECT_TRUE(holds(engine_words(ServingEngine::vllm, scenario, layout), "--enable-expert-parallel"));
  const std::vector<std::string> sglang = engine_words(ServingEngine::sglang, scenario, layout);
  const auto degree = std::find(sglang.begin(), sglang.end(), "--ep-size");
  ASSERT_TRUE(degree != sglang.end() && degree + 1 != sglang.end());
  EXPECT_EQ(*(degree + 1), "4");
}

}  // namespace
}  // namespace sextant
