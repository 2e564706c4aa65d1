#pragma once
#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "calibrate/measure/rdma/device.hpp"
#include "calibrate/measure/rdma/gpu_memory.hpp"

namespace sextant::rdma {

/// Registered memory of one end: for each queue pair a slot that supplies data and a slot that takes them in.
class Buffer {
 public:
  /// `gpu` below 0: host memory. Throws Error if the memory cannot be had or registered, with every way
  /// tried.
  Buffer(const Device&, int gpu, int qps, std::int64_t largest);

  std::uint64_t supply(int qp) const { return address_ + slot_bytes_ * static_cast<std::uint64_t>(qp); }
  std::uint64_t intake(int qp) const { return supply(qps_ + qp); }
  std::uint64_t slot_bytes() const { return slot_bytes_; }
  std::uint32_t local_key() const { return region_->lkey; }
  std::uint32_t remote_key() const { return region_->rkey; }
  bool on_gpu() const { return static_cast<bool>(gpu_); }
  /// "host memory", "DMA-BUF", "nvidia-peermem".
  const std::string& path() const { return path_; }

  /// Puts a pattern into every supply slot and clears every intake slot. Returns the supply slots' sums.
  std::vector<std::uint64_t> prepare(std::uint64_t seed, std::int64_t bytes);
  /// Sums of the first `bytes` of every intake slot.
  std::vector<std::uint64_t> intake_sums(std::int64_t bytes) const;
  std::vector<std::uint64_t> supply_sums(std::int64_t bytes) const;
  /// Changes one byte of the first supply slot.
  void corrupt(std::int64_t bytes);
  /// The last byte of a slot, for the CPU to watch; host memory only.
  volatile std::uint8_t* last_byte(std::uint64_t slot, std::int64_t bytes) const;

 private:
  void register_host(ibv_pd* domain);
  void register_gpu(ibv_pd* domain);
  void put(std::uint64_t address, std::span<const std::byte> data);
  void get(std::uint64_t address, std::span<std::byte> data) const;
  std::vector<std::uint64_t> sums(int first_slot, std::int64_t bytes) const;

  struct Free {
    void operator()(void* memory) const;
  };
  int qps_;
  std::uint64_t slot_bytes_;
  std::size_t bytes_;
  std::uint64_t address_ = 0;
  std::unique_ptr<void, Free> host_;
  std::unique_ptr<GpuMemory> gpu_;
  std::string path_;
  std::unique_ptr<ibv_mr, Released<ibv_dereg_mr>> region_;
};

}  // namespace sextant::rdma
