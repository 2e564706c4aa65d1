#pragma once
#include <cublas_v2.h>

#include <cstdint>
#include <vector>

#include "calibrate/measure/device/buffers.hpp"
#include "calibrate/measure/device/shared_library.hpp"

namespace sextant::measure {

/// cuBLAS's grouped product, loaded at run time: many small bf16 products in one launch.
class GroupedBlas {
 public:
  /// `workspace`: `workspace_bytes` on the device.
  GroupedBlas(void* workspace, std::size_t workspace_bytes);
  ~GroupedBlas();
  GroupedBlas(const GroupedBlas&) = delete;
  GroupedBlas& operator=(const GroupedBlas&) = delete;

  /// Products of equal shape: out[rows, n] = in[rows, k] * weight[n, k]^T.
  struct Group {
    std::int64_t rows = 0;
    int products = 0;
  };
  /// Where each product finds its matrices: arrays on the device, group by group.
  struct Pointers {
    const void* const* weights = nullptr;
    const void* const* inputs = nullptr;
    void* const* outputs = nullptr;
  };
  void run(const std::vector<Group>&, std::int64_t n, std::int64_t k, const Pointers&, cudaStream_t) const;

 private:
  SharedLibrary library_;
  decltype(&cublasCreate_v2) create_ = nullptr;
  decltype(&cublasDestroy_v2) destroy_ = nullptr;
  decltype(&cublasSetStream_v2) set_stream_ = nullptr;
  decltype(&cublasSetWorkspace_v2) set_workspace_ = nullptr;
  decltype(&cublasGemmGroupedBatchedEx) grouped_ = nullptr;
  cublasHandle_t handle_ = nullptr;
  void* workspace_;
  std::size_t workspace_bytes_;
};

}  // namespace sextant::measure
