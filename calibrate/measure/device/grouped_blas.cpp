#include "calibrate/measure/device/grouped_blas.hpp"

#include <fmt/core.h>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(ExitCode::failure, fmt::format("{}: cublas status {}", call, static_cast<int>(status)));
}

}  // namespace

GroupedBlas::GroupedBlas(void* workspace, std::size_t workspace_bytes)
    : library_({"libcublas.so.13", "libcublas.so.12", "libcublas.so"}),
      workspace_(workspace),
      workspace_bytes_(workspace_bytes) {
  library_.find(create_, "cublasCreate_v2");
  library_.find(destroy_, "cublasDestroy_v2");
  library_.find(set_stream_, "cublasSetStream_v2");
  library_.find(set_workspace_, "cublasSetWorkspace_v2");
  library_.find(grouped_, "cublasGemmGroupedBatchedEx");
  check(create_(&handle_), "cublasCreate");
}

GroupedBlas::~GroupedBlas() {
  if (handle_ != nullptr) destroy_(handle_);
}

void GroupedBlas::run(const std::vector<Group>& groups, std::int64_t n, std::int64_t k,
                      const Pointers& pointers, cudaStream_t stream) const {
  // Columns first, as in Gemm: out^T[n, rows] = weight[n, k] * in^T[k, rows].
  const std::size_t count = groups.size();
  const std::vector<cublasOperation_t> transposed(count, CUBLAS_OP_T), plain(count, CUBLAS_OP_N);
  const std::vector<int> outputs(count, static_cast<int>(n)), inner(count, static_cast<int>(k));
  const std::vector<float> one(count, 1), zero(count, 0);
  std::vector<int> rows, products;
  for (const Group& group : groups) {
    rows.push_back(static_cast<int>(group.rows));
    products.push_back(group.products);
  }
  check(set_stream_(handle_, stream), "cublasSetStream");
  check(set_workspace_(handle_, workspace_, workspace_bytes_), "cublasSetWorkspace");
  check(grouped_(handle_, transposed.data(), plain.data(), outputs.data(), rows.data(), inner.data(),
                 one.data(), pointers.weights, CUDA_R_16BF, inner.data(), pointers.inputs, CUDA_R_16BF,
                 inner.data(), zero.data(), pointers.outputs, CUDA_R_16BF, outputs.data(),
                 static_cast<int>(count), products.data(), CUBLAS_COMPUTE_32F),
        "cublasGemmGroupedBatchedEx");
}

}  // namespace sextant::measure
