#include <cmath>
#include <string>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/decode_attention.hpp"
#include "calibrate/measure/device/mma.cuh"
#include "models/base/error.hpp"

// Four warps of a block share one sequence, one KV head and one split; each takes every fourth tile of tokens
// through a ring of its own in shared memory, `stages` - 1 tiles ahead. Copies take whole lines of 128 bytes:
// half lines, which the products alone would suggest, reach 3.1 of H200's 4.8 TB/s. The order of the summed
// index (head_dim in Q K^T) and of the outputs' columns (head_dim in P V) is ours to choose, so that every
// lane reads 16 consecutive bytes of a token. The block that ends last joins the splits.

namespace sextant::measure {
namespace {

constexpr int warps = decode_warps;
constexpr int lanes = 32;
constexpr int threads = warps * lanes;
constexpr int query_rows = decode_query_rows;
constexpr int page = static_cast<int>(page_tokens);

struct KernelArguments {
  const __nv_bfloat16* query;
  const std::uint8_t* keys;
  const std::uint8_t* values;
  const std::int32_t* page_table;
  const std::int32_t* lengths;
  __nv_bfloat16* output;
  float* partial;         ///< [split][batch][heads][D]; unused with one split
  float2* partial_stats;  ///< [split][batch][heads]: maximum (log2) and sum
  unsigned* arrived;      ///< [batch][kv_heads * query_tiles]: splits done; zero before and after
  int heads, kv_heads, group, query_tiles;
  int table_pages;  ///< of a sequence in the page table
  int pages_per_split, splits;
  float scale_log2;  ///< 1 / sqrt(head_dim) * log2(e)
};

constexpr int ring_bytes = decode_ring_bytes_per_warp;

template <int Words>
__device__ void load_words_of(const std::uint8_t* from, std::uint32_t (&words)[Words]) {
  if constexpr (Words == 2) {
    const uint2 both = *reinterpret_cast<const uint2*>(from);
    words[0] = both.x, words[1] = both.y;
  } else {
    const uint4 all = *reinterpret_cast<const uint4*>(from);
    words[0] = all.x, words[1] = all.y, words[2] = all.z, words[3] = all.w;
  }
}

template <bool Fp8, int D>
struct Tile {
  static constexpr int element_bytes = Fp8 ? 1 : 2;
  static constexpr int pages = Fp8 ? 2 : 1;
  static constexpr int key_loads = D * element_bytes / 64;  ///< of 16 bytes a lane, 64 a token
  static constexpr int value_words = D / 8 * element_bytes / 4;
  static constexpr int value_bytes = value_words == 2 ? 8 : 16;      ///< of one load of a lane
  static constexpr int value_loads = value_words * 4 / value_bytes;  ///< of a lane and token
  static constexpr int column_tiles = D / 8;
  static constexpr int tokens = pages * page;
  static constexpr int row_bytes = D * element_bytes;  ///< of one token and head
  static constexpr int row_chunks = row_bytes / 16;
  static constexpr int rows_a_copy = lanes / row_chunks;  ///< tokens that one instruction of a warp copies
  static constexpr int key_bytes = tokens * row_bytes;
  static constexpr int bytes = 2 * key_bytes;
  static constexpr int stages = ring_bytes / bytes;

  /// Where 16 bytes of a token stand: exchanged within their line of 128 bytes so that the lanes that read
  /// together (two tokens' keys, or four tokens' values) find different banks.
  __device__ static int key_place(int token, int chunk) {
    return (token * row_chunks + chunk) ^ (row_chunks >= 8 ? (token & 1) << 2 : 0);
  }
  __device__ static int value_place(int token, int chunk) {
    return (token * row_chunks + chunk) ^ (token & 6);
  }

  /// Starts this lane's copies of a tile. `offset`: bytes from page 0 of this head to its chunk of token
  /// lane / row_chunks.
  __device__ static void fetch(std::uint32_t slot, const std::uint8_t* keys, const std::uint8_t* values,
                               std::uint32_t offset, std::uint32_t row_stride, const int (&ids)[pages],
                               int lane) {
#pragma unroll
    for (int i = 0; i < tokens / rows_a_copy; ++i) {
      const int token = i * rows_a_copy + lane / row_chunks, chunk = lane % row_chunks;
      const std::size_t from = static_cast<std::size_t>(ids[i * rows_a_copy / page]) * (page * row_stride) +
                               (i * rows_a_copy % page) * row_stride + offset;
      copy_async(slot + key_place(token, chunk) * 16, keys + from);
      copy_async(slot + key_bytes + value_place(token, chunk) * 16, values + from);
    }
  }

