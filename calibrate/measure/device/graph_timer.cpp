#include "calibrate/measure/device/graph_timer.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "calibrate/measure/device/check.hpp"

namespace sextant::measure {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
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

GraphTimer::Result GraphTimer::time(int operations, const std::function<void(int)>& work,
                                    const StoppingRule& rule) {
  constexpr int most_replays = 64;
  work(0);  // outside a graph: loads modules and lets lazily made things be made
  SEXTANT_CUDA(cudaStreamSynchronize(stream_));
  const Graph graph(stream_, [&] {
    for (int i = 0; i < operations; ++i) work(i);
  });
  replay(graph, 1);
  const double once_us = std::max(replay(graph, 1), 1.0);
  const int replays = std::clamp(static_cast<int>(std::ceil(sample_us / once_us)), 1, most_replays);
  Sampler sampler(rule);
  std::vector<double> throttled;
  double clock = 0, watts = 0;
  std::size_t capped = 0, taken = 0;
  while (!sampler.done()) {
    const auto begin = std::chrono::steady_clock::now();
    const double us = replay(graph, replays) / replays / operations;
    const GpuState state = monitor_.state();
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
