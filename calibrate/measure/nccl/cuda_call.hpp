#pragma once
#include <cuda_runtime.h>
#include <fmt/core.h>

#include "models/base/error.hpp"

namespace sextant::nccl {

/// Throws Error (failure) naming the call and CUDA's word for the result.
inline void cuda_check(cudaError_t result, const char* call) {
  if (result != cudaSuccess)
    throw Error(ExitCode::failure, fmt::format("{}: {}", call, cudaGetErrorString(result)));
}

}  // namespace sextant::nccl
