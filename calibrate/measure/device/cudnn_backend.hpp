#pragma once
#include <cudnn_graph.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "calibrate/measure/device/shared_library.hpp"

namespace sextant::measure {

/// cuDNN's graph library, loaded at run time, with one handle on the current device.
class Cudnn {
 public:
  Cudnn();
  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;
  std::size_t version() const;
  void set_stream(cudaStream_t) const;
  /// Throws Error "CALL: reason" unless the call succeeded.
  void check(cudnnStatus_t, const char* call) const;
  cudnnHandle_t handle() const { return handle_; }

  decltype(&cudnnBackendCreateDescriptor) create = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroy = nullptr;
  decltype(&cudnnBackendFinalize) finalize = nullptr;
  decltype(&cudnnBackendSetAttribute) set = nullptr;
  decltype(&cudnnBackendGetAttribute) get = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;

 private:
  SharedLibrary library_;
  decltype(&cudnnCreate) create_handle_ = nullptr;
  decltype(&cudnnDestroy) destroy_handle_ = nullptr;
  decltype(&cudnnSetStream) set_stream_ = nullptr;
  decltype(&cudnnGetVersion) get_version_ = nullptr;
  decltype(&cudnnGetErrorString) error_text_ = nullptr;
  decltype(&cudnnGetLastErrorString) last_error_ = nullptr;
  cudnnHandle_t handle_ = nullptr;
};

/// One descriptor of cuDNN's backend interface.
class CudnnDescriptor {
 public:
  CudnnDescriptor(const Cudnn&, cudnnBackendDescriptorType_t);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor(const CudnnDescriptor&) = delete;
  CudnnDescriptor& operator=(const CudnnDescriptor&) = delete;

  void set(cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, std::int64_t count, const void* values);
  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, Value value) {
    set(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<std::int64_t>& values);
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other);
  void finalize();
  /// Whether the library accepts it; its reason in `reason` if not.
  bool try_finalize(std::string& reason);
  cudnnBackendDescriptor_t get() const { return descriptor_; }
  const Cudnn& cudnn() const { return *cudnn_; }

 private:
  const Cudnn* cudnn_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace sextant::measure
