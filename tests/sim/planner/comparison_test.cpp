#include "sim/planner/comparison.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

PlanOptions few() {
  PlanOptions options;
  options.threads = 1;
  options.simulate_at_most = 4;
  return options;
}

/// A layout of that throughput, which GEMMs can make `factor` times slower or faster.
ErrorEffects layout(const std::string& name, double throughput, double factor,
                    const std::set<std::string>& sources) {
  ErrorEffects effects;
  effects.name = name;
  effects.nominal = {{"output_throughput", throughput}, {"mean_e2el_ms", 1000}, {"p99_tpot_ms", 40}};
  effects.families.push_back({"gemm",
                              sources,
                              {{"output_throughput", throughput / factor}, {"p99_tpot_ms", 40 * factor}},
                              {{"output_throughput", throughput * factor}, {"p99_tpot_ms", 40 / factor}}});
  return effects;
}

LayoutComparison by_throughput(const ErrorEffects& a, const ErrorEffects& b) {
  return compare(a, b, {}, "output_throughput", true);
}

// Both rest on the same GEMM to the same degree: whatever its true speed, 110 stays above 100.
TEST(Comparison, WhatBothShareCancels) {
  const LayoutComparison c =
      by_throughput(layout("a", 110, 1.3, {"x gemm/bf16"}), layout("b", 100, 1.3, {"x gemm/bf16"}));
  EXPECT_EQ(c.probability, 1);
  EXPECT_TRUE(c.parts.empty());
}

// Different GEMMs: the difference of ln is ln 1.1 = 0.0953, its deviation sqrt(2) x ln 1.3 / 1.645 = 0.2256:
// a normal distribution is above 0 with probability Phi(0.4225) = 0.6637. Draws within a percent are decided
// by latencies, which are equal here (0.5 each): no change to speak of. 20,000 draws err by 0.0034.
TEST(Comparison, IndependentErrorsGiveTheNormalProbability) {
  const LayoutComparison c =
      by_throughput(layout("a", 110, 1.3, {"x gemm/bf16"}), layout("b", 100, 1.3, {"x gemm/fp8"}));
  EXPECT_NEAR(c.probability, 0.6637, 0.015);
  ASSERT_EQ(c.parts.size(), 1U);
  EXPECT_EQ(c.parts[0].family, "gemm");
  EXPECT_NEAR(c.parts[0].share, 1, 1e-12);
  EXPECT_EQ(c.metric, "output_throughput");
}

// 40 ms may be up to 52 (90 %), the other's 55 as low as 42.3, with bound 50: a meets it with probability
// Phi(ln(50/40) x 1.645 / ln 1.3) = Phi(1.399) = 0.919, b with Phi(-0.0953 x 1.645 / 0.2624) = Phi(-0.5976) =
// 0.275. a wins where it alone meets: 0.919 x 0.725 = 0.666; b where it alone does: 0.081 x 0.275 = 0.022; in
// the rest (0.312) throughput decides, and a has twice as much as b: not always more, but almost.
TEST(Comparison, TheSloComesFirst) {
  ErrorEffects a = layout("a", 200, 1.3, {"x"}), b = layout("b", 100, 1.3, {"y"});
  b.nominal["p99_tpot_ms"] = 55;
  b.families[0].slow["p99_tpot_ms"] = 55 * 1.3;
  b.families[0].fast["p99_tpot_ms"] = 55 / 1.3;
  const LayoutComparison c = compare(a, b, {{"p99_tpot_ms", true, 50}}, "output_throughput", true);
  EXPECT_NEAR(c.probability, 0.975, 0.01);
  EXPECT_EQ(c.metric, "p99_tpot_ms");
}

// {link, link of 2 ranks} and {link, link of 4 ranks}: one of two parts is common, 1 / sqrt(2 x 2).
TEST(Comparison, SharedErrorIsTheShareOfCommonSources) {
  EXPECT_DOUBLE_EQ(shared_error({"nvlink", "2"}, {"nvlink", "4"}), 0.5);
  EXPECT_DOUBLE_EQ(shared_error({"a"}, {"a"}), 1);
  EXPECT_DOUBLE_EQ(shared_error({"a"}, {"b"}), 0);
  EXPECT_DOUBLE_EQ(shared_error({}, {"b"}), 0);
}

TEST(Comparison, OneThatRejectsLoses) {
  ErrorEffects a = layout("a", 100, 1.3, {"x"}), b = layout("b", 500, 1.3, {"y"});
  b.sound = false;
  EXPECT_EQ(by_throughput(a, b).probability, 1);
  EXPECT_EQ(by_throughput(b, a).probability, 0);
}

