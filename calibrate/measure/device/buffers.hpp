#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace sextant::measure {

/// Device memory, freed at the end of its life.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// Throws Error where there is not as much.
  explicit DeviceBuffer(std::size_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  template <class Value = void>
  Value* at(std::size_t byte_offset = 0) const {
    return reinterpret_cast<Value*>(static_cast<std::byte*>(data_) + byte_offset);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  void swap(DeviceBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A stream that does not wait for the default stream.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }
  void wait() const;  ///< until everything in it is done; throws Error if something failed

 private:
  cudaStream_t stream_ = nullptr;
};

/// A point in a stream at which the device reads its clock.
class Event {
 public:
  Event();
  ~Event();
  Event(Event&& other) noexcept { std::swap(event_, other.event_); }
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  operator cudaEvent_t() const { return event_; }
  void record(cudaStream_t) const;
  void wait() const;

 private:
  cudaEvent_t event_ = nullptr;
};

/// Microseconds between two events that have both happened.
double microseconds(const Event& begin, const Event& end);

/// Hands out consecutive pieces of one buffer, 256-byte aligned.
class Arena {
 public:
  Arena(std::byte* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  explicit Arena(const DeviceBuffer& buffer) : Arena(buffer.at<std::byte>(), buffer.bytes()) {}
  /// Throws Error "skipped: needs ..." where the rest is too small.
  void* take(std::size_t bytes);
  std::size_t left() const { return bytes_ - used_; }
  void reset() { used_ = 0; }
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
  std::size_t used_ = 0;
};

}  // namespace sextant::measure
