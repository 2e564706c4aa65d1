#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <algorithm>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/elementwise.hpp"

namespace sextant::measure {
namespace {

constexpr int vector_values = 8;  ///< bf16 values in 16 bytes
constexpr int lanes = 32;

/// 16 bytes of bf16 as floats.
struct Values {
  float value[vector_values];
};

__device__ Values load(const void* data, std::size_t vector) {
  const uint4 words = static_cast<const uint4*>(data)[vector];
  const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
  Values result;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(&word[i]));
    result.value[2 * i] = pair.x;
    result.value[2 * i + 1] = pair.y;
  }
  return result;
}

__device__ void store(void* data, std::size_t vector, const Values& values) {
  std::uint32_t word[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(values.value[2 * i], values.value[2 * i + 1]);
    word[i] = *reinterpret_cast<const std::uint32_t*>(&pair);
  }
  static_cast<uint4*>(data)[vector] = make_uint4(word[0], word[1], word[2], word[3]);
}

__device__ void store_fp8(void* data, std::size_t vector, const Values& values) {
  std::uint16_t pair[4];
#pragma unroll
  for (int i = 0; i < 4; ++i)
    pair[i] = __nv_cvt_float2_to_fp8x2(make_float2(values.value[2 * i], values.value[2 * i + 1]),
                                       __NV_SATFINITE, __NV_E4M3);
  static_cast<uint2*>(data)[vector] = make_uint2(pair[0] | static_cast<std::uint32_t>(pair[1]) << 16,
                                                 pair[2] | static_cast<std::uint32_t>(pair[3]) << 16);
}

template <bool Fp8>
__device__ void store_as(void* data, std::size_t vector, const Values& values) {
  if constexpr (Fp8)
    store_fp8(data, vector, values);
  else
    store(data, vector, values);
}

__device__ float block_sum(float value) {
  __shared__ float partial[lanes];
#pragma unroll
  for (int offset = lanes / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffU, value, offset);
  if (threadIdx.x % lanes == 0) partial[threadIdx.x / lanes] = value;
  __syncthreads();
  value = threadIdx.x % lanes < blockDim.x / lanes ? partial[threadIdx.x % lanes] : 0;
#pragma unroll
  for (int offset = lanes / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffU, value, offset);
  return value;
}

/// A block per token; the row stays in registers between the two passes.
template <bool Fp8>
__global__ void __launch_bounds__(1024) norm_kernel(const NormArguments a) {
  constexpr int most_vectors = 4;  // a thread: widths up to 32768 with 1024 threads
  constexpr float epsilon = 1e-5F;
  const std::size_t vectors = a.width / vector_values, row = blockIdx.x * vectors;
  Values kept[most_vectors];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < most_vectors; ++i) {
    const std::size_t vector = threadIdx.x + static_cast<std::size_t>(i) * blockDim.x;
    if (vector >= vectors) break;
    kept[i] = load(a.residual, row + vector);
    if (a.input != nullptr) {
      const Values added = load(a.input, row + vector);
#pragma unroll
      for (int j = 0; j < vector_values; ++j) kept[i].value[j] += added.value[j];
      store(a.residual, row + vector, kept[i]);
    }
#pragma unroll
    for (int j = 0; j < vector_values; ++j) squares += kept[i].value[j] * kept[i].value[j];
  }
  const float factor = rsqrtf(block_sum(squares) / static_cast<float>(a.width) + epsilon);
#pragma unroll
  for (int i = 0; i < most_vectors; ++i) {
    const std::size_t vector = threadIdx.x + static_cast<std::size_t>(i) * blockDim.x;
    if (vector >= vectors) break;
    const Values weight = load(a.weight, vector);
#pragma unroll
    for (int j = 0; j < vector_values; ++j) kept[i].value[j] *= factor * weight.value[j];
    store_as<Fp8>(a.output, row + vector, kept[i]);
  }
}