Scenario one_node(const std::string& weights) {
  return read_scenario(JsonValue::parse(
      R"({"name": "t", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}}]},
          "model": {"name": "llama-3.1-8b", "weights": ")" +
          weights + R"("}, "deployment": "search", "engine": {"max_model_len": 8192},
          "workload": {"max_concurrency": 64, "num_prompts": 200, "prompt": {"fixed": 300},
                       "output": {"fixed": 60}}})",
      "t.json"));
}

// The options are those of calibrate/measure/README.md.
TEST(MeasurementLine, IsALineToRun) {
  const Scenario scenario = one_node("bf16");
  const Layout two{2, 1, 1, {{{{0, 32}, {0, 1}}}}}, one{1, 1, 1, {{{{0, 32}, {0}}}}};
  const FamilyEffect bf16{"gemm", {"h200-sxm gemm/bf16"}, {}, {}}, fp8{"gemm", {"h200-sxm gemm/fp8"}, {}, {}};
  EXPECT_EQ(measurement_line({scenario, two, bf16}, {scenario, one, fp8}),
            "sextant-measure gpu --gpu h200-sxm --families gemm/bf16,gemm/fp8 -o h200-sxm.jsonl");
  const FamilyEffect rest{"what no operator covers", {"vllm-0.19"}, {}, {}};
  EXPECT_EQ(
      measurement_line({scenario, two, rest}, {scenario, one, rest}),
      "sextant-measure step --model llama-3.1-8b --weights bf16 --kv bf16 --tp 1,2 --pp 1 -o steps.jsonl");
  const FamilyEffect collective{"collective", {"nvlink4"}, {}, {}};
  EXPECT_EQ(measurement_line({scenario, two, collective}, {scenario, one, FamilyEffect{}}),
            "sextant-measure nccl all_reduce -b 1K -e 256M -f 2 -g 2 --output nccl.jsonl");
  // No kernel of ours times 4-bit GEMMs; the line says so instead of naming one that would be skipped.
  const FamilyEffect marlin{"gemm", {"h200-sxm gemm/w4a16"}, {}, {}};
  EXPECT_NE(measurement_line({scenario, two, marlin}, {scenario, one, marlin}).find("no verb"),
            std::string::npos);
}

// Alternatives of a purchase stand on clusters of their own. GPUs 0 to 3 are one node in the first and two
// nodes in the second, where a layout over all four needs the network; GPU 3 does not exist in the third.
TEST(MeasurementLine, ReadsEachLayoutOnItsOwnCluster) {
  const Scenario near = one_node("bf16");
  const auto nodes = [](const std::string& text) {
    return read_scenario(JsonValue::parse(
        R"({"name": "t", "cluster": {"nodes": [)" + text + R"(], "network": {"transport": "roce"}},
            "model": {"name": "llama-3.1-8b"}, "deployment": "search", "engine": {"max_model_len": 8192},
            "workload": {"max_concurrency": 64, "num_prompts": 200, "prompt": {"fixed": 300},
                         "output": {"fixed": 60}}})",
        "t.json"));
  };
  const std::string pair = R"("gpus": {"h200-sxm": 2}, "nic": "connectx-7-200")";
  const Scenario apart =
      nodes(R"({"node": "hgx", "name": "a", )" + pair + R"(}, {"node": "hgx", "name": "b", )" + pair + "}");
  const Scenario small = nodes(R"({"node": "hgx", "name": "a", )" + pair + "}");
  const auto over = [](const Scenario& scenario, int tp) {
    std::vector<int> gpus = scenario.cluster.gpus();
    gpus.resize(static_cast<std::size_t>(tp));
    return Layout{tp, 1, 1, {{{{0, 32}, gpus}}}};
  };
  const FamilyEffect collective{"collective", {"nvlink4"}, {}, {}};
  EXPECT_EQ(measurement_line({near, over(near, 4), collective}, {apart, over(apart, 4), collective}),
            "sextant-measure fabric --hosts hosts -o fabric.jsonl");
  EXPECT_EQ(measurement_line({small, over(small, 2), collective}, {near, over(near, 4), collective}),
            "sextant-measure nccl all_reduce -b 1K -e 256M -f 2 -g 4 --output nccl.jsonl");
}

// A whole plan says how sure it is. The same plan against itself in another split of the same parts is near
// certain or near even, never outside 0 .. 1; the parts are shares.
TEST(Comparison, PlansCompareTheBestWithTheNext) {
  const Plan plan = make_plan(one_node("bf16"), few());
  ASSERT_TRUE(plan.runner_up);
  EXPECT_GE(plan.runner_up->probability, 0.4);
  EXPECT_LE(plan.runner_up->probability, 1);
  double sum = 0;
  for (const UncertaintyPart& part : plan.runner_up->parts) sum += part.share;
  EXPECT_NEAR(sum, 1, 0.01);
  EXPECT_FALSE(plan.runner_up->settled_by.empty());
}

}  // namespace
}  // namespace sextant
