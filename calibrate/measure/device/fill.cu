#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <algorithm>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/fill.hpp"

namespace sextant::measure {
namespace {

/// splitmix64's finaliser: https://prng.di.unimi.it/splitmix64.c
__device__ std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

__device__ float uniform(std::uint32_t bits, float range) {
  return (static_cast<float>(bits >> 8) * (2.0F / 16777216.0F) - 1.0F) * range;
}

template <class Value>
__device__ Value convert(float x);
template <>
__device__ __nv_bfloat16 convert(float x) {
  return __float2bfloat16(x);
}
template <>
__device__ __half convert(float x) {
  return __float2half(x);
}
template <>
__device__ __nv_fp8_e4m3 convert(float x) {
  return __nv_fp8_e4m3(x);
}
template <>
__device__ float convert(float x) {
  return x;
}

template <class Value>
__global__ void fill_values(Value* data, std::size_t count, float range, std::uint64_t seed) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; 2 * i < count;
       i += stride) {
    const std::uint64_t bits = mix(seed + i);
    data[2 * i] = convert<Value>(uniform(static_cast<std::uint32_t>(bits), range));
    if (2 * i + 1 < count)
      data[2 * i + 1] = convert<Value>(uniform(static_cast<std::uint32_t>(bits >> 32), range));
  }
}

__global__ void fill_bits(std::uint8_t* data, std::size_t count, std::uint64_t seed) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < count;
       i += stride)
    data[i] = static_cast<std::uint8_t>(mix(seed + i) >> 24);
}

constexpr int threads = 256;
constexpr std::size_t most_blocks = 132 * 16;

unsigned blocks_for(std::size_t items) {
  return static_cast<unsigned>(std::clamp<std::size_t>((items + threads - 1) / threads, 1, most_blocks));
}

template <class Value>
void launch(void* data, std::size_t count, float range, std::uint64_t seed, cudaStream_t stream) {
  fill_values<<<blocks_for(count / 2 + 1), threads, 0, stream>>>(static_cast<Value*>(data), count, range,
                                                                 seed);
}

}  // namespace

int element_bits(Element element) {
  switch (element) {
    case Element::fp32:
      return 32;
    case Element::bf16:
    case Element::fp16:
      return 16;
    case Element::fp8:
    case Element::int8:
      return 8;
    case Element::fp4:
    case Element::int4:
      return 4;
  }
  return 0;
}

void fill_random(void* data, std::size_t count, Element element, float range, std::uint64_t seed,
                 cudaStream_t stream) {
  if (count == 0) return;
  switch (element) {
    case Element::bf16:
      launch<__nv_bfloat16>(data, count, range, seed, stream);
      break;
    case Element::fp16:
      launch<__half>(data, count, range, seed, stream);
      break;
    case Element::fp8:
      launch<__nv_fp8_e4m3>(data, count, range, seed, stream);
      break;
    case Element::fp32:
      launch<float>(data, count, range, seed, stream);
      break;
    case Element::int8:
      fill_bits<<<blocks_for(count), threads, 0, stream>>>(static_cast<std::uint8_t*>(data), count, seed);
      break;
    case Element::fp4:
    case Element::int4:
      fill_bits<<<blocks_for(count / 2), threads, 0, stream>>>(static_cast<std::uint8_t*>(data), count / 2,
                                                               seed);
      break;
  }
  check_launch("fill_random");
}

void poison(void* data, std::size_t bytes, cudaStream_t stream) {
  SEXTANT_CUDA(cudaMemsetAsync(data, 0xff, bytes, stream));
}

}  // namespace sextant::measure
