#include "reports/plan_text.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "reports/terminal.hpp"
#include "tests/reports/example_plan.hpp"
#include "tests/reports/text_search.hpp"

namespace sextant {
namespace {

std::string example_text(TextStyle style = {}) {
  return plan_text(test::example_scenario(), test::example_plan(), test::example_variants(), style);
}

using test::says;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The first line that starts, after its indent, with `start`.
std::string line_with(const std::string& text, const std::string& start) {
  for (const std::string& line : lines_of(text)) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos && line.compare(first, start.size(), start) == 0) return line;
  }
  return "";
}

// Both runs of an interval have the same requests, so it is the model's error and nothing else.
TEST(PlanText, IntervalIsNamedModelError) {
  const std::string text = plan_text(test::example_scenario(), test::example_plan(), {}, {});
  EXPECT_NE(text.find("model error"), std::string::npos);
  EXPECT_EQ(text.find("interval"), std::string::npos);
}

TEST(PlanText, AnswersBeforeItExplains) {
  const std::string text = example_text();
  const std::size_t answer = text.find("run tp 1 x pp 2 x dp 1, layers 63/63");
  ASSERT_NE(answer, std::string::npos);
  EXPECT_LT(answer, text.find("Stages"));
  EXPECT_TRUE(contains(text, "stage 1: layers 63-125 on node-b/gpu0"));
  EXPECT_TRUE(contains(text, "the weakest figure used is scaled"));
}

TEST(PlanText, JudgesEachBound) {
  const std::string text = example_text();
  // 3120 > 2000 and so is all of 2700 .. 3500: certainly not met.
  EXPECT_TRUE(says(line_with(text, "P99 TTFT (ms)"), "3,120 2,700 .. 3,500 <= 2,000 no"));
  // 349.9 >= 300, but the interval begins at 290.
  EXPECT_TRUE(says(line_with(text, "Output token throughput"), "350 290 .. 401 >= 300 yes, not certain"));
  // A metric that only the SLO names, without an interval: 71,000 <= 90,000.
  EXPECT_TRUE(says(line_with(text, "P90 E2EL (ms)"), "<= 90,000 yes"));
  EXPECT_TRUE(contains(text, "SLO: not met\n    p99_ttft_ms is 3120.4, bound <=2000\n"));
}

TEST(PlanText, MemoryAddsUp) {
  // 92.4 - 67.2 - 1 - 0.5 - 0.25 - 0.75 = 22.7
  EXPECT_TRUE(says(example_text(), "0 102.6 92.4 67.2 1.0 0.50 0.25 0.75 22.7 1"));
}

TEST(PlanText, SaysWhereADecodePassGoes) {
  // Both stages: gemm 45 of 60 ms = 75 %.
  EXPECT_TRUE(says(line_with(example_text(), "share %"), "share % 75 25 100"));
}

TEST(PlanText, ShowsHopsWithTheirBytes) {
  // 32 and 2,048 tokens of 64 KiB.
  const std::string line = line_with(example_text(), "0 -> 1");
  EXPECT_TRUE(contains(line, "RoCE 200 Gbit/s, GPUDirect"));
  EXPECT_TRUE(contains(line, "2.10 MB"));
  EXPECT_TRUE(contains(line, "134 MB"));
}

// Up to eight rejections stand each for itself; of more, those that differ in numbers only share a line.
TEST(PlanText, GroupsManyRejectionsThatDifferByNumbersOnly) {
  EXPECT_TRUE(contains(example_text(), "- tp 5: 128 attention heads are not divisible by 5\n"));
  EXPECT_TRUE(contains(example_text(), "the GPU has 102.6 (111.1 GB short on the worst GPU)"));
  Plan plan = test::example_plan();
  for (const int tp : {6, 7, 9, 10, 11, 12})
    plan.rejections.push_back(
        {"tp " + std::to_string(tp), "128 attention heads are not divisible by " + std::to_string(tp), 0});
  const std::string text = plan_text(test::example_scenario(), plan, {}, {});
  EXPECT_TRUE(says(text, "tp 3: 128 attention heads are not divisible by 3; likewise tp 5, tp 6, tp 7"));
}

