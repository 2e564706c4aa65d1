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
  Result time(int operations, const std::function<void(int)>& work, const StoppingRule&);
  double sample_us = 1500;  ///< of device time per sample: launch gaps stay under 1 % of it

 private:
  double replay(const Graph&, int times);
  cudaStream_t stream_;
  const GpuMonitor& monitor_;
  Event begin_, end_;
};

}  // namespace sextant::measure
