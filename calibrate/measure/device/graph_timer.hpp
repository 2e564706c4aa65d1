#pragma once
#include <cuda_runtime_api.h>

#include <functional>
#include <string>
#include <vector>

#include "calibrate/measure/common/sampling.hpp"
#include "calibrate/measure/device/buffers.hpp"
#include "calibrate/measure/device/nvml.hpp"

namespace sextant::measure {

/// A captured CUDA graph, ready to be replayed.
class Graph {
 public:
  /// Captures what `work` puts into the stream it is given. Throws Error where something in it cannot be
  /// captured.
  Graph(cudaStream_t, const std::function<void()>& work);
  ~Graph();
  Graph(Graph&& other) noexcept : executable_(other.executable_) { other.executable_ = nullptr; }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch(cudaStream_t) const;

 private:
  cudaGraphExec_t executable_ = nullptr;
};

/// One kind of work for so long that the power limit holds it back, beside the same in bursts.
struct LoadSummary {
  double burst_us = 0, burst_watts = 0;  ///< of one operation, at the full clock
  double us = 0, watts = 0, mhz = 0;     ///< of one operation, once the clock has settled
  double idle_watts = 0;                 ///< between bursts
  double limit_watts = 0;                ///< that the driver holds the card to
};

/// Times work as serving engines run it, inside CUDA graphs: one graph holds `operations` of them (each
/// `work(i)`, to rotate buffers), it is replayed as often as a sample of `sample_us` needs, and a sample is
/// the time of one operation.
class GraphTimer {
 public:
  GraphTimer(cudaStream_t stream, const GpuMonitor& monitor) : stream_(stream), monitor_(monitor) {}
  struct Result {
    SampleSummary summary;  ///< microseconds per operation
    std::string note;       ///< samples, interval, stop, clock, power, and what was rotated
  };
  /// `rest`: after each sample the card idles that many times as long. Tensor-bound work at a third of the
  /// time leaves it at its full clock, for the power limit acts on averages over some 25 ms (H200).
  Result time(int operations, const std::function<void(int)>& work, const StoppingRule&, double rest = 0);
  /// From now on `time` finds out what the work draws, too, which takes seconds.
  void watch_load(bool on) { watch_load_ = on; }
  /// What the card draws awake without work, and its limit; takes half a second.
  LoadSummary measure_idle();
  /// Of the last work so watched.
  const LoadSummary& load() const { return load_; }
  double sample_us = 1500;  ///< of device time per sample: launch gaps stay under 1 % of it

 private:
  double replay(const Graph&, int times);
  LoadSummary measure_load(const Graph&, double once_us, int operations);
  cudaStream_t stream_;
  const GpuMonitor& monitor_;
  Event begin_, end_;
  bool watch_load_ = false;
  LoadSummary load_;
};

}  // namespace sextant::measure