  /// Scores of 8 tokens: page p, first or second half.
  __device__ static void scores(const std::uint8_t* slot, const std::uint32_t (&query)[D / 16][4], int p,
                                int half, int lane, float (&c)[4]) {
    const auto* keys = reinterpret_cast<const uint4*>(slot);
    const int token = p * page + half * 8 + lane / 4;
#pragma unroll
    for (int q = 0; q < key_loads; ++q) {
      const uint4 words = keys[key_place(token, lane % 4 + 4 * q)];
      const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
      if constexpr (Fp8) {
#pragma unroll
        for (int s = 0; s < 4; ++s)
          mma_fp16(c, query[4 * q + s], fp16_of_fp8(word[s] & 0xffffU), fp16_of_fp8(word[s] >> 16));
      } else {
#pragma unroll
        for (int s = 0; s < 2; ++s) mma_bf16(c, query[2 * q + s], word[2 * s], word[2 * s + 1]);
      }
    }
  }

  /// Adds the probabilities of page p times its values.
  __device__ static void add_values(const std::uint8_t* slot, int p, int lane,
                                    const std::uint32_t (&probability)[4], float (&out)[column_tiles][4]) {
    const std::uint8_t* values = slot + key_bytes;
    const int token = p * page + 2 * (lane % 4), byte = lane / 4 * value_bytes;
    constexpr int load_words = value_bytes / 4;
#pragma unroll
    for (int part = 0; part < value_loads; ++part) {
      std::uint32_t v[4][load_words];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        load_words_of<load_words>(
            values + value_place(token + (i & 1) + (i >> 1) * 8, byte / 16 + part * 8) * 16 + byte % 16,
            v[i]);
#pragma unroll
      for (int word = 0; word < load_words; ++word) {
        const int w = part * load_words + word;
        if constexpr (Fp8) {
#pragma unroll
          for (int side = 0; side < 2; ++side) {
            std::uint32_t pair[4];
#pragma unroll
            for (int i = 0; i < 4; ++i)
              pair[i] = fp16_of_fp8(side == 0 ? v[i][word] & 0xffffU : v[i][word] >> 16);
            mma_fp16(out[4 * w + 2 * side], probability, low_halves(pair[0], pair[1]),
                     low_halves(pair[2], pair[3]));
            mma_fp16(out[4 * w + 2 * side + 1], probability, high_halves(pair[0], pair[1]),
                     high_halves(pair[2], pair[3]));
          }
        } else {
          mma_bf16(out[2 * w], probability, low_halves(v[0][word], v[1][word]),
                   low_halves(v[2][word], v[3][word]));
          mma_bf16(out[2 * w + 1], probability, high_halves(v[0][word], v[1][word]),
                   high_halves(v[2][word], v[3][word]));
        }
      }
    }
  }

  /// The head_dim index of column `n` (0..7) of column tile `j`: as load_values and add_values order them.
  __device__ static int column(int j, int n) {
    if constexpr (Fp8) return n * (D / 8) + j;
    return (j / 8) * 64 + n * 8 + j % 8;
  }
};

/// The queries as this lane's A operands of each step, zero where the group has fewer heads.
template <bool Fp8, int D>
__device__ void load_query(const KernelArguments& a, int batch, int first_head, int rows, int lane,
                           std::uint32_t (&query)[D / 16][4]) {
  constexpr int chunk = Fp8 ? 4 : 8;  // consecutive elements a lane holds: of one step (fp8), of two (bf16)
  const int g = lane / 4, t = lane % 4;
#pragma unroll
  for (int step = 0; step < D / 16; ++step) {
    const int d =
        Fp8 ? (step / 4) * 64 + t * 16 + (step % 4) * chunk : (step / 2) * 32 + t * chunk + (step % 2) * 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = g + 8 * half;
      const auto* source = reinterpret_cast<const __nv_bfloat162*>(
          a.query + (static_cast<std::size_t>(batch) * a.heads + first_head + row) * D + d);
#pragma unroll
      for (int pair = 0; pair < 2; ++pair) {
        std::uint32_t& word = query[step][2 * pair + half];
        word = 0;
        if (row >= rows) continue;
        const __nv_bfloat162 value = source[pair];
        if constexpr (Fp8)
          word = pack_fp16(__bfloat162float(value.x), __bfloat162float(value.y));
        else
          word = *reinterpret_cast<const std::uint32_t*>(&value);
      }
    }
  }
}

__device__ float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 2));
}
__device__ float quad_sum(float x) {
  x += __shfl_xor_sync(0xffffffffU, x, 1);
  return x + __shfl_xor_sync(0xffffffffU, x, 2);
}

