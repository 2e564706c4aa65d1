#pragma once
#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <vector>

#include "calibrate/measure/device/blas.hpp"
#include "calibrate/measure/device/buffers.hpp"
#include "calibrate/measure/device/nvml.hpp"
#include "calibrate/measure/nccl/plan/overlap.hpp"
#include "calibrate/measure/nccl/world.hpp"

namespace sextant::nccl {

/// A stream of the priority asked for, that does not wait for the default stream.
class PriorityStream {
 public:
  explicit PriorityStream(bool high);
  ~PriorityStream();
  PriorityStream(const PriorityStream&) = delete;
  PriorityStream& operator=(const PriorityStream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// One GEMM of one GPU with its operands; weights are rotated through copies that exceed the L2 three times.
class OverlapGemm {
 public:
  OverlapGemm(const measure::Blas&, const GemmShape&, void* workspace, std::size_t l2_bytes, cudaStream_t);
  void run(cudaStream_t);

 private:
  std::size_t weight_bytes_;
  std::size_t copies_;
  measure::DeviceBuffer input_, weights_, output_;
  measure::Gemm gemm_;
  std::size_t next_ = 0;
};

/// When each stream of one GPU passed its marks, in microseconds from one moment; empty without work.
struct OverlapMarks {
  std::vector<double> collective, gemm;
  double host_us = 0;       ///< that it took to enqueue everything
  measure::GpuState state;  ///< while the streams were at work; of the first GPU's GEMMs alone
};

/// What a GPU is given to do at once.
struct OverlapWork {
  const OverlapPoint* point = nullptr;
  std::size_t gemm = 0;  ///< of the shapes
  ncclComm_t comm = nullptr;
  UnitCounts collectives, gemms;          ///< no units: none of them
  double collective_us = 1, gemm_us = 1;  ///< of one alone: which stream is fed next
};

/// One GPU: a stream of GEMMs, and a stream of collectives in either priority. Every function is called by
/// the one thread that drives this GPU.
class OverlapGpu {
 public:
  OverlapGpu(const NcclLibrary&, const LocalRank&, int ranks, const std::vector<GemmShape>&,
             std::size_t pool_bytes, double timeout_seconds);

  /// Whether this GPU takes part in the operation: the last of an odd number sends to nobody.
  bool takes_part(Operation) const;
  /// Enqueues the work of both streams side by side and waits for it. Throws Error when NCCL or CUDA report
  /// one, or the time is over.
  OverlapMarks run(const OverlapWork&);

 private:
  void issue(const OverlapWork&, cudaStream_t);
  void wait(const measure::Event&, ncclComm_t) const;
  static measure::Event& event(std::vector<measure::Event>&, std::size_t index);

  const NcclLibrary& nccl_;
  LocalRank local_;
  int ranks_;
  double timeout_seconds_;
  measure::Nvml nvml_;
  measure::Blas blas_;
  measure::DeviceBuffer workspace_;
  PriorityStream gemm_stream_, same_, high_;
  std::vector<std::unique_ptr<OverlapGemm>> gemms_;
  std::vector<measure::Event> collective_events_, gemm_events_;
};

}  // namespace sextant::nccl
