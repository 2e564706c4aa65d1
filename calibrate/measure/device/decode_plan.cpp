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

namespace {

/// Microseconds of this kernel on a Hopper GPU, by what was measured of it there: good enough to choose by.
/// A round is what the warps of a block take at a time.
struct KernelTime {
  double start = 3.5, next_block = 0.5, join = 1.2, join_of_split = 0.15;
  double full_round;   ///< with every slot busy: the memory's time
  double alone_round;  ///< of one block with nothing beside it: latency and arithmetic
};

KernelTime kernel_time(const DecodeShape& shape, int round_pages) {
  constexpr double bytes_of_block = 17e3;  // a microsecond, with every slot busy
  KernelTime time;
  time.full_round = 2.0 * round_pages * static_cast<double>(page_bytes(shape)) /
                    static_cast<double>(shape.kv_heads) / bytes_of_block;
  time.alone_round =
      0.25 + (shape.kv == Element::fp8 ? 0.75 : 0.4) * static_cast<double>(shape.head_dim) / 128.0;
  return time;
}

}  // namespace

int decode_splits(const DecodeShape& shape, int multiprocessors) {
  const std::int64_t items = shape.batch * shape.kv_heads * decode_query_tiles(shape);
  const std::int64_t slots = static_cast<std::int64_t>(multiprocessors) * decode_blocks_per_multiprocessor;
  const std::int64_t pages = pages_of(shape.context);
  const int round = decode_pages_per_split(shape, static_cast<int>(pages));
  const KernelTime part = kernel_time(shape, round);
  const int most = static_cast<int>(std::clamp<std::int64_t>(4 * slots / items, 1, ceil_div(pages, round)));
  int best = 1;
  double best_time = 0;
  for (int wanted = 1; wanted <= most; ++wanted) {
    const int per_split = decode_pages_per_split(shape, wanted);
    const int splits = ceil_div(pages, per_split);  // as many as there are pages for: none stays empty
    const std::int64_t blocks = items * splits, full = blocks / slots, rest = blocks % slots;
    const double rounds = static_cast<double>(per_split) / round;
    const double share = static_cast<double>(rest) / static_cast<double>(slots);
    double time = part.start + static_cast<double>(full) * (rounds * part.full_round + part.next_block);
    if (rest > 0) time += rounds * std::max(part.alone_round, share * part.full_round) + part.next_block;
    if (splits > 1) time += part.join + part.join_of_split * splits;
    if (wanted == 1 || time < best_time) best = splits, best_time = time;
  }
  return best;
}

std::size_t decode_workspace_bytes(const DecodeShape& shape, int splits) {
  if (splits == 1) return 0;
  const auto entries = static_cast<std::size_t>(splits) * static_cast<std::size_t>(shape.batch * shape.heads);
  const auto counters = static_cast<std::size_t>(shape.batch * shape.kv_heads) *
                        static_cast<std::size_t>(decode_query_tiles(shape));
  return entries * (static_cast<std::size_t>(shape.head_dim) + 2) * sizeof(float) +
         counters * sizeof(unsigned);
}

}  // namespace sextant::measure