template <bool Fp8>
__global__ void silu_kernel(const void* gate_up, void* output, std::size_t tokens, std::size_t vectors) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < tokens * vectors;
       i += stride) {
    const std::size_t token = i / vectors, vector = i % vectors;
    Values gate = load(gate_up, 2 * token * vectors + vector);
    const Values up = load(gate_up, (2 * token + 1) * vectors + vector);
#pragma unroll
    for (int j = 0; j < vector_values; ++j)
      gate.value[j] = gate.value[j] / (1 + __expf(-gate.value[j])) * up.value[j];
    store_as<Fp8>(output, i, gate);
  }
}

/// One thread rotates 8 pairs: a vector of a head's first half with the one of its second half. Values are
/// moved.
__global__ void rope_kernel(const RopeArguments a) {
  const int half_vectors = static_cast<int>(a.head_dim) / 2 / vector_values;
  const int all_heads = static_cast<int>(a.heads + 2 * a.kv_heads);
  const std::size_t token = blockIdx.x, sequence = token / a.tokens_per_sequence;
  const std::size_t position = a.first_position + token % a.tokens_per_sequence;
  const std::size_t row = token * all_heads * 2 * half_vectors;
  std::size_t slot = sequence * a.cache_tokens + position;
  if (a.page_table != nullptr) {
    constexpr std::size_t page = 16;
    const std::size_t pages = (a.cache_tokens + page - 1) / page;
    slot = a.page_table[sequence * pages + position / page] * page + position % page;
  }
  for (int i = threadIdx.x; i < all_heads * half_vectors; i += blockDim.x) {
    const int head = i / half_vectors, part = i % half_vectors;
    Values low = load(a.qkv, row + head * 2 * half_vectors + part);
    Values high = load(a.qkv, row + head * 2 * half_vectors + half_vectors + part);
    const bool is_value = head >= a.heads + a.kv_heads;
    if (!is_value) {
#pragma unroll
      for (int j = 0; j < vector_values; ++j) {
        constexpr float log2_base = 18.931568569324174F;  // Llama 3's rope_theta, 500000
        const float exponent =
            -log2_base * static_cast<float>(part * vector_values + j) * 2 / static_cast<float>(a.head_dim);
        float sine, cosine;
        __sincosf(static_cast<float>(position) * exp2f(exponent), &sine, &cosine);
        const float x = low.value[j], y = high.value[j];
        low.value[j] = x * cosine - y * sine;
        high.value[j] = y * cosine + x * sine;
      }
    }
    if (head < a.heads) {
      const std::size_t to = (token * a.heads + head) * 2 * half_vectors + part;
      store(a.query, to, low);
      store(a.query, to + half_vectors, high);
      continue;
    }
    if (a.keys == nullptr) {
      if (!is_value) {
        store(a.qkv, row + head * 2 * half_vectors + part, low);
        store(a.qkv, row + head * 2 * half_vectors + half_vectors + part, high);
      }
      continue;
    }
    const std::size_t kv_head = (head - a.heads) % a.kv_heads;
    const std::size_t to = (slot * a.kv_heads + kv_head) * 2 * half_vectors + part;
    void* cache = is_value ? a.values : a.keys;
    if (a.fp8_cache) {
      store_fp8(cache, to, low);
      store_fp8(cache, to + half_vectors, high);
    } else {
      store(cache, to, low);
      store(cache, to + half_vectors, high);
    }
  }
}

