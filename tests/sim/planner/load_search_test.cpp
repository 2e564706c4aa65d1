#include "sim/planner/load_search.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/choices.hpp"

namespace sextant {
namespace {

PlanOptions quick() {
  PlanOptions options;
  options.threads = 1;
  options.intervals = false;
  return options;
}

const std::vector<ServiceLevel> p99_at_most_100 = {{"p99_ttft_ms", true, 100}};

ServingMetrics with_p99(double ttft_ms) {
  ServingMetrics metrics;
  metrics.arrived = metrics.finished = 1000;
  metrics.ttft.p99 = ttft_ms;
  return metrics;
}

/// Latency that grows with the load and spreads over replications: 10 x load, +-`spread` by turns.
RunAtLoad grows(double spread) {
  return [spread](double load, std::uint64_t replication) {
    return with_p99(10 * load + (replication % 2 == 0 ? spread : -spread));
  };
}

// Three runs of 60 + 3, 60 - 3, 60 + 3: mean 61, deviation sqrt((4 + 16 + 4) / 2) = 3.464, t(2) = 4.303: a
// margin of 4.303 x 3.464 / sqrt(3) = 8.61, so 52.4 .. 69.6, below 100.
TEST(LoadProbe, StudentsIntervalBelowTheBoundHolds) {
  const LoadProbe probe = probe_load(p99_at_most_100, grows(3), 6, {});
  EXPECT_EQ(probe.verdict, LoadVerdict::sustained);
  EXPECT_EQ(probe.replications, 3);
  ASSERT_EQ(probe.metrics.size(), 1U);
  EXPECT_NEAR(probe.metrics[0].mean, 61, 1e-9);
  EXPECT_NEAR(probe.metrics[0].high, 69.61, 0.01);
  EXPECT_EQ(probe.stopped, "the intervals tell");
}

// 1,000 requests at 50/s arrive within 20 s; one takes 8 s: 2.5 times, and 3 are 24 s of 50/s, 1,200
// requests. At 40/s they are 25 s. Where the bound is missed already, more requests would not mend it.
TEST(LoadProbe, TooFewRequestsDoNotTellThatALoadHolds) {
  const auto run = [](double p99) {
    return RunAtLoad([p99](double, std::uint64_t) {
      ServingMetrics metrics = with_p99(p99);
      metrics.e2el.mean = 8000;
      return metrics;
    });
  };
  const LoadProbe few = probe_load(p99_at_most_100, run(60), 50, {});
  EXPECT_EQ(few.verdict, LoadVerdict::indeterminate);
  EXPECT_EQ(
      few.stopped,
      "1000 requests are too few to tell, expected num_prompts of 1200 or more: 3 times what is under way at "
      "once");
  EXPECT_EQ(probe_load(p99_at_most_100, run(60), 40, {}).verdict, LoadVerdict::sustained);
  EXPECT_EQ(probe_load(p99_at_most_100, run(160), 50, {}).verdict, LoadVerdict::not_sustained);
}

// At a load of 10 the runs are 105 and 95 by turns: no number of them separates their mean from 100.
TEST(LoadProbe, IntervalOverTheBoundIsIndeterminate) {
  const LoadProbe probe = probe_load(p99_at_most_100, grows(5), 10, {});
  EXPECT_EQ(probe.verdict, LoadVerdict::indeterminate);
  EXPECT_EQ(probe.replications, 12);
  EXPECT_NE(probe.stopped.find("spans its bound"), std::string::npos);
}

// An overloaded run is a failed probe, whatever its latencies, and no other run is needed.
TEST(LoadProbe, OverloadFailsAtOnce) {
  const RunAtLoad run = [](double, std::uint64_t) {
    ServingMetrics metrics = with_p99(1);
    metrics.overloaded = true;
    metrics.overload.arrival_rate = 4;
    metrics.overload.capacity = 3;
    return metrics;
  };
  const LoadProbe probe = probe_load(p99_at_most_100, run, 4, {});
  EXPECT_EQ(probe.verdict, LoadVerdict::not_sustained);
  EXPECT_EQ(probe.replications, 1);
  EXPECT_EQ(probe.stopped, "overloaded: 4 requests/s arrive and 3 are served");
}

// Goodput of 0.99 in each of three runs of 1,000: Student's interval has no width, Wilson's over 3,000
// requests is (0.99 + 3.841 / 6000 -+ 1.96 sqrt(0.99 x 0.01 / 3000 + 3.841 / 3.6e7)) / (1 + 3.841 / 3000) =
// 0.98578 .. 0.99298, which spans the bound.
TEST(LoadProbe, GoodputHasABinomialInterval) {
  const RunAtLoad run = [](double, std::uint64_t) {
    ServingMetrics metrics = with_p99(1);
    metrics.goodput_fraction = 0.99;
    return metrics;
  };
  LoadSearchOptions options;
  options.most_replications = 3;
  const LoadProbe probe = probe_load({{"goodput_fraction", false, 0.99}}, run, 1, options);
  EXPECT_EQ(probe.verdict, LoadVerdict::indeterminate);
  EXPECT_NEAR(probe.metrics[0].low, 0.98578, 1e-4);
  EXPECT_NEAR(probe.metrics[0].high, 0.99298, 1e-4);
}

// 10 x load <= 100 without spread: exactly up to 10. From 3 it doubles to 6 and 12, then bisects 6 .. 12 to 2
// %.
TEST(LoadSearch, DoublesThenBisects) {
  const LoadSearch found = find_highest_load(p99_at_most_100, grows(0), 3, std::nullopt, {});
  EXPECT_LE(found.highest, 10);
  EXPECT_GT(*found.fails_at, 10);
  EXPECT_LE(*found.fails_at, found.highest * 1.02);
  ASSERT_GE(found.probes.size(), 3U);
  EXPECT_EQ(found.probes[0].load, 3);
  EXPECT_EQ(found.probes[1].load, 6);
  EXPECT_EQ(found.probes[2].load, 12);
  EXPECT_NEAR(found.probes[3].load, std::sqrt(72), 1e-9);
  EXPECT_FALSE(found.gave_up);
}

// From 400 it halves: 200, 100, 50, 25, 12.5 fail, 6.25 holds.
TEST(LoadSearch, HalvesFromTooHigh) {
  const LoadSearch found = find_highest_load(p99_at_most_100, grows(0), 400, std::nullopt, {});
  EXPECT_EQ(found.probes[6].load, 6.25);
  EXPECT_NEAR(found.highest, 10, 0.2);
}

// A layout that must beat 11 is left after one probe; one that must beat 9 goes on from there.
TEST(LoadSearch, OneProbeProvesThatAnotherIsBetter) {
  const LoadSearch worse = find_highest_load(p99_at_most_100, grows(0), 3, 11, {});
  EXPECT_TRUE(worse.gave_up);
  EXPECT_EQ(worse.probes.size(), 1U);
  EXPECT_EQ(worse.highest, 0);
  EXPECT_EQ(worse.stopped, "not sustained at 11 requests/s, which another layout sustains");
  const LoadSearch better = find_highest_load(p99_at_most_100, grows(0), 3, 9, {});
  EXPECT_FALSE(better.gave_up);
  EXPECT_NEAR(better.highest, 10, 0.2);
}

// Whole numbers: 10 holds, 11 does not; bounded by the 7 requests there are, everything holds.
TEST(LoadSearch, WholeNumbersOfRequests) {
  LoadSearchOptions options;
  options.whole_numbers = true;
  const LoadSearch found = find_highest_load(p99_at_most_100, grows(0), 3, std::nullopt, options);
  EXPECT_EQ(found.highest, 10);
  EXPECT_EQ(found.fails_at, 11);
  options.most = 7;
  const LoadSearch few = find_highest_load(p99_at_most_100, grows(0), 3, std::nullopt, options);
  EXPECT_EQ(few.highest, 7);
  EXPECT_FALSE(few.fails_at);
}

// Nothing holds: 200 ms at any load.
TEST(LoadSearch, NothingHolds) {
  const RunAtLoad run = [](double, std::uint64_t) { return with_p99(200); };
  const LoadSearch found = find_highest_load(p99_at_most_100, run, 1, std::nullopt, {});
  EXPECT_EQ(found.highest, 0);
  EXPECT_NE(found.stopped.find("nothing holds"), std::string::npos);
}

Scenario small_case(const std::string& slo, int prompt, int output) {
  return read_scenario(JsonValue::parse(
      R"({"name": "t", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 1}}]},
          "model": {"name": "llama-3.1-8b"}, "deployment": "search", "engine": {"max_model_len": 8192},
          "slo": )" +
          slo + R"(, "workload": {"request_rate": "highest", "num_prompts": 120, "prompt": {"fixed": )" +
          std::to_string(prompt) + R"(}, "output": {"fixed": )" + std::to_string(output) +
          R"(}, "seed": 3}})",
      "t.json"));
}

// Against every load of a fine grid, judged by the same rule: what the search calls highest holds, and no
// load of the grid above what it says does not hold is sustained.
TEST(LoadSearch, AgreesWithAFineScan) {
  struct Case {
    const char* slo;
    int prompt, output;
  };
  for (const Case& c :
       {Case{R"({"p99_tpot_ms": "<=12"})", 500, 60}, Case{R"({"p90_ttft_ms": "<=150"})", 2000, 20},
        Case{R"({"mean_e2el_ms": "<=900", "p99_ttft_ms": "<=400"})", 800, 80}}) {
    const Scenario scenario = small_case(c.slo, c.prompt, c.output);
    const Plan plan = make_plan(scenario, quick());
    const LoadSearch& found = *plan.candidates.front().load;
    ASSERT_GT(found.highest, 0) << c.slo;
    const auto choices = planned_choices(scenario, {});
    const SearchContext& context = choices.front()->context();
    const RunAtLoad run = [&](double load, std::uint64_t replication) {
      return simulate(replica_setups(context, plan.candidates.front().layout), scenario.engine,
                      at_load(scenario.workload, load),
                      {false, replication, scenario.goodput, nullptr, scenario.router});
    };
    const double doubtful =
        std::min(found.fails_at.value_or(HUGE_VAL), found.indeterminate_from.value_or(HUGE_VAL));
    EXPECT_LE(doubtful, 1.021 * found.highest) << c.slo;
    for (double load = found.highest / 2; load < 2 * found.highest; load *= 1.15) {
      const LoadVerdict verdict = probe_load(scenario.slo, run, load, {}).verdict;
      if (load <= found.highest / 1.02) {
        EXPECT_NE(verdict, LoadVerdict::not_sustained) << c.slo << load;
      }
      // Between the two the replications tell of one load and not of the next: chance, in which no order is.
      if (load >= found.fails_at.value_or(HUGE_VAL) * 1.05) {
        EXPECT_NE(verdict, LoadVerdict::sustained) << c.slo << load;
      }
    }
  }
}

}  // namespace
}  // namespace sextant
