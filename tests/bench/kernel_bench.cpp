#include <benchmark/benchmark.h>

#include <boost/heap/d_ary_heap.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sim/kernel/event_queue.hpp"
#include "sim/kernel/fingerprint.hpp"
#include "sim/kernel/random.hpp"

namespace sextant {
namespace {

/// Boost's d-ary heap behind EventQueue's two functions, for comparison.
template <unsigned Arity>
class BoostQueue {
 public:
  void schedule(const Event& event) {
    heap_.push({event.time, sequence_++, event.kind, event.target, event.data});
  }
  Event pop() {
    const QueuedEvent entry = heap_.top();
    heap_.pop();
    return {entry.time, entry.kind, entry.target, entry.data};
  }

 private:
  boost::heap::d_ary_heap<QueuedEvent, boost::heap::arity<Arity>, boost::heap::compare<Later>> heap_;
  std::uint64_t sequence_ = 0;
};

std::vector<Time> exponential_delays() {
  RandomStream random(1, "delays");
  std::vector<Time> delays(1 << 16);
  for (Time& delay : delays) delay.ns = 1 + std::llround(random.exponential(1e6));
  return delays;
}

/// The hold model: take the earliest event, schedule another an exponential delay later; one of each is one
/// event.
template <class Queue>
void hold(benchmark::State& state) {
  const std::vector<Time> delays = exponential_delays();
  const auto pending = static_cast<std::size_t>(state.range(0));
  Queue queue;
  std::size_t next = 0;
  const auto step = [&] {
    const Event event = queue.pop();
    benchmark::DoNotOptimize(event.data);
    queue.schedule({event.time + delays[next++ % delays.size()], event.kind, event.target, event.data});
  };
  for (std::size_t i = 0; i < pending; ++i) queue.schedule({delays[i * 7 % delays.size()], 1, 2, i});
  for (std::size_t i = 0; i < 10 * pending; ++i) step();
  for ([[maybe_unused]] auto _ : state) step();
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(hold<EventQueue>)->Arg(64)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(hold<BoostQueue<4>>)->Arg(64)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(hold<BoostQueue<2>>)->Arg(64)->Arg(1'000)->Arg(10'000)->Arg(100'000);

void fingerprint(benchmark::State& state) {
  Fingerprint print;
  std::int64_t time = 0;
  for ([[maybe_unused]] auto _ : state) print.add(Event{{++time}, 1, 2, 3});
  benchmark::DoNotOptimize(print.value());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(fingerprint);

template <class Draw>
void draw(benchmark::State& state, Draw next) {
  RandomStream random(1, "draws");
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(next(random));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(draw, uniform, [](RandomStream& random) { return random.uniform(); });
BENCHMARK_CAPTURE(draw, exponential, [](RandomStream& random) { return random.exponential(1); });
BENCHMARK_CAPTURE(draw, normal, [](RandomStream& random) { return random.normal(); });
BENCHMARK_CAPTURE(draw, gamma, [](RandomStream& random) { return random.gamma(0.5, 1); });

}  // namespace
}  // namespace sextant