/// A warp per head; its lanes hold vectors of 8 values.
__global__ void head_norm_kernel(void* qkv, const void* weight, int heads, int row_heads, int head_vectors) {
  constexpr float epsilon = 1e-6F;
  const std::size_t token = blockIdx.x;
  const int lane = threadIdx.x % lanes;
  for (int head = threadIdx.x / lanes; head < heads; head += blockDim.x / lanes) {
    const std::size_t at = (token * row_heads + head) * head_vectors + lane;
    Values kept = {};
    if (lane < head_vectors) kept = load(qkv, at);
    float squares = 0;
#pragma unroll
    for (int j = 0; j < vector_values; ++j) squares += kept.value[j] * kept.value[j];
#pragma unroll
    for (int offset = lanes / 2; offset > 0; offset /= 2)
      squares += __shfl_xor_sync(0xffffffffU, squares, offset);
    if (lane >= head_vectors) continue;
    const float factor = rsqrtf(squares / static_cast<float>(head_vectors * vector_values) + epsilon);
    const Values scale = load(weight, lane);
#pragma unroll
    for (int j = 0; j < vector_values; ++j) kept.value[j] *= factor * scale.value[j];
    store(qkv, at, kept);
  }
}

__global__ void embed_kernel(const void* table, const std::int32_t* ids, void* output, std::size_t vectors,
                             std::int64_t rows) {
  const std::size_t source = static_cast<std::size_t>(ids[blockIdx.x] % rows) * vectors;
  for (std::size_t i = threadIdx.x; i < vectors; i += blockDim.x)
    static_cast<uint4*>(output)[blockIdx.x * vectors + i] = static_cast<const uint4*>(table)[source + i];
}

__global__ void widen_kernel(const void* logits, float* output, std::size_t vectors) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < vectors;
       i += stride) {
    const Values values = load(logits, i);
    auto* to = reinterpret_cast<float4*>(output) + 2 * i;
    to[0] = make_float4(values.value[0], values.value[1], values.value[2], values.value[3]);
    to[1] = make_float4(values.value[4], values.value[5], values.value[6], values.value[7]);
  }
}

/// The lower index wins among equals.
__global__ void __launch_bounds__(1024)
    highest_kernel(const float* logits, std::int32_t* ids, std::int64_t width) {
  __shared__ unsigned long long best;
  if (threadIdx.x == 0) best = 0;
  __syncthreads();
  const auto* row = reinterpret_cast<const float4*>(logits + blockIdx.x * width);
  unsigned long long own = 0;
  for (std::int64_t i = threadIdx.x; i < width / 4; i += blockDim.x) {
    const float4 four = row[i];
    const float value[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      // Floats as unsigned integers of the same order.
      const std::uint32_t bits = __float_as_uint(value[j]);
      const std::uint32_t ordered = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
      const auto key = static_cast<unsigned long long>(ordered) << 32 |
                       (0xffffffffU - static_cast<std::uint32_t>(4 * i + j));
      own = own > key ? own : key;
    }
  }
#pragma unroll
  for (int offset = lanes / 2; offset > 0; offset /= 2) {
    const unsigned long long other = __shfl_xor_sync(0xffffffffU, own, offset);
    own = own > other ? own : other;
  }
  if (threadIdx.x % lanes == 0) atomicMax(&best, own);
  __syncthreads();
  if (threadIdx.x == 0)
    ids[blockIdx.x] = static_cast<std::int32_t>(0xffffffffU - static_cast<std::uint32_t>(best));
}

__global__ void quantize_kernel(const void* input, void* output, std::size_t vectors) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < vectors;
       i += stride)
    store_fp8(output, i, load(input, i));
}

__global__ void gather_kernel(const void* input, void* output, std::size_t stride_tokens,
                              std::size_t vectors) {
  const std::size_t from = (blockIdx.x * stride_tokens + stride_tokens - 1) * vectors;
  for (std::size_t i = threadIdx.x; i < vectors; i += blockDim.x)
    static_cast<uint4*>(output)[blockIdx.x * vectors + i] = static_cast<const uint4*>(input)[from + i];
}

__global__ void nothing_kernel() {}

constexpr int flat_threads = 256;
constexpr std::int64_t most_flat_blocks = 132 * 16;

unsigned flat_blocks(std::int64_t items) {
  return static_cast<unsigned>(
      std::clamp<std::int64_t>((items + flat_threads - 1) / flat_threads, 1, most_flat_blocks));
}

