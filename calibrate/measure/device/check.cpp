#include "calibrate/measure/device/check.hpp"

#include <fmt/core.h>

#include "models/base/error.hpp"

namespace sextant::measure {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw Error(ExitCode::failure, fmt::format("{}: {}", call, cudaGetErrorString(status)));
}

void check_launch(const char* kernel) {
  check(cudaGetLastError(), kernel);
}

}  // namespace sextant::measure
