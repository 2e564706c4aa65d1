#pragma once
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "calibrate/measure/common/gpu_points.hpp"
#include "calibrate/measure/device/blas.hpp"
#include "calibrate/measure/device/buffers.hpp"
#include "calibrate/measure/device/cudnn_backend.hpp"
#include "calibrate/measure/device/decode_attention.hpp"
#include "calibrate/measure/device/graph_timer.hpp"
#include "calibrate/measure/device/prefill_plans.hpp"

namespace sextant::measure {

/// What the CUDA runtime says of a device.
struct DeviceInfo {
  std::string name, bus_id;
  int multiprocessors = 0;
  int capability = 0;  ///< 90 for compute capability 9.0
  std::size_t l2_bytes = 0, memory_bytes = 0;
};
/// Throws InputError "no CUDA device: reason" where there is none.
DeviceInfo device_info(int device);

struct BenchOptions {
  StoppingRule rule;
  int search_algorithms = 1;  ///< GEMM algorithms tried; serving engines take the first
};

/// Times single operators on one GPU. Memory is taken and filled with random data once; every point works in
/// pieces of it. What a model streams from memory (weights, keys and values) is rotated over at least three
/// times the L2; activations stay where they are, in the L2 if they fit, as in a model.
class Bench {
 public:
  Bench(int device, const BenchOptions&);

  struct Result {
    double us = 0;
    std::string note;
    std::optional<PowerRow> power = {};  ///< of a point of the power family
  };
  /// Throws Error, beginning "skipped:" where this GPU or library has no such operator.
  Result measure(const Point&);
  /// Libraries, versions, device and driver: for the context line.
  std::map<std::string, std::string> details() const;
  const DeviceInfo& device() const { return device_; }

  /// Starts to make in the background what takes long to make: the plans of fused attention, in this order.
  void look_ahead(const std::vector<Point>&);

  // Parts that the operators' files (bench_*.cpp) work with.
  const Blas& blas() const;    ///< throws Error "skipped: ..." where it is missing
  const Cudnn& cudnn() const;  ///< likewise
  std::unique_ptr<PrefillAttention> prefill_plan(const PrefillShape&);
  Arena reader(Element) const;  ///< random data of that type, to read from
  Arena scratch() const;        ///< to write to
  void* blas_workspace() const { return blas_workspace_.at(); }
  const float* one() const { return one_.at<float>(); }
  const void* unit_block_scales(std::size_t bytes) const;
  cudaStream_t stream() const { return stream_; }
  GraphTimer& timer() { return timer_; }
  const BenchOptions& options() const { return options_; }
  const RoughRates& rates() const { return rates_; }

 private:
  void set_memory_aside();
  BenchOptions options_;
  int device_number_;
  DeviceInfo device_;
  RoughRates rates_;
  GpuMonitor monitor_;
  Stream stream_;
  GraphTimer timer_;
  std::unique_ptr<Blas> blas_;
  std::unique_ptr<Cudnn> cudnn_;
  std::string no_blas_, no_cudnn_;
  std::unique_ptr<PrefillPlans> plans_;
  DeviceBuffer wide_, narrow_, scratch_, blas_workspace_, one_, scales_;
};

/// How often a graph repeats an operator, and over how many buffers.
struct Rotation {
  int buffers = 1;
  int operations = 1;
  std::string note() const;
};
/// Enough buffers of `streamed_bytes` to exceed three times the L2, within `available`; enough operations to
/// fill a graph of half a millisecond.
Rotation rotation(const Bench&, std::size_t streamed_bytes, std::size_t available, double rough_seconds);

PrefillShape prefill_shape(const AttentionPrefillRow&);

Bench::Result bench_gemm(Bench&, const GemmRow&);
Bench::Result bench_decode(Bench&, const AttentionDecodeRow&);
Bench::Result bench_prefill(Bench&, const AttentionPrefillRow&);
Bench::Result bench_moe(Bench&, const MoeRow&);
Bench::Result bench_elementwise(Bench&, const ElementwiseRow&);
Bench::Result bench_launch(Bench&, const std::string& op);
/// What one kind of work draws in bursts, and how fast it is when it lasts (gpu_points: power_work).
Bench::Result bench_power(Bench&, const PowerRow&);
/// Tensor-bound samples are so much shorter than the rests between them that the clock stays at its highest.
inline constexpr double rest_of_tensor_work = 2;
Bench::Result bench_copy(Bench&, const CopyRow&, bool pageable);

}  // namespace sextant::measure
