#include "calibrate/measure/device/graph_timer.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "calibrate/measure/device/check.hpp"

namespace sextant::measure {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::chrono::nanoseconds microseconds_long(double us) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(us * 1e3));
}

}  // namespace

Graph::Graph(cudaStream_t stream, const std::function<void()>& work) {
  SEXTANT_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  SEXTANT_CUDA(cudaStreamEndCapture(stream, &graph));
  const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
}

Graph::~Graph() {
  if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
}

void Graph::launch(cudaStream_t stream) const {
  SEXTANT_CUDA(cudaGraphLaunch(executable_, stream));
}

double GraphTimer::replay(const Graph& graph, int times) {
  begin_.record(stream_);
  for (int i = 0; i < times; ++i) graph.launch(stream_);
  end_.record(stream_);
  end_.wait();
  return microseconds(begin_, end_);
}

LoadSummary GraphTimer::measure_idle() {
  constexpr double idle_seconds = 0.4;
  std::this_thread::sleep_for(std::chrono::duration<double>(idle_seconds));
  LoadSummary load;
  load.limit_watts = monitor_.nvml().power_limit();
  load.idle_watts = monitor_.nvml().state().instant_watts;
  return load;
}

LoadSummary GraphTimer::measure_load(const Graph& graph, double once_us, int operations) {
  constexpr double phase_seconds = 1.6, settled_after = 0.7;
  constexpr double burst_us = 3000, rest = 2.5;  // a burst is over long before the limit acts
  const Nvml& nvml = monitor_.nvml();
  LoadSummary load = measure_idle();
  /// One phase: times of its second part, and the means of what the driver says then.
  const auto phase = [&](double pause, double& us, double& watts, double& mhz) {
    const int replays = std::max(1, static_cast<int>(burst_us / once_us));
    const auto begin = std::chrono::steady_clock::now();
    auto settled = begin;
    std::vector<double> times;
    double busy = 0, states = 0;
    watts = mhz = 0;
    while (seconds_since(begin) < phase_seconds) {
      const double all = replay(graph, replays);
      if (pause > 0) std::this_thread::sleep_for(microseconds_long(pause * all));
      if (seconds_since(begin) < settled_after) {
        settled = std::chrono::steady_clock::now();
        continue;
      }
      times.push_back(all / replays / operations);
      busy += all * 1e-6;
      const GpuState state = nvml.state();
      watts += state.instant_watts;
      mhz += state.sm_mhz;
      ++states;
    }
    us = median_interval(times).median;
    watts /= states;
    mhz /= states;
    return busy / seconds_since(settled);
  };
  double burst_mhz = 0, mean_watts = 0;
  const double duty = phase(rest, load.burst_us, mean_watts, burst_mhz);
  load.burst_watts = load.idle_watts + (mean_watts - load.idle_watts) / duty;
  phase(0, load.us, load.watts, load.mhz);
  return load;
}

GraphTimer::Result GraphTimer::time(int operations, const std::function<void(int)>& work,
                                    const StoppingRule& rule, double rest) {
  constexpr int most_replays = 64;
  work(0);  // outside a graph: loads modules and lets lazily made things be made
  SEXTANT_CUDA(cudaStreamSynchronize(stream_));
  const Graph graph(stream_, [&] {
    for (int i = 0; i < operations; ++i) work(i);
  });
  replay(graph, 1);
  const double once_us = std::max(replay(graph, 1), 1.0);
  if (watch_load_) load_ = measure_load(graph, once_us, operations);
  const int replays = std::clamp(static_cast<int>(std::ceil(sample_us / once_us)), 1, most_replays);
  Sampler sampler(rule);
  std::vector<double> throttled;
  double clock = 0, watts = 0;
  std::size_t capped = 0, taken = 0;
  while (!sampler.done()) {
    const auto begin = std::chrono::steady_clock::now();
    const double sample = replay(graph, replays), us = sample / replays / operations;
    const GpuState state = monitor_.state();
    if (rest > 0) std::this_thread::sleep_for(microseconds_long(rest * sample));
    const double seconds = seconds_since(begin);
    if (state.throttled()) {
      sampler.add_throttled(seconds);
      throttled.push_back(us);
    } else {
      sampler.add(us, seconds);
    }
    clock += state.sm_mhz;
    watts += state.watts;
    capped += state.power_capped() ? 1 : 0;
    ++taken;
  }
  // A card that is never at full clock is measured as it is, and the row says so.
  const bool never_at_full_clock = throttled.size() == taken;
  if (never_at_full_clock) {
    sampler = Sampler(rule);
    for (const double us : throttled) sampler.add(us, 0);
  }
  Result result{sampler.summary(), ""};
  const auto count = static_cast<double>(taken);
  result.note = result.summary.note();
  if (clock > 0) result.note += fmt::format("; {:.0f} MHz, {:.0f} W", clock / count, watts / count);
  if (never_at_full_clock) result.note += ", throttled throughout";
  if (2 * capped > taken) result.note += ", at the power limit";
  return result;
}

}  // namespace sextant::measure
