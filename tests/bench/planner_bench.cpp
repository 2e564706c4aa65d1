// Speed of the planner's search. Build: cmake -S . -B build-bench -DSEXTANT_BENCHMARKS=ON, target
// planner_bench; run from the top of the repository, which holds the profiles.
#include <benchmark/benchmark.h>

#include <string>

#include "sim/planner/cost_tables.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

Scenario scenario(const std::string& nodes, const std::string& model) {
  return read_scenario(JsonValue::parse(
      R"({"name": "bench", "cluster": {"nodes": [)" + nodes + R"(]}, "model": {)" + model +
          R"(}, "deployment": "search", "engine": {"max_num_seqs": 256, "max_model_len": 8192},
      "workload": {"max_concurrency": 256, "num_prompts": 512, "prompt": {"fixed": 1024}, "output": {"fixed": 256}}})",
      "bench.json"));
}

const std::string dense = R"("name": "llama-3.1-70b", "weights": "fp8")";
const std::string experts = R"("name": "qwen3-235b-a22b", "weights": "fp8")";
const std::string mixed_32 = R"({"node": "hgx", "gpus": {"h200-sxm": 8}, "nic": "connectx-7-400", "count": 2},
                {"node": "server-pcie", "gpus": {"l40s": 8}, "nic": "connectx-7-200", "count": 2})";
const std::string mixed_1024 =
    R"({"node": "hgx", "gpus": {"h200-sxm": 8}, "nic": "connectx-7-400", "count": 64},
                {"node": "hgx", "gpus": {"h100-sxm": 8}, "nic": "connectx-7-400", "count": 32},
                {"node": "server-pcie", "gpus": {"l40s": 8}, "nic": "connectx-7-200", "count": 32})";

void search(benchmark::State& state, const std::string& nodes, const std::string& model) {
  const Scenario s = scenario(nodes, model);
  const Machine machine(s.cluster, s.engine.profile);
  const SearchContext context{s, machine, summarise_workload(s.workload)};
  for (auto _ : state) {
    const SearchResult found = search_layouts(context);
    state.counters["layouts"] = static_cast<double>(found.layouts.size());
    state.counters["bound/best"] =
        found.layouts.empty() ? 0 : found.proof.bound / found.layouts.front().output_throughput;
  }
}

/// The search and the event simulation of the best 24, on two threads.
void plan(benchmark::State& state, const std::string& nodes, const std::string& model) {
  const Scenario s = scenario(nodes, model);
  PlanOptions options;
  options.threads = 2;
  options.intervals = false;
  for (auto _ : state) benchmark::DoNotOptimize(make_plan(s, options));
}

/// Replicas of two stages, each time with another split.
void estimates(benchmark::State& state, const std::string& model) {
  const Scenario s = scenario(mixed_32, model);
  const Machine machine(s.cluster, s.engine.profile);
  const SearchContext context{s, machine, summarise_workload(s.workload)};
  CostTables tables(context);
  const std::vector<int> gpus = s.cluster.gpus();
  const int a = tables.group({gpus[0], gpus[1], gpus[2], gpus[3]});
  const int b = tables.group({gpus[4], gpus[5], gpus[6], gpus[7]});
  const int hop = tables.hop(gpus[0], gpus[4]);
  int split = 1;
  for (auto _ : state) {
    const StageChoice stages[] = {{a, {0, split}, hop}, {b, {split, tables.layer_count()}, hop}};
    benchmark::DoNotOptimize(tables.replica(stages, 1));
    split = split % (tables.layer_count() - 1) + 1;
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(estimates, dense, dense);
BENCHMARK_CAPTURE(estimates, experts, experts);
BENCHMARK_CAPTURE(search, 32_dense, mixed_32, dense)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(search, 32_experts, mixed_32, experts)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(search, 1024_dense, mixed_1024, dense)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK_CAPTURE(search, 1024_experts, mixed_1024, experts)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK_CAPTURE(plan, 32_dense, mixed_32, dense)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Iterations(1);
BENCHMARK_CAPTURE(plan, 32_experts, mixed_32, experts)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Iterations(1);

}  // namespace
}  // namespace sextant
