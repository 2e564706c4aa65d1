// Flows that share links: Sextant's engine, and SimGrid on the same work where it is installed.
#include <benchmark/benchmark.h>

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