/// Threads of a block that gives each vector of a row one: whole warps, 64 to 1024.
unsigned row_threads(std::int64_t vectors) {
  return static_cast<unsigned>(
      std::clamp<std::int64_t>((vectors + lanes - 1) / lanes * lanes, 2 * lanes, 1024));
}

}  // namespace

void residual_rmsnorm(const NormArguments& a, cudaStream_t stream) {
  const unsigned threads = row_threads(a.width / vector_values);
  if (a.fp8_output)
    norm_kernel<true><<<static_cast<unsigned>(a.tokens), threads, 0, stream>>>(a);
  else
    norm_kernel<false><<<static_cast<unsigned>(a.tokens), threads, 0, stream>>>(a);
  check_launch("residual_rmsnorm");
}

void silu_multiply(const void* gate_up, void* output, bool fp8_output, std::int64_t tokens,
                   std::int64_t width, cudaStream_t stream) {
  const std::int64_t vectors = width / vector_values;
  const unsigned blocks = flat_blocks(tokens * vectors);
  if (fp8_output)
    silu_kernel<true><<<blocks, flat_threads, 0, stream>>>(gate_up, output, tokens, vectors);
  else
    silu_kernel<false><<<blocks, flat_threads, 0, stream>>>(gate_up, output, tokens, vectors);
  check_launch("silu_multiply");
}

void rope_and_cache(const RopeArguments& a, cudaStream_t stream) {
  const std::int64_t items = (a.heads + 2 * a.kv_heads) * a.head_dim / 2 / vector_values;
  rope_kernel<<<static_cast<unsigned>(a.tokens), std::min(row_threads(items), 512U), 0, stream>>>(a);
  check_launch("rope_and_cache");
}

void normalize_heads(void* qkv, const void* weight, std::int64_t tokens, std::int64_t heads,
                     std::int64_t kv_heads, std::int64_t head_dim, cudaStream_t stream) {
  head_norm_kernel<<<static_cast<unsigned>(tokens), 256, 0, stream>>>(
      qkv, weight, static_cast<int>(heads + kv_heads), static_cast<int>(heads + 2 * kv_heads),
      static_cast<int>(head_dim / vector_values));
  check_launch("normalize_heads");
}

void embed(const void* table, const std::int32_t* ids, void* output, std::int64_t tokens, std::int64_t width,
           std::int64_t rows, cudaStream_t stream) {
  const std::int64_t vectors = width / vector_values;
  embed_kernel<<<static_cast<unsigned>(tokens), row_threads(vectors), 0, stream>>>(table, ids, output,
                                                                                   vectors, rows);
  check_launch("embed");
}

void sample_greedy(const void* logits, float* fp32_logits, std::int32_t* ids, std::int64_t rows,
                   std::int64_t width, cudaStream_t stream) {
  const std::int64_t vectors = rows * width / vector_values;
  widen_kernel<<<flat_blocks(vectors), flat_threads, 0, stream>>>(logits, fp32_logits, vectors);
  check_launch("widen_kernel");
  highest_kernel<<<static_cast<unsigned>(rows), 1024, 0, stream>>>(fp32_logits, ids, width);
  check_launch("highest_kernel");
}

void quantize_fp8(const void* input, void* output, std::int64_t count, cudaStream_t stream) {
  quantize_kernel<<<flat_blocks(count / vector_values), flat_threads, 0, stream>>>(input, output,
                                                                                   count / vector_values);
  check_launch("quantize_fp8");
}

void gather_last(const void* input, void* output, std::int64_t sequences, std::int64_t tokens_per_sequence,
                 std::int64_t width, cudaStream_t stream) {
  gather_kernel<<<static_cast<unsigned>(sequences), 256, 0, stream>>>(input, output, tokens_per_sequence,
                                                                      width / vector_values);
  check_launch("gather_last");
}

void empty_kernel(cudaStream_t stream) {
  nothing_kernel<<<1, 1, 0, stream>>>();
  check_launch("empty_kernel");
}

}  // namespace sextant::measure
