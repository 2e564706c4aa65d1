// A stand-in for the CUDA driver's library: "GPU memory" is host memory, and there is no DMA-BUF. With it the
// code for GPU buffers runs to its end on a machine without GPU; how fast GPUDirect is, it cannot say.
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int success = 0, out_of_memory = 2, invalid_device = 101, not_supported = 801;
constexpr std::size_t page = std::size_t{1} << 21;

void* pointer(std::uint64_t address) {
  return reinterpret_cast<void*>(
      address);  // NOLINT(performance-no-int-to-ptr): the driver's addresses are numbers
}

}  // namespace

extern "C" {

int cuInit(unsigned) {
  return success;
}
int cuGetErrorString(int code, const char** text) {
  *text = code == not_supported ? "operation not supported" : "error";
  return success;
}
int cuDeviceGet(int* device, int number) {
  *device = number;
  return number == 0 ? success : invalid_device;
}
int cuDeviceGetName(char* name, int bytes, int) {
  std::strncpy(name, "stand-in", static_cast<std::size_t>(bytes));
  return success;
}
int cuDevicePrimaryCtxRetain(void** context, int) {
  *context = nullptr;
  return success;
}
int cuCtxSetCurrent(void*) {
  return success;
}
int cuMemAlloc_v2(std::uint64_t* address, std::size_t bytes) {
  *address = reinterpret_cast<std::uint64_t>(std::aligned_alloc(page, bytes));
  return *address == 0 ? out_of_memory : success;
}
int cuMemFree_v2(std::uint64_t address) {
  std::free(pointer(address));
  return success;
}
int cuMemcpyHtoD_v2(std::uint64_t to, const void* from, std::size_t bytes) {
  std::memcpy(pointer(to), from, bytes);
  return success;
}
int cuMemcpyDtoH_v2(void* to, std::uint64_t from, std::size_t bytes) {
  std::memcpy(to, pointer(from), bytes);
  return success;
}
int cuMemGetHandleForAddressRange(void*, std::uint64_t, std::size_t, int, unsigned long long) {
  return not_supported;
}

}  // extern "C"
