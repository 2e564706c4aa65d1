#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "calibrate/measure/device/fill.hpp"

namespace sextant::measure {

/// One layer's attention of `batch` sequences that each have one new token, over a paged KV cache.
struct DecodeShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 128;  ///< 64 or 128
  std::int64_t batch = 0;
  std::int64_t context = 0;    ///< cached tokens of each sequence, the new one included
  Element kv = Element::bf16;  ///< or fp8
};

/// Tokens in a page of the KV cache, as vLLM's block_size.
inline constexpr std::int64_t page_tokens = 16;

/// Where it reads and writes. A cache is pages x 16 tokens x kv_heads x head_dim.
struct DecodeOperands {
  const void* query = nullptr;  ///< bf16 [batch, heads, head_dim]
  const void* keys = nullptr;
  const void* values = nullptr;
  const std::int32_t* page_table = nullptr;  ///< [batch, pages of a sequence]
  const std::int32_t* lengths = nullptr;     ///< [batch], at most `context`
  void* output = nullptr;                    ///< bf16 [batch, heads, head_dim]
  void* workspace = nullptr;                 ///< decode_workspace_bytes, prepared once
};

// How the kernel cuts its work.
inline constexpr int decode_warps = 4;                       ///< of a block; each takes every fourth tile
inline constexpr int decode_blocks_per_multiprocessor = 2;   ///< at a time
inline constexpr int decode_ring_bytes_per_warp = 24 << 10;  ///< of shared memory for tiles under way
inline constexpr int decode_query_rows = 16;                 ///< heads of a group that one block computes
int decode_query_tiles(const DecodeShape&);
/// Whole rounds of the four warps, so that they have equal work.
int decode_pages_per_split(const DecodeShape&, int splits);

/// Pages of one sequence in the page table.
std::int64_t pages_of(std::int64_t tokens);
/// Bytes of one page of keys (or values).
std::size_t page_bytes(const DecodeShape&);
/// Parts that every sequence's tokens are cut into so that the GPU is full.
int decode_splits(const DecodeShape&, int multiprocessors);
std::size_t decode_workspace_bytes(const DecodeShape&, int splits);
/// Makes a workspace fit for decode_attention of this shape and number of splits, which leaves it so.
void prepare_decode_workspace(const DecodeShape&, int splits, void* workspace, cudaStream_t);
/// Split-KV attention with tensor-core products; the block that ends last joins a head's splits.
/// Throws Error for a head size that is not built.
void decode_attention(const DecodeShape&, const DecodeOperands&, int splits, cudaStream_t);

/// Fills a page table with distinct pages of a cache of `pages` in scattered order, from
/// page number `first` on.
void scatter_pages(std::int32_t* table, std::int64_t entries, std::int64_t first, std::int64_t pages,
                   cudaStream_t);
void set_lengths(std::int32_t* lengths, std::int64_t count, std::int64_t value, cudaStream_t);

}  // namespace sextant::measure
