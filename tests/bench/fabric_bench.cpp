// Flows that share links: Sextant's engine, and SimGrid on the same work where it is installed.
#include <benchmark/benchmark.h>

#include "tests/simgrid/platform.hpp"

namespace sextant {
namespace {

// 2,000 flows at once between random pairs of 64 hosts on one switch.
const test::FlowWork& star() {
  static const test::FlowWork work = test::star_work(64, 2000);
  return work;
}

void SextantStar(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(test::sextant_ends(star()));
}
BENCHMARK(SextantStar)->Unit(benchmark::kMillisecond);

#ifdef SEXTANT_SIMGRID
void SimGridStar(benchmark::State& state) {
  double seconds = 0;
  for (auto _ : state) {
    test::simgrid_ends({star()}, &seconds);
    state.SetIterationTime(seconds);
  }
}
BENCHMARK(SimGridStar)->Unit(benchmark::kMillisecond)->Iterations(1)->UseManualTime();
#endif

}  // namespace
}  // namespace sextant
