// Simulated requests a second: Llama 3.1 70B, tp 4 on four H200, Poisson arrivals at some 80 % of capacity,
// lengths as the Azure conversation trace has them on average (1,155 prompt and 211 output tokens). Run:
// build/bench/serving_bench
#include <benchmark/benchmark.h>

#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

const char* scenario_text = R"({
  "name": "bench",
  "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}}]},
  "model": {"name": "llama-3.1-70b"},
  "deployment": {"tp": 4},
  "engine": {"max_num_seqs": 256, "max_num_batched_tokens": 8192},
  "workload": {"request_rate": 6, "num_prompts": 1000,
    "prompt": {"lognormal": {"mean": 1155, "sigma": 1.0, "min": 1, "max": 14050}},
    "output": {"lognormal": {"mean": 211, "sigma": 0.8, "min": 1, "max": 1500}}}
})";

void serve(benchmark::State& state, bool step_by_step) {
  Scenario scenario = read_scenario(JsonValue::parse(scenario_text, "bench"));
  scenario.workload.num_prompts = state.range(0);
  const Machine machine(scenario.cluster, scenario.engine.profile);
  const SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
  const auto setups = replica_setups(context, fixed_layout(scenario, *scenario.deployment));
  std::uint64_t events = 0;
  while (state.KeepRunning()) {
    SimulationOptions options;
    options.step_by_step = step_by_step;
    events += simulate(setups, scenario.engine, scenario.workload, options).events;
  }
  const auto requests = static_cast<double>(state.iterations() * state.range(0));
  state.counters["requests/s"] = benchmark::Counter(requests, benchmark::Counter::kIsRate);
  state.counters["events/s"] = benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
}

BENCHMARK_CAPTURE(serve, fast, false)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(serve, step_by_step, true)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sextant
