#include <cmath>
#include <string>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/decode_attention.hpp"
#include "calibrate/measure/device/mma.cuh"
#include "models/base/error.hpp"

// Four warps of a block share one sequence, one KV head and one split; each takes every fourth tile of
// tokens, straight from memory into the registers that the tensor cores read: the order of the summed index
// (head_dim in Q K^T) and of the outputs' columns (head_dim in P V) is ours to choose, so every lane reads 16
// consecutive bytes and nothing is shuffled. Keys of the next tile are under way while this tile's softmax
// and values are computed.

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
  int heads, kv_heads, group, query_tiles;
  int table_pages;  ///< of a sequence in the page table
  int pages_per_split, splits;
  float scale_log2;  ///< 1 / sqrt(head_dim) * log2(e)
};

template <bool Fp8, int D>
struct Tile {
  static constexpr int element_bytes = Fp8 ? 1 : 2;
  static constexpr int pages = Fp8 ? 2 : 1;
  static constexpr int key_loads = D * element_bytes / 64;  ///< of 16 bytes a lane, 64 a token
  static constexpr int value_words = D / 8 * element_bytes / 4;
  static constexpr int column_tiles = D / 8;
  uint4 keys[pages][2][key_loads];
  std::uint32_t values[pages][4][value_words];

  /// `base`: this lane's bytes of token lane / 4 of page 0.
  __device__ void load_keys(const std::uint8_t* base, std::uint32_t row_stride, const int (&ids)[pages]) {
#pragma unroll
    for (int p = 0; p < pages; ++p) {
      const std::uint8_t* row = base + static_cast<std::size_t>(ids[p]) * (page * row_stride);
#pragma unroll
      for (int half = 0; half < 2; ++half, row += 8 * row_stride)
#pragma unroll
        for (int q = 0; q < key_loads; ++q) keys[p][half][q] = load_once(row + q * 64);
    }
  }

  /// `base`: this lane's bytes of token 2 (lane % 4) of page 0; it holds that token, the next, and those 8
  /// on.
  __device__ void load_values(const std::uint8_t* base, std::uint32_t row_stride, const int (&ids)[pages]) {
#pragma unroll
    for (int p = 0; p < pages; ++p) {
      const std::uint8_t* row = base + static_cast<std::size_t>(ids[p]) * (page * row_stride);
#pragma unroll
      for (int i = 0; i < 4; ++i, row += i == 2 ? 7 * row_stride : row_stride) {
        if constexpr (value_words == 2) {
          const uint2 words = *reinterpret_cast<const uint2*>(row);
          values[p][i][0] = words.x;
          values[p][i][1] = words.y;
        } else {
#pragma unroll
          for (int part = 0; part < value_words / 4; ++part) {
            const uint4 words = load_once(row + part * 128);
            values[p][i][part * 4 + 0] = words.x;
            values[p][i][part * 4 + 1] = words.y;
            values[p][i][part * 4 + 2] = words.z;
            values[p][i][part * 4 + 3] = words.w;
          }
        }
      }
    }
  }

  /// Scores of 8 tokens: page p, first or second half.
  __device__ void scores(const uint4* query, int p, int half, int lane, float (&c)[4]) const {
#pragma unroll
    for (int q = 0; q < key_loads; ++q) {
      const uint4 words = keys[p][half][q];
      const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
      if constexpr (Fp8) {
#pragma unroll
        for (int s = 0; s < 4; ++s) {
          const uint4 a = query[(4 * q + s) * lanes + lane];
          const std::uint32_t rows[4] = {a.x, a.y, a.z, a.w};
          mma_fp16(c, rows, fp16_of_fp8(word[s] & 0xffffU), fp16_of_fp8(word[s] >> 16));
        }
      } else {
#pragma unroll
        for (int s = 0; s < 2; ++s) {
          const uint4 a = query[(2 * q + s) * lanes + lane];
          const std::uint32_t rows[4] = {a.x, a.y, a.z, a.w};
          mma_bf16(c, rows, word[2 * s], word[2 * s + 1]);
        }
      }
    }
  }

