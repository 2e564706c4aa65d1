#include "sim/planner/objective.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/choices.hpp"
#include "sim/planner/slo_floor.hpp"

namespace sextant {
namespace {

PlanOptions quick() {
  PlanOptions options;
  options.threads = 1;
  options.intervals = false;
  return options;
}

Candidate candidate(double throughput, double tpot, double joules) {
  Candidate c;
  c.metrics.arrived = c.metrics.finished = 100;
  c.metrics.output_throughput = throughput;
  c.metrics.tpot.mean = tpot;
  c.metrics.e2el.mean = 100 * tpot;
  c.energy = Energy{};
  c.energy->joules_per_output_token = joules;
  return c;
}

// The slower layout takes less energy: by energy it is first, by throughput last. What is not known is last.
TEST(Objective, RanksByItsOwnFigure) {
  const Candidate fast = candidate(1000, 20, 2), frugal = candidate(500, 20, 1);
  EXPECT_TRUE(ranks_before(Objective::throughput, fast, frugal));
  EXPECT_TRUE(ranks_before(Objective::energy, frugal, fast));
  Candidate unknown = frugal;
  unknown.energy.reset();
  EXPECT_TRUE(ranks_before(Objective::energy, fast, unknown));
  // An SLO that is missed counts for more than any figure.
  Candidate missing = frugal;
  missing.meets_slo = false;
  EXPECT_TRUE(ranks_before(Objective::energy, fast, missing));
}

// (throughput, TPOT): (1000, 30) and (800, 20) trade one for the other; (700, 25) is worse than the second in
// both; (1000, 35) equals the first in one and is worse in the other.
TEST(ParetoFront, KeepsWhatNothingBeats) {
  const std::vector<Candidate> all = {candidate(800, 20, 1), candidate(1000, 35, 1), candidate(700, 25, 1),
                                      candidate(1000, 30, 1)};
  const std::vector<FrontMeasure> measures = {{"output_throughput", true}, {"mean_tpot_ms", false}};
  EXPECT_EQ(pareto_front(all, measures), (std::vector<std::size_t>{3, 0}));
}

// One that misses the SLO is on no front as long as another meets it.
TEST(ParetoFront, IsOfThoseThatMeetTheSlo) {
  std::vector<Candidate> all = {candidate(800, 20, 1), candidate(1000, 10, 1)};
  all[1].meets_slo = false;
  const std::vector<FrontMeasure> measures = {{"output_throughput", true}, {"mean_tpot_ms", false}};
  EXPECT_EQ(pareto_front(all, measures), (std::vector<std::size_t>{0}));
  all[0].meets_slo = false;
  EXPECT_EQ(pareto_front(all, measures), (std::vector<std::size_t>{1}));
}

// 9.8123 up to three digits is 9.82, down 9.81; 120 has three already.
TEST(NearestBound, RoundsToWhatIsPossible) {
  EXPECT_EQ(nearest_bound({"p99_tpot_ms", true, 5}, 9.8123), "\"p99_tpot_ms\": \"<=9.82\"");
  EXPECT_EQ(nearest_bound({"goodput_fraction", false, 1}, 0.98123), "\"goodput_fraction\": \">=0.981\"");
  EXPECT_EQ(nearest_bound({"p99_ttft_ms", true, 5}, 120), "\"p99_ttft_ms\": \"<=120\"");
}

Scenario scenario_of(const std::string& search, const std::string& slo, const std::string& load) {
  return read_scenario(JsonValue::parse(
      R"({"name": "t", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 2}}]},
          "model": {"name": "llama-3.1-70b"}, "deployment": "search", "engine": {"max_model_len": 8192},
          "search": )" +
          search + R"(, "slo": )" + slo + R"(, "workload": {)" + load +
          R"(, "num_prompts": 60, "prompt": {"fixed": 300}, "output": {"fixed": 40}}})",
      "t.json"));
}

// 70.6e9 parameters in 16 bit are 141 GB: one of two H200 (150.8 GB, 90 % usable) does not hold them, in fp8
// it does. So fp8 may run as two replicas; both formats are told of.
TEST(Choices, EachFormatIsAChoice) {
  const Plan plan =
      make_plan(scenario_of(R"({"weights": ["bf16", "fp8"]})", "{}", R"("max_concurrency": 16)"), quick());
  ASSERT_EQ(plan.choices.size(), 2U);
  EXPECT_EQ(plan.choices[0].name, "weights bf16");
  EXPECT_EQ(plan.candidates.front().choice_name, "weights fp8");
  EXPECT_EQ(plan.choices[1].best, 0U);
  ASSERT_TRUE(plan.choices[0].best);
  EXPECT_EQ(plan.candidates[*plan.choices[0].best].layout.dp, 1);
  const Scenario answered =
      answered_scenario(scenario_of(R"({"weights": ["bf16", "fp8"]})", "{}", R"("max_concurrency": 16)"),
                        plan.candidates.front());
  EXPECT_EQ(answered.model.weights.name, "fp8");
}

// A token streams 70.6 GB of fp8 weights past two GPUs: 35.3 GB a GPU at no more than 4.8 TB/s is 7.4 ms. So
// 5 ms is impossible at any load, and the message says what is possible; it is no plan (exit code 3).
TEST(Floor, AnImpossibleSloNamesTheNearest) {
  for (const char* load : {R"("request_rate": "highest")", R"("request_rate": 1)"}) {
    try {
      make_plan(scenario_of(R"({"weights": ["fp8"]})", R"({"p99_tpot_ms": "<=5"})", load), quick());
      FAIL() << "5 ms a token was planned";
    } catch (const InfeasibleError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("p99_tpot_ms <=5 is impossible here: one user alone has"), std::string::npos)
          << text;
      EXPECT_NE(text.find("GB of weights a GPU at"), std::string::npos) << text;
      const std::size_t nearest = text.find("\"p99_tpot_ms\": \"<=");
      ASSERT_NE(nearest, std::string::npos) << text;
      EXPECT_GT(std::stod(text.substr(nearest + 18)), 7.4) << text;
    }
  }
}

// At 1,000 requests/s the SLO is missed, but not impossible: the plan stands, with what it misses.
TEST(Floor, AMissedSloIsStillAPlan) {
  const Plan plan = make_plan(
      scenario_of(R"({"weights": ["fp8"]})", R"({"p99_ttft_ms": "<=200"})", R"("request_rate": 1000)"),
      quick());
  EXPECT_FALSE(plan.candidates.front().meets_slo);
}

}  // namespace
}  // namespace sextant
