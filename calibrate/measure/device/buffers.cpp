#include "calibrate/measure/device/buffers.hpp"

#include <fmt/core.h>

#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/device/check.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::size_t alignment = 256;

}  // namespace

DeviceBuffer::DeviceBuffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes > 0) SEXTANT_CUDA(cudaMalloc(&data_, bytes));
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) cudaFree(data_);
}

Stream::Stream() {
  SEXTANT_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

Stream::~Stream() {
  cudaStreamDestroy(stream_);
}

void Stream::wait() const {
  SEXTANT_CUDA(cudaStreamSynchronize(stream_));
}

Event::Event() {
  SEXTANT_CUDA(cudaEventCreate(&event_));
}

Event::~Event() {
  if (event_ != nullptr) cudaEventDestroy(event_);
}

void Event::record(cudaStream_t stream) const {
  SEXTANT_CUDA(cudaEventRecord(event_, stream));
}

void Event::wait() const {
  SEXTANT_CUDA(cudaEventSynchronize(event_));
}

double microseconds(const Event& begin, const Event& end) {
  constexpr double microseconds_per_millisecond = 1000;
  float milliseconds = 0;
  SEXTANT_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
  return microseconds_per_millisecond * static_cast<double>(milliseconds);
}

void* Arena::take(std::size_t bytes) {
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (rounded > left())
    throw Error(ExitCode::failure, fmt::format("skipped: needs {} more than the {} set aside",
                                               bytes_text(static_cast<double>(rounded - left())),
                                               bytes_text(static_cast<double>(bytes_))));
  void* piece = data_ + used_;
  used_ += rounded;
  return piece;
}

}  // namespace sextant::measure
