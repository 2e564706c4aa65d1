#include "calibrate/measure/device/cudnn_backend.hpp"

#include <fmt/core.h>

#include <array>

#include "models/base/error.hpp"

namespace sextant::measure {

Cudnn::Cudnn() : library_({"libcudnn.so.9", "libcudnn.so"}) {
  library_.find(create, "cudnnBackendCreateDescriptor");
  library_.find(destroy, "cudnnBackendDestroyDescriptor");
  library_.find(finalize, "cudnnBackendFinalize");
  library_.find(set, "cudnnBackendSetAttribute");
  library_.find(get, "cudnnBackendGetAttribute");
  library_.find(execute, "cudnnBackendExecute");
  library_.find(create_handle_, "cudnnCreate");
  library_.find(destroy_handle_, "cudnnDestroy");
  library_.find(set_stream_, "cudnnSetStream");
  library_.find(get_version_, "cudnnGetVersion");
  library_.find(error_text_, "cudnnGetErrorString");
  library_.find_optional(last_error_, "cudnnGetLastErrorString");
  check(create_handle_(&handle_), "cudnnCreate");
}

Cudnn::~Cudnn() {
  if (handle_ != nullptr) destroy_handle_(handle_);
}

std::size_t Cudnn::version() const {
  return get_version_();
}

void Cudnn::set_stream(cudaStream_t stream) const {
  check(set_stream_(handle_, stream), "cudnnSetStream");
}

void Cudnn::check(cudnnStatus_t status, const char* call) const {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> detail{};
  if (last_error_ != nullptr) last_error_(detail.data(), detail.size());
  throw Error(ExitCode::failure, fmt::format("{}: {} {}", call, error_text_(status), detail.data()));
}

CudnnDescriptor::CudnnDescriptor(const Cudnn& cudnn, cudnnBackendDescriptorType_t type) : cudnn_(&cudnn) {
  cudnn.check(cudnn.create(type, &descriptor_), "cudnnBackendCreateDescriptor");
}

CudnnDescriptor::~CudnnDescriptor() {
  if (descriptor_ != nullptr) cudnn_->destroy(descriptor_);
}

CudnnDescriptor::CudnnDescriptor(CudnnDescriptor&& other) noexcept
    : cudnn_(other.cudnn_), descriptor_(other.descriptor_) {
  other.descriptor_ = nullptr;
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          std::int64_t count, const void* values) {
  const cudnnStatus_t status = cudnn_->set(descriptor_, name, type, count, values);
  if (status != CUDNN_STATUS_SUCCESS)
    cudnn_->check(status, fmt::format("cudnnBackendSetAttribute {}", static_cast<int>(name)).c_str());
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, const std::vector<std::int64_t>& values) {
  set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other) {
  const cudnnBackendDescriptor_t value = other.get();
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void CudnnDescriptor::finalize() {
  cudnn_->check(cudnn_->finalize(descriptor_), "cudnnBackendFinalize");
}

bool CudnnDescriptor::try_finalize(std::string& reason) {
  try {
    finalize();
    return true;
  } catch (const Error& error) {
    reason = error.what();
    return false;
  }
}

}  // namespace sextant::measure
