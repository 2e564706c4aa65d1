#include <algorithm>

#include "calibrate/measure/device/decode_attention.hpp"

namespace sextant::measure {
namespace {

int ceil_div(std::int64_t a, std::int64_t b) {
  return static_cast<int>((a + b - 1) / b);
}

}  // namespace

int decode_query_tiles(const DecodeShape& shape) {
  return ceil_div(shape.heads / shape.kv_heads, decode_query_rows);
}

int decode_pages_per_split(const DecodeShape& shape, int splits) {
  const int round = decode_warps * (shape.kv == Element::fp8 ? 2 : 1);
  return ceil_div(ceil_div(pages_of(shape.context), splits), round) * round;
}

std::int64_t pages_of(std::int64_t tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}

std::size_t page_bytes(const DecodeShape& shape) {
  constexpr int bits_per_byte = 8;
  return static_cast<std::size_t>(page_tokens * shape.kv_heads * shape.head_dim) *
         static_cast<std::size_t>(element_bits(shape.kv)) / bits_per_byte;
}

int decode_splits(const DecodeShape& shape, int multiprocessors) {
  constexpr int tokens_to_fill = 64, tokens_to_balance = 512;  // least tokens of a split for either purpose
  constexpr int balanced_rounds = 4;                           // blocks per slot that even out the last round
  const std::int64_t blocks = shape.batch * shape.kv_heads * decode_query_tiles(shape);
  const std::int64_t slots = static_cast<std::int64_t>(multiprocessors) * decode_blocks_per_multiprocessor;
  const int to_fill = std::min(static_cast<int>(std::max<std::int64_t>(slots / blocks, 1)),
                               ceil_div(shape.context, tokens_to_fill));
  const int to_balance =
      std::min(ceil_div(balanced_rounds * slots, blocks), ceil_div(shape.context, tokens_to_balance));
  const int wanted = std::max(to_fill, blocks < balanced_rounds * slots ? to_balance : 1);
  // As many as there are pages for: no split stays empty.
  return ceil_div(pages_of(shape.context), decode_pages_per_split(shape, wanted));
}

std::size_t decode_workspace_bytes(const DecodeShape& shape, int splits) {
  if (splits == 1) return 0;
  const auto entries = static_cast<std::size_t>(splits) * static_cast<std::size_t>(shape.batch * shape.heads);
  return entries * (static_cast<std::size_t>(shape.head_dim) + 2) * sizeof(float);
}

}  // namespace sextant::measure
