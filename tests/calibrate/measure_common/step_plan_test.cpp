#include "calibrate/measure/common/step_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

std::vector<int> sizes(int layers, int stages) {
  std::vector<int> found;
  for (const LayerRange& range : stage_layers(layers, stages)) found.push_back(range.size());
  return found;
}

TEST(StageLayers, RemainderGoesBeforeTheLastStage) {
  // vLLM's get_pp_indices: 126 = 4 x 31 + 2, and the two left over go to the third and the second stage.
  EXPECT_EQ(sizes(126, 4), (std::vector<int>{31, 32, 32, 31}));
  EXPECT_EQ(sizes(80, 1), (std::vector<int>{80}));
  EXPECT_EQ(sizes(7, 2), (std::vector<int>{4, 3}));
}

TEST(StepPlans, UsualLayoutsUseExactlyTheGpusThereAre) {
  for (const int gpus : {1, 2, 4})
    for (const StepPlan& plan : step_plans({}, gpus))
      EXPECT_EQ(plan.layout.gpus(), gpus) << plan.layout.text();
  const std::vector<StepPlan> four = step_plans({}, 4);
  const auto has = [&](const StepLayout& layout) {
    return std::any_of(four.begin(), four.end(), [&](const StepPlan& plan) { return plan.layout == layout; });
  };
  EXPECT_TRUE(has({"llama-3.1-405b", "fp8", "bf16", 2, 2}));
  EXPECT_TRUE(has({"llama-3.1-70b", "bf16", "bf16", 1, 4}));
}

TEST(StepPlans, OnlyWhatFitsTheGpusAndIsAsked) {
  StepPlanOptions asked;
  asked.models = {"llama-3.1-8b"};
  asked.weights = {"bf16"};
  asked.kv = {"bf16"};
  asked.tp = {1, 2, 4};
  asked.phases = {"decode"};
  asked.batches = {1, 32};
  asked.contexts = {512};
  const std::vector<StepPlan> plans = step_plans(asked, 2);
  ASSERT_EQ(plans.size(), 2U);  // tp 4 needs more GPUs
  EXPECT_EQ(plans[0].cases.size(), 2U);
  asked.models = {"llama-3.1-9b"};
  EXPECT_THROW(step_plans(asked, 2), InputError);
  asked.models = {"llama-3.1-8b"};
  asked.phases = {"decoding"};
  EXPECT_THROW(step_plans(asked, 2), InputError);
}

// Of tp 1, 2, 4 and ep 1, 2, 4 those are left in which ep is 1 or tp: 1/1, 2/1, 2/2, 4/1, 4/4.
TEST(StepPlans, ExpertsWholeOnEachGpu) {
  StepPlanOptions asked;
  asked.models = {"qwen3-30b-a3b"};
  asked.weights = asked.kv = {"bf16"};
  asked.tp = asked.ep = {1, 2, 4};
  std::vector<std::pair<int, int>> found;
  for (const StepPlan& plan : step_plans(asked, 4)) found.emplace_back(plan.layout.tp, plan.layout.ep);
  EXPECT_EQ(found, (std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {2, 2}, {4, 1}, {4, 4}}));
  const StepLayout layout{"qwen3-30b-a3b", "bf16", "bf16", 4, 1, 4};
  EXPECT_EQ(layout.text(), "qwen3-30b-a3b bf16 tp 4 pp 1 ep 4");
  EXPECT_EQ(step_row(layout, {}).ep, 4);
}

TEST(StepPlans, RefusesExpertsThatCannotBeDivided) {
  const auto message = [](const char* model, std::int64_t tp, std::int64_t ep) {
    StepPlanOptions asked;
    asked.models = {model};
    asked.weights = asked.kv = {"bf16"};
    asked.tp = {tp};
    asked.ep = {ep};
    try {
      step_plans(asked, 8);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message("qwen3-30b-a3b", 4, 2), "--ep: found 2, expected 1 or one of --tp, 4");
  EXPECT_EQ(message("llama-3.1-8b", 4, 4),
            "--ep: found 4 for llama-3.1-8b, which has layers without experts, expected 1");
  EXPECT_EQ(message("mixtral-8x7b", 3, 3), "--ep: found 3, expected a divisor of mixtral-8x7b's 8 experts");
}

TEST(StepRow, KeysOfACase) {
  const StepRow row = step_row({"llama-3.1-8b", "bf16", "fp8", 2, 4}, {true, 3, 512, 4});
  EXPECT_EQ(row.phase, "prefill");
  EXPECT_EQ(row.kv, "fp8");
  EXPECT_EQ(row.microbatches, 4);
  EXPECT_EQ(row.batch, 3);
}

}  // namespace
}  // namespace sextant::measure
