#include "calibrate/measure/device/mixture.hpp"

#include <utility>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/elementwise.hpp"

namespace sextant::measure {
namespace {

constexpr std::int64_t bf16_bytes = 2;
constexpr std::size_t pointer_lists = 6;

}  // namespace

Mixture::Mixture(const MoeRow& shape, Routing routing)
    : shape_(shape),
      routing_(std::move(routing)),
      rows_(static_cast<std::int64_t>(routing_.row_tokens.size())),
      width_(shape.intermediate / shape.tp) {
  for (const Routing::Load& load : routing_.loads) {
    if (groups_.empty() || groups_.back().rows != load.rows) groups_.push_back({load.rows, 0});
    ++groups_.back().products;
  }
}

std::size_t Mixture::expert_bytes() const {
  return static_cast<std::size_t>(3 * shape_.hidden * width_ * bf16_bytes);
}

std::size_t Mixture::pointer_bytes() const {
  return pointer_lists * routing_.loads.size() * sizeof(void*);
}

std::size_t Mixture::list_bytes() const {
  return pointer_bytes() + (routing_.row_tokens.size() + routing_.token_rows.size()) * sizeof(std::int32_t);
}

void Mixture::write_lists(const Buffers& buffers, void* lists, cudaStream_t stream) const {
  const std::size_t count = routing_.loads.size();
  std::vector<const std::byte*> all(pointer_lists * count);
  std::int64_t row = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* weights =
        buffers.experts + static_cast<std::size_t>(routing_.loads[i].expert) * expert_bytes();
    all[i] = weights;
    all[count + i] = buffers.gathered + row * shape_.hidden * bf16_bytes;
    all[2 * count + i] = buffers.gate_up + row * 2 * width_ * bf16_bytes;
    all[3 * count + i] = weights + 2 * shape_.hidden * width_ * bf16_bytes;
    all[4 * count + i] = buffers.activated + row * width_ * bf16_bytes;
    all[5 * count + i] = buffers.expert_output + row * shape_.hidden * bf16_bytes;
    row += routing_.loads[i].rows;
  }
  auto* places = static_cast<std::byte*>(lists) + pointer_bytes();
  const std::size_t row_bytes = routing_.row_tokens.size() * sizeof(std::int32_t);
  const auto copy = [&](void* to, const void* from, std::size_t bytes) {
    SEXTANT_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream));
  };
  copy(lists, all.data(), pointer_bytes());
  copy(places, routing_.row_tokens.data(), row_bytes);
  copy(places + row_bytes, routing_.token_rows.data(), routing_.token_rows.size() * sizeof(std::int32_t));
  SEXTANT_CUDA(cudaStreamSynchronize(stream));
}

void Mixture::run(const GroupedBlas& blas, const Buffers& buffers, const void* lists,
                  cudaStream_t stream) const {
  if (rows_ == 0) {  // no token came to this GPU's experts
    SEXTANT_CUDA(cudaMemsetAsync(
        buffers.output, 0, static_cast<std::size_t>(shape_.tokens * shape_.hidden * bf16_bytes), stream));
    return;
  }
  const auto* inputs = static_cast<const void* const*>(lists);
  auto* outputs = static_cast<void* const*>(const_cast<void*>(lists));
  const std::size_t count = routing_.loads.size();
  const auto* row_tokens =
      reinterpret_cast<const std::int32_t*>(static_cast<const std::byte*>(lists) + pointer_bytes());
  gather_rows(buffers.input, row_tokens, buffers.gathered, rows_, shape_.hidden, stream);
  blas.run(groups_, 2 * width_, shape_.hidden, {inputs, inputs + count, outputs + 2 * count}, stream);
  silu_multiply(buffers.gate_up, buffers.activated, false, rows_, width_, stream);
  blas.run(groups_, shape_.hidden, width_, {inputs + 3 * count, inputs + 4 * count, outputs + 5 * count},
           stream);
  sum_rows(buffers.expert_output, row_tokens + rows_, buffers.shares, buffers.output, shape_.tokens,
           static_cast<int>(shape_.topk), shape_.hidden, stream);
}

}  // namespace sextant::measure
