#include "calibrate/measure/rdma/gpu_memory.hpp"

#include <dlfcn.h>
#include <fmt/core.h>

#include <array>

#include "models/base/error.hpp"

namespace sextant::rdma {

/// The few functions of the CUDA driver that are needed; types and values from cuda.h.
struct CudaDriver {
  explicit CudaDriver(int gpu) : library(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library == nullptr)
      throw Error(ExitCode::failure, "GPU memory: found no libcuda.so.1, expected the NVIDIA driver's");
    bind("cuInit", init);
    bind("cuGetErrorString", error_string);
    bind("cuDeviceGet", device_get);
    bind("cuDeviceGetName", device_name);
    bind("cuDevicePrimaryCtxRetain", retain);
    bind("cuCtxSetCurrent", set_current);
    bind("cuMemAlloc_v2", allocate);
    bind("cuMemFree_v2", release);
    bind("cuMemcpyHtoD_v2", to_device);
    bind("cuMemcpyDtoH_v2", to_host);
    handle_for_range =
        reinterpret_cast<decltype(handle_for_range)>(dlsym(library, "cuMemGetHandleForAddressRange"));
    check(init(0), "cuInit");
    check(device_get(&device, gpu), "cuDeviceGet");
  }
  void make_current() {
    void* context = nullptr;
    check(retain(&context, device), "cuDevicePrimaryCtxRetain");
    check(set_current(context), "cuCtxSetCurrent");
  }
  std::string words(int code) const {
    const char* text = nullptr;
    return error_string(code, &text) == 0 && text != nullptr ? text : fmt::format("error {}", code);
  }
  void check(int code, const char* call) const {
    if (code != 0) throw Error(ExitCode::failure, fmt::format("GPU memory: {}: {}", call, words(code)));
  }

  void* library;
  int device = 0;
  int (*init)(unsigned) = nullptr;
  int (*error_string)(int, const char**) = nullptr;
  int (*device_get)(int*, int) = nullptr;
  int (*device_name)(char*, int, int) = nullptr;
  int (*retain)(void**, int) = nullptr;
  int (*set_current)(void*) = nullptr;
  int (*allocate)(std::uint64_t*, std::size_t) = nullptr;
  int (*release)(std::uint64_t) = nullptr;
  int (*to_device)(std::uint64_t, const void*, std::size_t) = nullptr;
  int (*to_host)(void*, std::uint64_t, std::size_t) = nullptr;
  int (*handle_for_range)(void*, std::uint64_t, std::size_t, int, unsigned long long) = nullptr;

 private:
  template <class Function>
  void bind(const char* symbol, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, symbol));
    if (function == nullptr)
      throw Error(ExitCode::failure, fmt::format("GPU memory: libcuda.so.1 has no {}", symbol));
  }
};

GpuMemory::GpuMemory(int gpu, std::size_t bytes) : driver_(std::make_unique<CudaDriver>(gpu)) {
  constexpr std::size_t page = std::size_t{2} << 20;  // the driver's: DMA-BUF takes whole pages only
  bytes_ = (bytes + page - 1) / page * page;
  driver_->make_current();
  driver_->check(driver_->allocate(&address_, bytes_), "cuMemAlloc");
}

GpuMemory::~GpuMemory() {
  driver_->release(address_);
}

int GpuMemory::dma_buf(std::string& reason) const {
  constexpr int dma_buf_descriptor = 1;  // CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD
  if (driver_->handle_for_range == nullptr) {
    reason = "the driver has no cuMemGetHandleForAddressRange (from 11.7)";
    return -1;
  }
  int descriptor = -1;
  const int code = driver_->handle_for_range(&descriptor, address_, bytes_, dma_buf_descriptor, 0);
  if (code == 0) return descriptor;
  reason = driver_->words(code);
  return -1;
}

void GpuMemory::write(std::size_t offset, std::span<const std::byte> data) {
  driver_->check(driver_->to_device(address_ + offset, data.data(), data.size()), "cuMemcpyHtoD");
}

void GpuMemory::read(std::size_t offset, std::span<std::byte> data) const {
  driver_->check(driver_->to_host(data.data(), address_ + offset, data.size()), "cuMemcpyDtoH");
}

std::string GpuMemory::gpu_name(int gpu) {
  const CudaDriver driver(gpu);
  std::array<char, 128> name{};
  driver.check(driver.device_name(name.data(), static_cast<int>(name.size()), driver.device),
               "cuDeviceGetName");
  return name.data();
}

}  // namespace sextant::rdma
