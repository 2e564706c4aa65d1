#include "calibrate/measure/device/mixture.hpp"

#include <algorithm>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/elementwise.hpp"

namespace sextant::measure {
namespace {

constexpr std::int64_t bf16_bytes = 2;

}  // namespace

Mixture::Mixture(const MoeRow& shape)
    : shape_(shape),
      rows_(shape.tokens * shape.topk),
      width_(shape.intermediate / shape.tp),
      active_(static_cast<int>(std::min(shape.experts, rows_))) {
  const std::int64_t each = rows_ / active_, more = rows_ % active_;
  if (more > 0) groups_.push_back({each + 1, static_cast<int>(more)});
  groups_.push_back({each, active_ - static_cast<int>(more)});
}

std::size_t Mixture::expert_bytes() const {
  return static_cast<std::size_t>(3 * shape_.hidden * width_ * bf16_bytes);
}

std::int64_t Mixture::first_row(int place) const {
  const std::int64_t each = rows_ / active_, more = rows_ % active_;
  return place * each + std::min<std::int64_t>(place, more);
}

void Mixture::write_lists(const Buffers& buffers, void* lists, cudaStream_t stream) const {
  const auto count = static_cast<std::size_t>(active_);
  std::vector<const std::byte*> all(pointer_lists * count);
  for (int place = 0; place < active_; ++place) {
    const auto i = static_cast<std::size_t>(place);
    const auto expert = static_cast<std::size_t>((buffers.first_expert + place) % shape_.experts);
    const std::byte* weights = buffers.experts + expert * expert_bytes();
    const std::int64_t row = first_row(place);
    all[i] = weights;
    all[count + i] = buffers.input + row * shape_.hidden * bf16_bytes;
    all[2 * count + i] = buffers.gate_up + row * 2 * width_ * bf16_bytes;
    all[3 * count + i] = weights + 2 * shape_.hidden * width_ * bf16_bytes;
    all[4 * count + i] = buffers.activated + row * width_ * bf16_bytes;
    all[5 * count + i] = buffers.output + row * shape_.hidden * bf16_bytes;
  }
  SEXTANT_CUDA(
      cudaMemcpyAsync(lists, all.data(), all.size() * sizeof(void*), cudaMemcpyHostToDevice, stream));
  SEXTANT_CUDA(cudaStreamSynchronize(stream));
}

void Mixture::run(const GroupedBlas& blas, const Buffers& buffers, const void* lists,
                  cudaStream_t stream) const {
  const auto* inputs = static_cast<const void* const*>(lists);
  auto* outputs = static_cast<void* const*>(const_cast<void*>(lists));
  const auto count = static_cast<std::size_t>(active_);
  blas.run(groups_, 2 * width_, shape_.hidden, {inputs, inputs + count, outputs + 2 * count}, stream);
  silu_multiply(buffers.gate_up, buffers.activated, false, rows_, width_, stream);
  blas.run(groups_, shape_.hidden, width_, {inputs + 3 * count, inputs + 4 * count, outputs + 5 * count},
           stream);
}

}  // namespace sextant::measure
