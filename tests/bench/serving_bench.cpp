// Simulated requests and events a second, and bytes that a request costs: scenarios/azure-million.json
// (Llama 3.1 70B, tp 4 on four H200, Azure's conversation lengths, Poisson at 80 % of capacity), alone and as
// a fleet of 16 such replicas behind each router. Run: build/bench/serving_bench
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

constexpr int fleet_replicas = 16;

Scenario azure(int replicas, std::int64_t requests, const std::string& router) {
  const JsonValue document = JsonValue::read(SEXTANT_SOURCE_DIR "/scenarios/azure-million.json");
  const Workload base = read_scenario(document).workload;
  return read_scenario(
      with_changes(document, {{"cluster.nodes[0].count", std::to_string(replicas)},
                              {"cluster.nodes[0].nic", "connectx-7-400"},
                              {"cluster.network", R"({"transport": "roce", "gpudirect": true})"},
                              {"deployment.dp", std::to_string(replicas)},
                              {"router", router},
                              {"workload.request_rate", std::to_string(base.request_rate * replicas)},
                              {"workload.num_prompts", std::to_string(requests)}}));
}

/// Bytes on the heap now.
double heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

/// Notes the most bytes on the heap, looking every thousandth time that a request arrives.
class HeapWatch final : public RunObserver {
 public:
  void arrived(std::uint64_t id, std::uint32_t, Time) override {
    if (id % 1024 == 0) most_ = std::max(most_, heap_bytes());
  }
  double most() const { return most_; }

 private:
  double most_ = 0;
};

void serve(benchmark::State& state, int replicas, const std::string& router, bool step_by_step) {
  const Scenario scenario = azure(replicas, state.range(0), router);
  const Machine machine(scenario.cluster, scenario.engine.profile);
  const SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
  const auto setups = replica_setups(context, fixed_layout(scenario, *scenario.deployment));
  SimulationOptions options;
  options.step_by_step = step_by_step;
  options.router = scenario.router;
  std::uint64_t events = 0;
  while (state.KeepRunning()) events += simulate(setups, scenario.engine, scenario.workload, options).events;
  const auto requests = static_cast<double>(state.iterations() * state.range(0));
  state.counters["requests/s"] = benchmark::Counter(requests, benchmark::Counter::kIsRate);
  state.counters["events/s"] = benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
  // Once more, watched and not timed: the machine's own tables are there already.
  const double before = heap_bytes();
  HeapWatch watch;
  options.observer = &watch;
  simulate(setups, scenario.engine, scenario.workload, options);
  state.counters["bytes/request"] = (watch.most() - before) / static_cast<double>(state.range(0));
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(10'000)
      ->Arg(100'000)
      ->Arg(1'000'000)
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime();
}

BENCHMARK_CAPTURE(serve, single, 1, "round_robin", false)->Apply(sizes);
BENCHMARK_CAPTURE(serve, single_step_by_step, 1, "round_robin", true)->Apply(sizes);
BENCHMARK_CAPTURE(serve, fleet_round_robin, fleet_replicas, "round_robin", false)->Apply(sizes);
BENCHMARK_CAPTURE(serve, fleet_least_requests, fleet_replicas, "least_requests", false)->Apply(sizes);
BENCHMARK_CAPTURE(serve, fleet_prefix_aware, fleet_replicas, "prefix_aware", false)->Apply(sizes);

}  // namespace
}  // namespace sextant