/// One warp joins the splits of each head that this block holds.
template <int D>
__device__ void join_splits(const KernelArguments& a, std::size_t heads, std::size_t first_head, int rows,
                            int warp, int lane) {
  constexpr int width = D / lanes;  // values of a lane
  for (int row = warp; row < rows; row += warps) {
    const std::size_t head = first_head + row;
    float highest = -INFINITY;
    for (int s = lane; s < a.splits; s += lanes)
      highest = fmaxf(highest, __ldcg(&a.partial_stats[s * heads + head]).x);
#pragma unroll
    for (int distance = lanes / 2; distance > 0; distance /= 2)
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffU, highest, distance));
    float total = 0, value[width] = {};
#pragma unroll 8
    for (int s = 0; s < a.splits; ++s) {
      const float2 own = __ldcg(&a.partial_stats[s * heads + head]);
      const float weight = exp2f(own.x - highest);
      total += weight * own.y;
      const float* from = a.partial + (s * heads + head) * D + lane * width;
#pragma unroll
      for (int i = 0; i < width; i += 2) {
        const float2 pair = __ldcg(reinterpret_cast<const float2*>(from + i));
        value[i] += weight * pair.x;
        value[i + 1] += weight * pair.y;
      }
    }
#pragma unroll
    for (int i = 0; i < width; ++i)
      a.output[head * D + lane * width + i] = __float2bfloat16(value[i] / total);
  }
}

/// Shared memory of a block: the warps' rings, and in their place, after the last tile, what they found.
template <int D>
struct Merged {
  float values[warps][query_rows][D];
  float2 stats[warps][query_rows];
};

