#include "calibrate/measure/rdma/buffer.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/rdma/plan/pattern.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

constexpr int access_rights = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
constexpr std::uint64_t page = 4096;

std::uint64_t slot_size(std::int64_t largest) {
  return (static_cast<std::uint64_t>(largest) + page - 1) / page * page;
}

}  // namespace

void Buffer::Free::operator()(void* memory) const {
  std::free(memory);
}

Buffer::Buffer(const Device& device, int gpu, int qps, std::int64_t largest)
    : qps_(qps), slot_bytes_(slot_size(largest)), bytes_(2 * slot_bytes_ * static_cast<std::uint64_t>(qps)) {
  if (gpu >= 0) {
    gpu_ = std::make_unique<GpuMemory>(gpu, bytes_);
    address_ = gpu_->address();
    register_gpu(device.domain());
  } else {
    host_.reset(std::aligned_alloc(page, bytes_));
    if (!host_)
      throw Error(ExitCode::failure,
                  fmt::format("no {} of host memory", measure::bytes_text(double(bytes_))));
    address_ = reinterpret_cast<std::uint64_t>(host_.get());
    register_host(device.domain());
  }
}

void Buffer::register_host(ibv_pd* domain) {
  path_ = "host memory";
  region_.reset(ibv_reg_mr(domain, host_.get(), bytes_, access_rights));
  if (!region_)
    throw Error(ExitCode::failure,
                fmt::format("cannot register {} of host memory: {}; is the limit of locked memory "
                            "(ulimit -l) high enough?",
                            measure::bytes_text(double(bytes_)), std::strerror(errno)));
}

void Buffer::register_gpu(ibv_pd* domain) {
  std::string no_dma_buf;
  if (const int descriptor = gpu_->dma_buf(no_dma_buf); descriptor >= 0) {
    region_.reset(ibv_reg_dmabuf_mr(domain, 0, gpu_->bytes(), address_, descriptor, access_rights));
    if (!region_) no_dma_buf = fmt::format("ibv_reg_dmabuf_mr: {}", std::strerror(errno));
    close(descriptor);
    path_ = "DMA-BUF";
  }
  if (region_) return;
  path_ = "nvidia-peermem";
  // NOLINTNEXTLINE(performance-no-int-to-ptr): verbs takes a GPU's address as it takes any
  region_.reset(ibv_reg_mr(domain, reinterpret_cast<void*>(address_), gpu_->bytes(), access_rights));
  if (!region_)
    throw Error(ExitCode::failure,
                fmt::format("cannot register GPU memory: by DMA-BUF: {}; by nvidia-peermem: {} (is the "
                            "module loaded?)",
                            no_dma_buf, std::strerror(errno)));
}

void Buffer::put(std::uint64_t address, std::span<const std::byte> data) {
  if (gpu_)
    gpu_->write(address - address_, data);
  else
    std::memcpy(static_cast<std::byte*>(host_.get()) + (address - address_), data.data(), data.size());
}

void Buffer::get(std::uint64_t address, std::span<std::byte> data) const {
  if (gpu_)
    gpu_->read(address - address_, data);
  else
    std::memcpy(data.data(), static_cast<const std::byte*>(host_.get()) + (address - address_), data.size());
}

std::vector<std::uint64_t> Buffer::prepare(std::uint64_t seed, std::int64_t bytes) {
  std::vector<std::byte> data(static_cast<std::size_t>(bytes));
  const std::vector<std::byte> zeros(data.size());
  std::vector<std::uint64_t> result;
  for (int qp = 0; qp < qps_; ++qp) {
    fill_pattern(seed + static_cast<std::uint64_t>(qp), data);
    put(supply(qp), data);
    put(intake(qp), zeros);
    result.push_back(checksum(data));
  }
  return result;
}

std::vector<std::uint64_t> Buffer::sums(int first_slot, std::int64_t bytes) const {
  std::vector<std::byte> data(static_cast<std::size_t>(bytes));
  std::vector<std::uint64_t> result;
  for (int qp = 0; qp < qps_; ++qp) {
    get(supply(first_slot + qp), data);
    result.push_back(checksum(data));
  }
  return result;
}

std::vector<std::uint64_t> Buffer::intake_sums(std::int64_t bytes) const {
  return sums(qps_, bytes);
}

std::vector<std::uint64_t> Buffer::supply_sums(std::int64_t bytes) const {
  return sums(0, bytes);
}

void Buffer::corrupt(std::int64_t bytes) {
  std::byte byte{};
  const std::uint64_t place = supply(0) + static_cast<std::uint64_t>(bytes / 2);
  get(place, {&byte, 1});
  byte ^= std::byte{1};
  put(place, {&byte, 1});
}

volatile std::uint8_t* Buffer::last_byte(std::uint64_t slot, std::int64_t bytes) const {
  return static_cast<volatile std::uint8_t*>(host_.get()) + (slot - address_) +
         static_cast<std::uint64_t>(bytes - 1);
}

}  // namespace sextant::rdma
