#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/mixture.hpp"

namespace sextant::measure {
namespace {

constexpr int lanes = 32, most_experts = 256, experts_a_lane = most_experts / lanes;
constexpr unsigned all_lanes = 0xffffffffU;

/// One warp a token: takes the highest logit `topk` times.
__global__ void choose_kernel(const __nv_bfloat16* logits, std::int32_t* ids, float* shares, int experts,
                              int topk) {
  const std::size_t token = blockIdx.x;
  const int lane = threadIdx.x;
  float value[experts_a_lane];
#pragma unroll
  for (int i = 0; i < experts_a_lane; ++i) {
    const int expert = i * lanes + lane;
    value[i] = expert < experts ? __bfloat162float(logits[token * experts + expert]) : -INFINITY;
  }
  float highest = 0, total = 0;
  for (int pick = 0; pick < topk; ++pick) {
    float best = -INFINITY;
    int best_expert = 0;
#pragma unroll
    for (int i = 0; i < experts_a_lane; ++i)
      if (value[i] > best) best = value[i], best_expert = i * lanes + lane;
#pragma unroll
    for (int distance = lanes / 2; distance > 0; distance /= 2) {
      const float other = __shfl_xor_sync(all_lanes, best, distance);
      const int other_expert = __shfl_xor_sync(all_lanes, best_expert, distance);
      if (other > best || (other == best && other_expert < best_expert))
        best = other, best_expert = other_expert;
    }
#pragma unroll
    for (int i = 0; i < experts_a_lane; ++i)
      if (best_expert == i * lanes + lane) value[i] = -INFINITY;
    if (pick == 0) highest = best;
    const float weight = expf(best - highest);
    total += weight;
    if (lane == 0) {
      ids[token * topk + pick] = best_expert;
      shares[token * topk + pick] = weight;
    }
  }
  __syncwarp();
  for (int pick = lane; pick < topk; pick += lanes) shares[token * topk + pick] /= total;
}

__global__ void gather_rows_kernel(const uint4* input, const std::int32_t* row_tokens, uint4* output,
                                   std::size_t vectors) {
  const std::size_t from = row_tokens[blockIdx.x] * vectors, to = blockIdx.x * vectors;
  for (std::size_t i = threadIdx.x; i < vectors; i += blockDim.x) output[to + i] = input[from + i];
}

__global__ void sum_rows_kernel(const uint4* input, const std::int32_t* token_rows, const float* shares,
                                uint4* output, int topk, std::size_t vectors) {
  const std::size_t token = blockIdx.x;
  for (std::size_t i = threadIdx.x; i < vectors; i += blockDim.x) {
    float sum[8] = {};
    for (int pick = 0; pick < topk; ++pick) {
      const std::int32_t row = token_rows[token * topk + pick];
      if (row < 0) continue;  // another GPU adds it
      const float share = shares[token * topk + pick];
      const uint4 words = input[row * vectors + i];
      const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(&words);
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        sum[2 * p] += share * __bfloat162float(pairs[p].x);
        sum[2 * p + 1] += share * __bfloat162float(pairs[p].y);
      }
    }
    uint4 words;
    auto* pairs = reinterpret_cast<__nv_bfloat162*>(&words);
#pragma unroll
    for (int p = 0; p < 4; ++p) pairs[p] = __floats2bfloat162_rn(sum[2 * p], sum[2 * p + 1]);
    output[token * vectors + i] = words;
  }
}

unsigned threads_for(std::int64_t vectors) {
  return static_cast<unsigned>(std::clamp<std::int64_t>((vectors + lanes - 1) / lanes * lanes, lanes, 512));
}

constexpr std::int64_t vector_values = 8;

}  // namespace

void choose_experts(const void* logits, std::int32_t* ids, float* shares, std::int64_t tokens, int experts,
                    int topk, cudaStream_t stream) {
  choose_kernel<<<static_cast<unsigned>(tokens), lanes, 0, stream>>>(
      static_cast<const __nv_bfloat16*>(logits), ids, shares, experts, topk);
  check_launch("choose_experts");
}

void gather_rows(const void* input, const std::int32_t* row_tokens, void* output, std::int64_t rows,
                 std::int64_t width, cudaStream_t stream) {
  const std::int64_t vectors = width / vector_values;
  gather_rows_kernel<<<static_cast<unsigned>(rows), threads_for(vectors), 0, stream>>>(
      static_cast<const uint4*>(input), row_tokens, static_cast<uint4*>(output), vectors);
  check_launch("gather_rows");
}

void sum_rows(const void* input, const std::int32_t* token_rows, const float* shares, void* output,
              std::int64_t tokens, int topk, std::int64_t width, cudaStream_t stream) {
  const std::int64_t vectors = width / vector_values;
  sum_rows_kernel<<<static_cast<unsigned>(tokens), threads_for(vectors), 0, stream>>>(
      static_cast<const uint4*>(input), token_rows, shares, static_cast<uint4*>(output), topk, vectors);
  check_launch("sum_rows");
}

}  // namespace sextant::measure