template <bool Fp8, int D>
__global__ void __launch_bounds__(threads, decode_blocks_per_multiprocessor)
    decode_kernel(const KernelArguments a) {
  using T = Tile<Fp8, D>;
  extern __shared__ __align__(128) std::uint8_t shared[];
  static_assert(sizeof(Merged<D>) <= warps * ring_bytes, "the results fit into the rings");

  const int lane = threadIdx.x % lanes, warp = threadIdx.x / lanes;
  const int g = lane / 4, t = lane % 4;
  const int kv_head = blockIdx.x / a.query_tiles, query_tile = blockIdx.x % a.query_tiles;
  const int split = blockIdx.y, batch = blockIdx.z;
  const int first_head = kv_head * a.group + query_tile * query_rows;
  const int rows = min(query_rows, a.group - query_tile * query_rows);

  const int length = a.lengths[batch];
  const int begin = split * a.pages_per_split;
  const int end = min(begin + a.pages_per_split, (length + page - 1) / page);
  const int all_tiles = end > begin ? (end - begin + T::pages - 1) / T::pages : 0;
  const int tiles = all_tiles > warp ? (all_tiles - warp + warps - 1) / warps : 0;
  const std::int32_t* table = a.page_table + static_cast<std::size_t>(batch) * a.table_pages;
  const std::uint32_t row_stride = a.kv_heads * D * T::element_bytes;
  const std::uint32_t offset =
      kv_head * T::row_bytes + lane / T::row_chunks * row_stride + lane % T::row_chunks * 16;
  std::uint8_t* ring = shared + warp * ring_bytes;
  const auto ring_address = static_cast<std::uint32_t>(__cvta_generic_to_shared(ring));

  // Page numbers come 32 at a time, one block of them ahead.
  constexpr int tiles_per_block = lanes / T::pages;
  const auto load_ids = [&](int block) {
    const int tile = block * tiles_per_block + lane / T::pages;
    const int index = begin + (warp + warps * tile) * T::pages + lane % T::pages;
    return table[max(min(index, end - 1), 0)];
  };
  int ids = tiles > 0 ? load_ids(0) : 0, next_ids = tiles > tiles_per_block ? load_ids(1) : 0;
  int fetched = 0, slot_in = 0;
  const auto fetch_next = [&] {
    if (fetched < tiles) {
      if (fetched > 0 && fetched % tiles_per_block == 0) {
        ids = next_ids;
        next_ids = load_ids(fetched / tiles_per_block + 1);
      }
      int now[T::pages];
#pragma unroll
      for (int p = 0; p < T::pages; ++p)
        now[p] = __shfl_sync(0xffffffffU, ids, (fetched % tiles_per_block) * T::pages + p);
      T::fetch(ring_address + slot_in * T::bytes, a.keys, a.values, offset, row_stride, now, lane);
      slot_in = slot_in + 1 == T::stages ? 0 : slot_in + 1;
    }
    ++fetched;
    commit_copies();  // an empty group past the end keeps the count of groups in step
  };
#pragma unroll
  for (int i = 0; i < T::stages - 1; ++i) fetch_next();
  std::uint32_t query[D / 16][4];
  load_query<Fp8, D>(a, batch, first_head, rows, lane, query);

  float out[T::column_tiles][4] = {};
  float maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  int slot_out = 0;
  for (int i = 0; i < tiles; ++i) {
    wait_for_copies<T::stages - 2>();
    __syncwarp();  // the other lanes' copies too, and all have read the slot that is filled next
    const std::uint8_t* slot = ring + slot_out * T::bytes;
    slot_out = slot_out + 1 == T::stages ? 0 : slot_out + 1;
    fetch_next();
    float score[T::pages][2][4] = {};
#pragma unroll
    for (int p = 0; p < T::pages; ++p)
#pragma unroll
      for (int half = 0; half < 2; ++half) T::scores(slot, query, p, half, lane, score[p][half]);

    const int first_token = (begin + (warp + warps * i) * T::pages) * page;
    float highest[2] = {maximum[0], maximum[1]};
#pragma unroll
    for (int p = 0; p < T::pages; ++p)
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          float& value = score[p][half][c];
          const int token = first_token + p * page + half * 8 + 2 * t + (c & 1);
          value = token < length && token < end * page ? value * a.scale_log2 : -INFINITY;
          highest[c >> 1] = fmaxf(highest[c >> 1], value);
        }
    float shrink[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      highest[r] = quad_max(highest[r]);
      shrink[r] = exp2f(maximum[r] - highest[r]);  // the first tile of a warp has a token that counts
      maximum[r] = highest[r];
      sum[r] *= shrink[r];
    }
    if (__any_sync(0xffffffffU, shrink[0] != 1.0F || shrink[1] != 1.0F)) {
#pragma unroll
      for (int j = 0; j < T::column_tiles; ++j)
#pragma unroll
        for (int c = 0; c < 4; ++c) out[j][c] *= shrink[c >> 1];
    }
#pragma unroll
    for (int p = 0; p < T::pages; ++p) {
      std::uint32_t probability[4];
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const float low = exp2f(score[p][half][2 * r] - maximum[r]);
          const float high = exp2f(score[p][half][2 * r + 1] - maximum[r]);
          sum[r] += low + high;
          probability[2 * half + r] = Fp8 ? pack_fp16(low, high) : pack_bf16(low, high);
        }
      T::add_values(slot, p, lane, probability, out);
    }
  }

  // The warps' results, each relative to its own maximum, come together in shared memory.
  __syncthreads();
  auto& merged = *reinterpret_cast<Merged<D>*>(shared);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    sum[r] = quad_sum(sum[r]);
    if (t == 0) merged.stats[warp][g + 8 * r] = make_float2(maximum[r], sum[r]);
  }
#pragma unroll
  for (int j = 0; j < T::column_tiles; ++j)
#pragma unroll
    for (int c = 0; c < 4; ++c)
      merged.values[warp][g + 8 * (c >> 1)][T::column(j, 2 * t + (c & 1))] = out[j][c];
  __syncthreads();
  const std::size_t heads = static_cast<std::size_t>(gridDim.z) * a.heads;
  const std::size_t own_head = static_cast<std::size_t>(batch) * a.heads + first_head;
  for (int i = threadIdx.x; i < rows * D; i += threads) {
    const int row = i / D, d = i % D;
    float highest = -INFINITY, total = 0, value = 0;
#pragma unroll
    for (int w = 0; w < warps; ++w) highest = fmaxf(highest, merged.stats[w][row].x);
    if (highest != -INFINITY)
#pragma unroll
      for (int w = 0; w < warps; ++w) {
        const float weight = exp2f(merged.stats[w][row].x - highest);
        total += weight * merged.stats[w][row].y;
        value += weight * merged.values[w][row][d];
      }
    const std::size_t head = own_head + row;
    if (a.splits == 1) {
      a.output[head * D + d] = __float2bfloat16(value / total);
    } else {
      a.partial[(split * heads + head) * D + d] = value;
      if (d == 0) a.partial_stats[split * heads + head] = make_float2(highest, total);
    }
  }
  if (a.splits == 1) return;

  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned& arrived = a.arrived[batch * gridDim.x + blockIdx.x];
    last = atomicAdd(&arrived, 1U) + 1 == static_cast<unsigned>(a.splits);
    if (last) arrived = 0;
    __threadfence();
  }
  __syncthreads();
  if (last) join_splits<D>(a, heads, own_head, rows, warp, lane);
}

