#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace sextant::rdma {

struct CudaDriver;

/// Memory of one GPU, through the CUDA driver's library, which is loaded when this is made: no toolkit is
/// needed, at build or at run time.
class GpuMemory {
 public:
  /// Throws Error naming what is missing: the library, the GPU, the memory.
  GpuMemory(int gpu, std::size_t bytes);
  ~GpuMemory();
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;

  std::uint64_t address() const { return address_; }
  std::size_t bytes() const { return bytes_; }
  /// A descriptor of the memory as DMA-BUF, the caller's to close; -1 with `reason` where the driver has
  /// none.
  int dma_buf(std::string& reason) const;
  void write(std::size_t offset, std::span<const std::byte> data);
  void read(std::size_t offset, std::span<std::byte> data) const;

  /// The driver's name of the GPU; throws Error as the constructor does.
  static std::string gpu_name(int gpu);

 private:
  std::unique_ptr<CudaDriver> driver_;
  std::uint64_t address_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace sextant::rdma
