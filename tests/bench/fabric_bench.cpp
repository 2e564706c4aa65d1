// Flows that share links: Sextant's engine, and SimGrid on the same work where it is installed.
#include <benchmark/benchmark.h>

#include "models/hardware/cluster.hpp"
#include "sim/fabric/flow_engine.hpp"
#include "sim/fabric/nccl_paths.hpp"
#include "sim/kernel/event_queue.hpp"
#include "sim/kernel/random.hpp"
#include "tests/simgrid/platform.hpp"

namespace sextant {
namespace {

// So many flows at once between random pairs of 64 hosts on one switch.
test::FlowWork star(const benchmark::State& state) {
  return test::star_work(64, static_cast<int>(state.range(0)));
}

void SextantStar(benchmark::State& state) {
  const test::FlowWork work = star(state);
  for (auto _ : state) benchmark::DoNotOptimize(test::sextant_ends(work));
}
BENCHMARK(SextantStar)->Arg(2000)->Arg(10000)->Unit(benchmark::kMillisecond);

/// 1,024 nodes of eight GPUs on eight rails: 32 leaves and 16 spines a rail, no oversubscription.
Cluster two_level_fabric() {
  return read_cluster(JsonValue::parse(R"({"nodes": [{"node": "hgx", "count": 1024, "gpus": {"h100-sxm": 8},
    "nics": [{"nic": "connectx-7-400", "count": 8}], "pcie": {"switches": 4, "sockets": 2, "socket_gbps": 40}}],
    "network": {"transport": "roce", "leaf_spine": {"rails": 8, "nodes_per_leaf": 32, "spines": 16, "spines_of": "rail",
    "uplink_gbits": 400}}})",
                                       "benchmark"));
}

// 100,000 flows between random GPUs, 2,000 at a time: each end begins the next. Routes are worked out as
// well.
void SextantTwoLevel(benchmark::State& state) {
  constexpr int all = 100000, at_once = 2000;
  const Cluster cluster = two_level_fabric();
  const std::vector<int> gpus = cluster.gpus();
  std::uint64_t visited = 0;
  for (auto _ : state) {
    NcclPaths paths(cluster);
    FlowEngine engine(paths.capacities());
    RandomStream random(1, "flows");
    int begun = 0, ended = 0;
    const auto begin = [&](Time now) {
      const std::uint64_t from = random.below(gpus.size()),
                          to = (from + 1 + random.below(gpus.size() - 1)) % gpus.size();
      const TransferPath path = paths.path(gpus[from], gpus[to], {0, static_cast<std::uint64_t>(begun++)});
      engine.start(now, path.directions, random.lognormal(1e9, 1), FlowEngine::no_limit,
                   Time::seconds(path.latency_us * 1e-6));
    };
    EventQueue queue;
    while (begun < at_once) begin({});
    queue.schedule({engine.next_change()});
    while (!queue.empty()) {
      const Time now = queue.pop().time;
      for (std::size_t i = engine.advance(now).size(); i > 0; --i, ++ended)
        if (begun < all) begin(now);
      if (engine.flows() > 0) queue.schedule({engine.next_change()});
    }
    if (ended != all) state.SkipWithError("not every flow ended");
    visited = engine.flows_visited();
  }
  state.counters["flows_visited"] = static_cast<double>(visited);
}
BENCHMARK(SextantTwoLevel)->Unit(benchmark::kMillisecond)->Iterations(1);

#ifdef SEXTANT_SIMGRID
// A process can run SimGrid once: --benchmark_filter=SimGridStar/2000, then SimGridStar/10000.
void SimGridStar(benchmark::State& state) {
  double seconds = 0;
  for (auto _ : state) {
    test::simgrid_ends({star(state)}, &seconds);
    state.SetIterationTime(seconds);
  }
}
BENCHMARK(SimGridStar)->Arg(2000)->Arg(10000)->Unit(benchmark::kMillisecond)->Iterations(1)->UseManualTime();
#endif

}  // namespace
}  // namespace sextant