  /// Adds the probabilities of page p times its values.
  __device__ void add_values(int p, const std::uint32_t (&probability)[4],
                             float (&out)[column_tiles][4]) const {
    const auto& v = values[p];
#pragma unroll
    for (int w = 0; w < value_words; ++w) {
      if constexpr (Fp8) {
#pragma unroll
        for (int part = 0; part < 2; ++part) {
          std::uint32_t pair[4];
#pragma unroll
          for (int i = 0; i < 4; ++i) pair[i] = fp16_of_fp8(part == 0 ? v[i][w] & 0xffffU : v[i][w] >> 16);
          mma_fp16(out[4 * w + 2 * part], probability, low_halves(pair[0], pair[1]),
                   low_halves(pair[2], pair[3]));
          mma_fp16(out[4 * w + 2 * part + 1], probability, high_halves(pair[0], pair[1]),
                   high_halves(pair[2], pair[3]));
        }
      } else {
        mma_bf16(out[2 * w], probability, low_halves(v[0][w], v[1][w]), low_halves(v[2][w], v[3][w]));
        mma_bf16(out[2 * w + 1], probability, high_halves(v[0][w], v[1][w]), high_halves(v[2][w], v[3][w]));
      }
    }
  }

  /// The head_dim index of column `n` (0..7) of column tile `j`: as load_values and add_values order them.
  __device__ static int column(int j, int n) {
    if constexpr (Fp8) return n * (D / 8) + j;
    return (j / 8) * 64 + n * 8 + j % 8;
  }
};

/// The queries as the A operands of each step, zero where the group has fewer heads.
template <bool Fp8, int D>
__device__ void load_query(const KernelArguments& a, int batch, int first_head, int rows, uint4* query) {
  constexpr int chunk = Fp8 ? 4 : 8;  // consecutive elements a lane holds: of one step (fp8), of two (bf16)
  for (int i = threadIdx.x; i < D / 16 * lanes; i += threads) {
    const int step = i / lanes, g = (i % lanes) / 4, t = i % 4;
    const int d =
        Fp8 ? (step / 4) * 64 + t * 16 + (step % 4) * chunk : (step / 2) * 32 + t * chunk + (step % 2) * 4;
    std::uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = g + 8 * half;
      if (row >= rows) continue;
      const auto* source = reinterpret_cast<const __nv_bfloat162*>(
          a.query + (static_cast<std::size_t>(batch) * a.heads + first_head + row) * D + d);
#pragma unroll
      for (int pair = 0; pair < 2; ++pair) {
        const __nv_bfloat162 value = source[pair];
        if constexpr (Fp8)
          words[2 * pair + half] = pack_fp16(__bfloat162float(value.x), __bfloat162float(value.y));
        else
          words[2 * pair + half] = *reinterpret_cast<const std::uint32_t*>(&value);
      }
    }
    query[i] = make_uint4(words[0], words[1], words[2], words[3]);
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

template <bool Fp8, int D>
__global__ void __launch_bounds__(threads, decode_blocks_per_multiprocessor)
    decode_kernel(const KernelArguments a) {
  using T = Tile<Fp8, D>;
  __shared__ uint4 query[D / 16 * lanes];
  __shared__ float merged[warps][query_rows][D];
  __shared__ float2 stats[warps][query_rows];

  const int lane = threadIdx.x % lanes, warp = threadIdx.x / lanes;
  const int g = lane / 4, t = lane % 4;
  const int kv_head = blockIdx.x / a.query_tiles, query_tile = blockIdx.x % a.query_tiles;
  const int split = blockIdx.y, batch = blockIdx.z;
  const int first_head = kv_head * a.group + query_tile * query_rows;
  const int rows = min(query_rows, a.group - query_tile * query_rows);
  load_query<Fp8, D>(a, batch, first_head, rows, query);
  __syncthreads();

  const int length = a.lengths[batch];
  const int begin = split * a.pages_per_split;
  const int end = min(begin + a.pages_per_split, (length + page - 1) / page);
  const int all_tiles = end > begin ? (end - begin + T::pages - 1) / T::pages : 0;
  const int tiles = all_tiles > warp ? (all_tiles - warp + warps - 1) / warps : 0;
  const std::int32_t* table = a.page_table + static_cast<std::size_t>(batch) * a.table_pages;
  const std::uint32_t row_stride = a.kv_heads * D * T::element_bytes;
  const std::uint8_t* keys = a.keys + kv_head * D * T::element_bytes + g * row_stride + t * 16;
  const std::uint8_t* values =
      a.values + kv_head * D * T::element_bytes + 2 * t * row_stride + g * (T::value_words == 2 ? 8 : 16);

  // Page numbers come 32 at a time, one block of them ahead.
  constexpr int tiles_per_block = lanes / T::pages;
  const auto load_ids = [&](int block) {
    const int tile = block * tiles_per_block + lane / T::pages;
    const int index = begin + (warp + warps * tile) * T::pages + lane % T::pages;
    return table[max(min(index, end - 1), 0)];
  };
  int ids = tiles > 0 ? load_ids(0) : 0, next_ids = tiles > tiles_per_block ? load_ids(1) : 0;
  const auto ids_of = [&](int tile, int(&found)[T::pages]) {
#pragma unroll
    for (int p = 0; p < T::pages; ++p)
      found[p] = __shfl_sync(0xffffffffU, ids, (tile % tiles_per_block) * T::pages + p);
  };

  float out[T::column_tiles][4] = {};
  float maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  T tile;
  int now[T::pages];
  if (tiles > 0) {
    ids_of(0, now);
    tile.load_keys(keys, row_stride, now);
    tile.load_values(values, row_stride, now);
  }
  for (int i = 0; i < tiles; ++i) {
    float score[T::pages][2][4] = {};
#pragma unroll
    for (int p = 0; p < T::pages; ++p)
#pragma unroll
      for (int half = 0; half < 2; ++half) tile.scores(query, p, half, lane, score[p][half]);
    if (i + 1 < tiles) {
      if ((i + 1) % tiles_per_block == 0) {
        ids = next_ids;
        next_ids = load_ids((i + 1) / tiles_per_block + 1);
      }
      ids_of(i + 1, now);
      tile.load_keys(keys, row_stride, now);
    }

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
      tile.add_values(p, probability, out);
    }
    if (i + 1 < tiles) tile.load_values(values, row_stride, now);
  }

  // The warps' results, each relative to its own maximum, come together in shared memory.
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    sum[r] = quad_sum(sum[r]);
    if (t == 0) stats[warp][g + 8 * r] = make_float2(maximum[r], sum[r]);
  }
