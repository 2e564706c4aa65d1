// Intervals of metrics from runs with one family of operators at either end.
#include <gtest/gtest.h>

#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

struct Question {
  Scenario scenario = read_scenario(JsonValue::parse(
      R"({"name": "ends", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h100-sxm": 1}}]},
          "model": {"name": "llama-3.1-8b"}, "deployment": {"tp": 1}, "slo": {"goodput": "ttft:2000"},
          "workload": {"max_concurrency": 4, "num_prompts": 16, "prompt": {"fixed": 100}, "output": {"fixed": 10},
                       "seed": 1}})",
      "test.json"));
  Machine machine{scenario.cluster, scenario.engine.profile};
  SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
};

/// Metrics of a run, all alike but for these three.
std::vector<std::pair<std::string, double>> run(double throughput, double goodput, double p99_ttft) {
  return {{"request_throughput", throughput}, {"request_goodput", goodput}, {"p99_ttft_ms", p99_ttft}};
}

/// The intervals of a candidate whose run lies between these two.
MetricIntervals between(const Question& question, const std::vector<std::pair<std::string, double>>& slow,
                        const std::vector<std::pair<std::string, double>>& fast) {
  Candidate candidate;
  candidate.metrics.request_throughput = 10;
  candidate.metrics.request_goodput = 9;
  candidate.metrics.ttft.p99 = 100;
  PerturbedRuns runs;
  runs.families = {"gemm"};
  const auto placed = [&](const std::vector<std::pair<std::string, double>>& values) {
    auto all = named_metrics(candidate.metrics);
    for (auto& [name, value] : all)
      for (const auto& [changed, to] : values)
        if (name == changed) value = to;
    return all;
  };
  runs.metrics = {placed(slow), placed(fast)};
  return metric_intervals(question.context, candidate, runs);
}

// Goodput of 9 rises to 12 on the fast side, where 11 requests/s are served in all: not more than 11 are
// good.
TEST(MetricIntervals, NoMoreRequestsAreGoodThanServed) {
  const Question question;
  const MetricIntervals ends = between(question, run(9, 6, 100), run(11, 12, 100));
  EXPECT_NEAR(ends.intervals.at("request_throughput").high, 11, 1e-9);
  EXPECT_NEAR(ends.intervals.at("request_goodput").high, 11, 1e-9);
  EXPECT_NEAR(ends.intervals.at("request_goodput").low, 6, 1e-9);
}

// No run is slower, yet the profile's 60 ms of late first tokens stand above a p99 of 100 ms, and nothing
// below.
TEST(MetricIntervals, FirstTokensMayBeLate) {
  const Question question;
  EXPECT_DOUBLE_EQ(question.machine.engine().late_first_token_ms.value, 60);
  const Interval p99 = between(question, run(10, 9, 100), run(10, 9, 100)).intervals.at("p99_ttft_ms");
  EXPECT_NEAR(p99.low, 100, 1e-9);
  EXPECT_NEAR(p99.high, 160, 1e-9);
}

}  // namespace
}  // namespace sextant
