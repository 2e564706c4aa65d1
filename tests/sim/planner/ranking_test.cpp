#include <gtest/gtest.h>

#include <limits>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

Candidate candidate(double throughput, std::int64_t rejected = 0) {
  Candidate c;
  c.metrics.arrived = 100;
  c.metrics.finished = 100 - rejected;
  c.metrics.rejected = rejected;
  c.metrics.output_throughput = throughput;
  c.metrics.e2el.mean = 1000;
  return c;
}

// Ten times the throughput does not make up for a layout that vLLM refuses to start, that turns a request
// away, or that misses the SLO; of two that miss it, the one that serves everyone is first.
TEST(Ranking, StartsAndServesFirst) {
  const Candidate slow = candidate(10);
  Candidate unstartable = candidate(100), missing = candidate(100);
  unstartable.startable = false;
  missing.meets_slo = false;
  const Candidate rejecting = candidate(100, 1);
  for (const Candidate& other : {unstartable, rejecting, missing}) {
    EXPECT_TRUE(ranks_before(slow, other));
    EXPECT_FALSE(ranks_before(other, slow));
  }
  EXPECT_TRUE(ranks_before(missing, rejecting));
  EXPECT_TRUE(ranks_before(candidate(11), slow));
}

// Classes of a percent: ln 100 / ln 1.01 = 462.8 and ln 100.1 / ln 1.01 = 462.9 are one class, so 900 ms of
// mean latency rank before 1,000. Where nothing finished, the mean is not a number, and an order there must
// still be.
TEST(Ranking, LatencyDecidesBetweenEquals) {
  Candidate quick = candidate(100);
  quick.metrics.e2el.mean = 900;
  EXPECT_TRUE(ranks_before(quick, candidate(100.1)));
  Candidate none = candidate(0, 100);
  none.metrics.e2el.mean = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(ranks_before(none, none));
}

Scenario with_slo(const std::string& slo, const std::string& prompt, const std::string& output) {
  return read_scenario(JsonValue::parse(R"({"name": "t",
    "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 1}}]}, "model": {"name": "llama-3.1-8b"},
    "deployment": "search", "engine": {"max_model_len": 8192}, "slo": )" +
                                            slo + R"(,
    "workload": {"request_rate": 1, "num_prompts": 20, "prompt": )" +
                                            prompt + R"(, "output": )" + output + "}}",
                                        "t.json"));
}

// One rejected request misses an SLO whose bounds are met; so does a bound on a metric that has no sample, as
// the TPOT of outputs of one token.
TEST(Slo, RejectionsAndMissingSamplesMissIt) {
  const Scenario s = with_slo(R"({"p99_ttft_ms": "<=1000000", "p99_tpot_ms": "<=50"})", R"({"fixed": 10})",
                              R"({"fixed": 1})");
  Candidate c = candidate(10, 1);
  c.metrics.ttft.p99 = 5;
  c.metrics.tpot.p99 = std::numeric_limits<double>::quiet_NaN();
  judge_slo(s, c);
  EXPECT_FALSE(c.meets_slo);
  EXPECT_EQ(c.missed, (std::vector<std::string>{"1 of 100 requests are rejected, bound 0",
                                                "p99_tpot_ms has no sample, bound <=50"}));
  c = candidate(10);
  c.metrics.ttft.p99 = c.metrics.tpot.p99 = 5;
  judge_slo(s, c);
  EXPECT_TRUE(c.meets_slo);
}

// Prompts of 9,000 tokens against max_model_len 8,192: every request is rejected, and that is no plan (exit
// code 3).
TEST(Plan, ServingNobodyIsNoPlan) {
  const Scenario s = with_slo("{}", R"({"fixed": 9000})", R"({"fixed": 10})");
  try {
    make_plan(s);
    FAIL() << "all requests are rejected";
  } catch (const InfeasibleError& error) {
    EXPECT_NE(
        std::string(error.what()).find("t: no layout serves a request; tp 1 x pp 1 x dp 1 rejects all 20"),
        std::string::npos)
        << error.what();
  }
}

// 131,072 tokens of 131,072 B (32 layers x 8 heads x 128 x 2 x 2 B) are 17.2 GB. An L40S of 48.3 GB leaves
// 0.9 x 48.3
// - 16.1 of weights - 2 to 3 beside them, some 25 GB: it starts. 0.45 of it leaves some 3 GB: it does not.
TEST(Plan, SaysWhichLayoutsWouldNotStart) {
  const auto startable = [](const std::string& share) {
    const Scenario s = read_scenario(JsonValue::parse(R"({"name": "t",
      "cluster": {"nodes": [{"node": "server-pcie", "gpus": {"l40s": 1}}]}, "model": {"name": "llama-3.1-8b"},
      "deployment": {"tp": 1}, "engine": {"gpu_memory_utilization": )" +
                                                          share + R"(},
      "workload": {"request_rate": 1, "num_prompts": 5, "prompt": {"fixed": 100}, "output": {"fixed": 10}}})",
                                                      "t.json"));
    PlanOptions options;
    options.intervals = false;
    return make_plan(s, options).candidates.front().startable;
  };
  EXPECT_TRUE(startable("0.9"));
  EXPECT_FALSE(startable("0.45"));
}

}  // namespace
}  // namespace sextant