#pragma unroll
  for (int j = 0; j < T::column_tiles; ++j)
#pragma unroll
    for (int c = 0; c < 4; ++c) merged[warp][g + 8 * (c >> 1)][T::column(j, 2 * t + (c & 1))] = out[j][c];
  __syncthreads();
  for (int i = threadIdx.x; i < rows * D; i += threads) {
    const int row = i / D, d = i % D;
    float highest = -INFINITY, total = 0, value = 0;
#pragma unroll
    for (int w = 0; w < warps; ++w) highest = fmaxf(highest, stats[w][row].x);
    if (highest != -INFINITY)
#pragma unroll
      for (int w = 0; w < warps; ++w) {
        const float weight = exp2f(stats[w][row].x - highest);
        total += weight * stats[w][row].y;
        value += weight * merged[w][row][d];
      }
    const std::size_t head = static_cast<std::size_t>(batch) * a.heads + first_head + row;
    if (a.splits == 1) {
      a.output[head * D + d] = __float2bfloat16(value / total);
    } else {
      const std::size_t heads = static_cast<std::size_t>(gridDim.z) * a.heads;
      a.partial[(split * heads + head) * D + d] = value;
      if (d == 0) a.partial_stats[split * heads + head] = make_float2(highest, total);
    }
  }
}

/// One block joins the splits of one head.
template <int D>
__global__ void join_splits(const float* partial, const float2* stats, __nv_bfloat16* output, int splits) {
  const std::size_t heads = gridDim.x, head = blockIdx.x;
  float highest = -INFINITY;
  for (int s = 0; s < splits; ++s) highest = fmaxf(highest, stats[s * heads + head].x);
  float total = 0, value = 0;
#pragma unroll 4
  for (int s = 0; s < splits; ++s) {
    const float2 own = stats[s * heads + head];
    const float weight = exp2f(own.x - highest);
    total += weight * own.y;
    value += weight * partial[(s * heads + head) * D + threadIdx.x];
  }
  output[head * D + threadIdx.x] = __float2bfloat16(value / total);
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
  decode_kernel<Fp8, D><<<grid, threads, 0, stream>>>(a);
  check_launch("decode_kernel");
  if (a.splits == 1) return;
  join_splits<D><<<static_cast<unsigned>(shape.batch * shape.heads), D, 0, stream>>>(
      a.partial, a.partial_stats, a.output, a.splits);
  check_launch("join_splits");
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
