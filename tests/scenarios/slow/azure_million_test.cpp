// The scenario azure-million as it stands, which takes seconds; label slow. Bounds are for one core and have
// room for a busy machine: processor time counts, not the clock.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ctime>

#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

constexpr double GiB = 1024.0 * 1024 * 1024;

struct Timed {
  ServingMetrics metrics;
  double cpu_seconds = 0;
};

Timed run(const std::vector<std::pair<std::string, std::string>>& changes, bool step_by_step = false) {
  const Scenario scenario = read_scenario(
      with_changes(JsonValue::read(SEXTANT_SOURCE_DIR "/scenarios/azure-million.json"), changes));
  const Machine machine(scenario.cluster, scenario.engine.profile);
  const SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
  const auto setups = replica_setups(context, fixed_layout(scenario, *scenario.deployment));
  SimulationOptions options;
  options.step_by_step = step_by_step;
  options.router = scenario.router;
  const std::clock_t start = std::clock();
  Timed timed{simulate(setups, scenario.engine, scenario.workload, options)};
  timed.cpu_seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  testing::Test::RecordProperty("cpu_milliseconds", static_cast<int>(timed.cpu_seconds * 1e3));
  return timed;
}

void expect_identical(const ServingMetrics& a, const ServingMetrics& b) {
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_EQ(a.events, b.events);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.preemptions, b.preemptions);
  const auto x = named_metrics(a), y = named_metrics(b);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i].second, y[i].second) << x[i].first;
}

double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

TEST(AzureMillion, UnderTenSecondsAndOneGibibyteAndAsPlain) {
  const Timed fast = run({});
  EXPECT_EQ(fast.metrics.finished, 1'000'000);
  EXPECT_FALSE(fast.metrics.overloaded);
  EXPECT_LT(fast.cpu_seconds, 10);
  EXPECT_LT(peak_bytes(), GiB);
  expect_identical(fast.metrics, run({}, true).metrics);
}

TEST(AzureMillion, FleetOfSixteenUnderFifteenSecondsAndAsPlain) {
  const double rate = read_scenario(JsonValue::read(SEXTANT_SOURCE_DIR "/scenarios/azure-million.json"))
                          .workload.request_rate;
  for (const char* router : {"round_robin", "least_requests"}) {
    const std::vector<std::pair<std::string, std::string>> fleet = {
        {"cluster.nodes[0].count", "16"},
        {"cluster.nodes[0].nic", "connectx-7-400"},
        {"cluster.network", R"({"transport": "roce", "gpudirect": true})"},
        {"deployment.dp", "16"},
        {"router", router},
        {"workload.request_rate", std::to_string(16 * rate)}};
    const Timed fast = run(fleet);
    EXPECT_EQ(fast.metrics.finished, 1'000'000);
    EXPECT_LT(fast.cpu_seconds, 15);
    EXPECT_LT(peak_bytes(), GiB);
    expect_identical(fast.metrics, run(fleet, true).metrics);
  }
}

}  // namespace
}  // namespace sextant