__global__ void scatter_kernel(std::int32_t* table, std::int64_t entries, std::int64_t first,
                               std::int64_t pages) {
  constexpr std::int64_t step = 2654435761;  // a prime: divides no number of pages there is
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i < entries) table[i] = static_cast<std::int32_t>((first + i) % pages * step % pages);
}

__global__ void set_kernel(std::int32_t* data, std::int64_t count, std::int32_t value) {
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i < count) data[i] = value;
}

template <bool Fp8, int D>
void launch(const DecodeShape& shape, const KernelArguments& a, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(shape.kv_heads) * a.query_tiles, a.splits,
                  static_cast<unsigned>(shape.batch));
  SEXTANT_CUDA(cudaFuncSetAttribute(decode_kernel<Fp8, D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    warps * ring_bytes));
  decode_kernel<Fp8, D><<<grid, threads, warps * ring_bytes, stream>>>(a);
  check_launch("decode_kernel");
}

}  // namespace

void decode_attention(const DecodeShape& shape, const DecodeOperands& operands, int splits,
                      cudaStream_t stream) {
  KernelArguments a{};
  a.query = static_cast<const __nv_bfloat16*>(operands.query);
  a.keys = static_cast<const std::uint8_t*>(operands.keys);
  a.values = static_cast<const std::uint8_t*>(operands.values);
  a.page_table = operands.page_table;
  a.lengths = operands.lengths;
  a.output = static_cast<__nv_bfloat16*>(operands.output);
  a.partial = static_cast<float*>(operands.workspace);
  a.partial_stats = reinterpret_cast<float2*>(a.partial + static_cast<std::size_t>(splits) * shape.batch *
                                                              shape.heads * shape.head_dim);
  a.arrived = reinterpret_cast<unsigned*>(a.partial_stats +
                                          static_cast<std::size_t>(splits) * shape.batch * shape.heads);
  a.heads = static_cast<int>(shape.heads);
  a.kv_heads = static_cast<int>(shape.kv_heads);
  a.group = static_cast<int>(shape.heads / shape.kv_heads);
  a.query_tiles = decode_query_tiles(shape);
  a.table_pages = static_cast<int>(pages_of(shape.context));
  a.pages_per_split = decode_pages_per_split(shape, splits);
  a.splits = splits;
  a.scale_log2 = static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(shape.head_dim)));
  const bool fp8 = shape.kv == Element::fp8;
  if (shape.head_dim == 128)
    fp8 ? launch<true, 128>(shape, a, stream) : launch<false, 128>(shape, a, stream);
  else if (shape.head_dim == 64)
    fp8 ? launch<true, 64>(shape, a, stream) : launch<false, 64>(shape, a, stream);
  else
    throw Error(ExitCode::failure, "skipped: decode attention of head size " +
                                       std::to_string(shape.head_dim) + ", expected 64 or 128");
}

void prepare_decode_workspace(const DecodeShape& shape, int splits, void* workspace, cudaStream_t stream) {
  SEXTANT_CUDA(cudaMemsetAsync(workspace, 0, decode_workspace_bytes(shape, splits), stream));
}

void scatter_pages(std::int32_t* table, std::int64_t entries, std::int64_t first, std::int64_t pages,
                   cudaStream_t stream) {
  scatter_kernel<<<static_cast<unsigned>((entries + 255) / 256), 256, 0, stream>>>(table, entries, first,
                                                                                   pages);
  check_launch("scatter_pages");
}

void set_lengths(std::int32_t* lengths, std::int64_t count, std::int64_t value, cudaStream_t stream) {
  set_kernel<<<static_cast<unsigned>((count + 255) / 256), 256, 0, stream>>>(
      lengths, count, static_cast<std::int32_t>(value));
  check_launch("set_lengths");
}

}  // namespace sextant::measure