// P99 TTFT's interval ends at 3,500: a bound of 3,200 is met by the figure of 3,120 and not for certain, one
// of 4,000 is met at either end.
TEST(PlanText, SaysWhetherTheSloIsMetForCertain) {
  Plan plan = test::example_plan();
  plan.candidates.front().meets_slo = true;
  plan.candidates.front().missed.clear();
  Scenario scenario = test::example_scenario();
  scenario.slo = {{"p99_ttft_ms", true, 3200}};
  EXPECT_TRUE(contains(plan_text(scenario, plan, {}, {}), "SLO: met as predicted, not for certain"));
  scenario.slo = {{"p99_ttft_ms", true, 4000}};
  EXPECT_TRUE(contains(plan_text(scenario, plan, {}, {}), "SLO: met\n"));
}

TEST(PlanText, SetsVariantsAgainstTheBase) {
  const std::string text = example_text();
  EXPECT_TRUE(contains(line_with(text, "400G"), "+10.0 %"));
  EXPECT_TRUE(
      contains(text, "- 400G (cluster.nodes[*].nic = connectx-7-400): nothing anyone would notice\n"));
  EXPECT_TRUE(contains(line_with(text, "one card"), "no layout fits"));
}

TEST(PlanText, CanBeReproduced) {
  EXPECT_TRUE(says(example_text(), "seed 7, 21 layouts considered, 2 simulated"));
  EXPECT_TRUE(says(example_text(), "123,456 events, fingerprint 00c0ffee00c0ffee"));
}

TEST(PlanText, FitsAHundredColumnsAndIsAscii) {
  for (const std::string& line : lines_of(example_text())) {
    EXPECT_LE(display_width(line), 100U) << line;
    EXPECT_FALSE(line.ends_with(" ")) << line;
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << line;
  }
}

TEST(PlanText, FitsWithManyStagesOfManyGpus) {
  Plan plan = test::example_plan();
  Candidate& best = plan.candidates.front();
  best.layout = {8, 16, 2, {}};
  best.layout.replicas.assign(2, {});
  best.stages.clear();
  for (int s = 0; s < 16; ++s) {
    for (auto& replica : best.layout.replicas)
      replica.push_back({{8 * s, 8 * s + 8}, {0, 1, 0, 1, 0, 1, 0, 1}});
    best.stages.push_back(test::example_stage({8 * s, 8 * s + 8}, "node-a/gpu0", s < 15 ? "RoCE" : ""));
    best.stages.back().gpus.assign(8, "node-a/gpu0");
  }
  plan.candidates.push_back(best);
  const std::string text = plan_text(test::example_scenario(), plan, {});
  EXPECT_TRUE(contains(text, "and 16 more stages"));
  for (const std::string& line : lines_of(text)) EXPECT_LE(display_width(line), 100U) << line;
}

TEST(PlanText, ColoursOnlyWhenAsked) {
  EXPECT_FALSE(contains(example_text(), "\x1b"));
  EXPECT_TRUE(contains(example_text({true, 100}), "\x1b[31mSLO: not met\x1b[0m"));
}

TEST(PlanText, HostileNamesCannotSteerTheTerminal) {
  const std::string hostile =
      "\x1b[2J\r\n\x9b"
      "31m" +
      std::string(10000, 'A');
  Scenario scenario = test::example_scenario();
  Plan plan = test::example_plan();
  std::vector<VariantResult> variants = test::example_variants();
  scenario.name = scenario.description = plan.scenario = hostile;
  scenario.model.architecture.name = hostile;
  scenario.workload.trace = hostile;
  for (Device& device : scenario.cluster.devices) device.name = device.model = hostile;
  plan.reasons = {hostile};
  plan.rejections = {{hostile, hostile, 1}};
  Candidate& best = plan.candidates.front();
  best.missed = {hostile};
  best.stages.front().gpu = best.stages.front().hop = hostile;
  best.metrics.fingerprint = hostile;
  for (VariantResult& variant : variants) {
    variant.name = variant.verdict = variant.infeasible = hostile;
    variant.changes = {hostile};
  }
  const std::string text = plan_text(scenario, plan, variants);
  for (const std::string& line : lines_of(text)) {
    EXPECT_LE(display_width(line), 100U) << line;
    for (const char c : line) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << line;
    EXPECT_FALSE(contains(line, "\x9b")) << line;
  }
  EXPECT_LT(text.size(), 60000U);
}

TEST(PlanText, SaysThatNothingWasSimulated) {
  EXPECT_TRUE(contains(plan_text(test::example_scenario(), Plan{}, {}), "no layout was simulated"));
}

}  // namespace
}  // namespace sextant
