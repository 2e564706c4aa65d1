#include "models/cost/state_space.hpp"

#include <cmath>

#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

struct Sizes {
  double inner, mixing, channels, values, taps, chunk;
};

Sizes sizes_of(const StateSpaceShape& shape) {
  const auto heads = static_cast<double>(shape.heads), head_dim = static_cast<double>(shape.head_dim);
  const auto state = static_cast<double>(shape.state), groups = static_cast<double>(shape.groups);
  return {heads * head_dim,
          groups * state,
          heads * head_dim + 2 * groups * state,
          heads * head_dim * state,
          static_cast<double>(shape.conv_kernel),
          static_cast<double>(shape.chunk)};
}

}  // namespace

OperatorWork state_space_prefill_work(const StateSpaceShape& shape, std::span<const PrefillChunk> chunks) {
  const Sizes size = sizes_of(shape);
  double tokens = 0, scanned = 0;  // scanned: chunks of the scan
  for (const PrefillChunk& chunk : chunks) {
    const auto fresh = static_cast<double>(chunk.new_tokens);
    tokens += fresh;
    scanned += std::ceil(fresh / size.chunk);
  }
  const double scan = 2 * size.chunk * size.mixing + 2 * size.chunk * size.inner + 4 * size.values;
  const double convolution = 2 * size.taps * size.channels;
  OperatorWork work;
  work.flops = tokens * (scan + convolution);
  const double moved = 3 * size.channels + size.inner + static_cast<double>(shape.heads);  // x, B, C; y; dt
  work.bytes = tokens * moved * output_bytes + 2 * scanned * size.values * shape.state_bytes;
  work.streamed_bytes = work.bytes;
  return work;
}

OperatorWork state_space_decode_work(const StateSpaceShape& shape, double batch) {
  const Sizes size = sizes_of(shape);
  OperatorWork work;
  work.flops = batch * (6 * size.values + 2 * size.taps * size.channels);
  work.bytes =
      batch * (2 * size.values * shape.state_bytes +
               (2 * (size.taps - 1) + 2) * size.channels * output_bytes + 2 * size.inner * output_bytes);
  work.streamed_bytes = batch * 2 * size.values * shape.state_bytes;
  return work;
}

}  // namespace sextant
