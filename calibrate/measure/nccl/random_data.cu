#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <type_traits>

#include "calibrate/measure/nccl/random_data.hpp"

namespace sextant::nccl {
namespace {

constexpr int threads_per_block = 256;
constexpr int most_blocks = 2048;

/// A mixing of 32 bits in which every input bit moves every output bit (MurmurHash3's finalizer).
__device__ inline std::uint32_t mixed(std::uint32_t value) {
  value ^= value >> 16;
  value *= 0x85ebca6bu;
  value ^= value >> 13;
  value *= 0xc2b2ae35u;
  return value ^ (value >> 16);
}

__device__ inline std::uint32_t random_bits(int rank, std::size_t index) {
  const auto high = static_cast<std::uint32_t>(index >> 32);
  const std::uint32_t key = mixed(static_cast<std::uint32_t>(rank) * 0x9e3779b9u + high + 1u);
  return mixed(static_cast<std::uint32_t>(index) ^ key);
}

template <class Element>
struct Arithmetic {  // integers: exact, modulo their width
  using Wide = unsigned long long;
  static constexpr bool floating = false;
};
template <>
struct Arithmetic<float> {
  using Wide = double;
  static constexpr bool floating = true;
  static constexpr double roundoff = 0x1p-24;
};
template <>
struct Arithmetic<double> {
  using Wide = double;
  static constexpr bool floating = true;
  static constexpr double roundoff = 0x1p-53;
};
template <>
struct Arithmetic<__half> {
  using Wide = double;
  static constexpr bool floating = true;
  static constexpr double roundoff = 0x1p-11;
};
template <>
struct Arithmetic<__nv_bfloat16> {
  using Wide = double;
  static constexpr bool floating = true;
  static constexpr double roundoff = 0x1p-8;
};

__device__ inline float from_float(float value, float) {
  return value;
}
__device__ inline double from_float(float value, double) {
  return value;
}
__device__ inline __half from_float(float value, __half) {
  return __float2half_rn(value);
}
__device__ inline __nv_bfloat16 from_float(float value, __nv_bfloat16) {
  return __float2bfloat16_rn(value);
}
__device__ inline double to_double(float value) {
  return value;
}
__device__ inline double to_double(double value) {
  return value;
}
__device__ inline double to_double(__half value) {
  return __half2float(value);
}
__device__ inline double to_double(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

template <class Element>
__device__ inline Element random_element(int rank, std::size_t index) {
  const std::uint32_t bits = random_bits(rank, index);
  if constexpr (Arithmetic<Element>::floating) {
    const float magnitude = 0.5f + static_cast<float>(bits >> 8) * 0x1p-24f;
    return from_float(bits & 1u ? -magnitude : magnitude, Element{});
  } else {
    const unsigned long long spread = bits * 0x9e3779b97f4a7c15ull;
    const auto value = static_cast<Element>(spread >> (64 - 8 * sizeof(Element)));
    return value == Element{0} ? Element{1} : value;
  }
}

template <class Element>
__global__ void fill_kernel(Element* data, std::size_t count, int rank, std::size_t first_index) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    data[i] = random_element<Element>(rank, first_index + i);
}

/// The member whose input element j of the output is copied from, and the index in it; reductions have every
/// member.
struct Origin {
  int member;
  std::size_t index;
};
__device__ inline Origin origin(const Expectation& expected, std::size_t j) {
  switch (expected.operation) {
    case Operation::all_reduce:
      return {-1, expected.base + j};
    case Operation::reduce_scatter:
      return {-1, expected.base + static_cast<std::size_t>(expected.member) * expected.share + j};
    case Operation::all_gather:
      return {static_cast<int>(j / expected.share), expected.base + j % expected.share};
    case Operation::all_to_all:
      return {
          static_cast<int>(j / expected.share),
          expected.base + static_cast<std::size_t>(expected.member) * expected.share + j % expected.share};
    default:
      return {expected.source, expected.base + j};
  }
}

template <class Element>
__device__ inline bool reduced_right(Element found, const Expectation& expected, std::size_t index) {
  const auto input = [&](int member) {
    return random_element<Element>(expected.first_rank + member * expected.rank_stride, index);
  };
  if constexpr (Arithmetic<Element>::floating) {
    double result = to_double(input(0)), sum_of_magnitudes = fabs(result);
    for (int member = 1; member < expected.members; ++member) {
      const double next = to_double(input(member));
      sum_of_magnitudes += fabs(next);
      switch (expected.reduction) {
        case Reduction::prod:
          result *= next;
          break;
        case Reduction::max:
          result = fmax(result, next);
          break;
        case Reduction::min:
          result = fmin(result, next);
          break;
        default:
          result += next;
      }
    }
    // Each addition rounds by half a unit of a partial sum, with either sign: over n additions some 0.4 n
    // units in the root mean square, so that 4 n is a bound ten times as wide, and still below one missing
    // input up to 32 members.
    constexpr double unit = Arithmetic<Element>::roundoff;
    double tolerance = 4 * unit * sum_of_magnitudes;
    if (expected.reduction == Reduction::prod) tolerance = 2 * (expected.members + 1) * unit * fabs(result);
    if (expected.reduction == Reduction::max || expected.reduction == Reduction::min) tolerance = 0;
    if (expected.reduction == Reduction::avg) {
      result /= expected.members;
      tolerance /= expected.members;
    }
    return fabs(to_double(found) - result) <= tolerance;
  } else {
    Element result = input(0);
    for (int member = 1; member < expected.members; ++member) {
      const Element next = input(member);
      using Wide = typename Arithmetic<Element>::Wide;
      switch (expected.reduction) {
        case Reduction::prod:
          result = static_cast<Element>(static_cast<Wide>(result) * static_cast<Wide>(next));
          break;
        case Reduction::max:
          result = next > result ? next : result;
          break;
        case Reduction::min:
          result = next < result ? next : result;
          break;
        default:
          result = static_cast<Element>(static_cast<Wide>(result) + static_cast<Wide>(next));
      }
    }
    return found == result;
  }
}

template <class Element>
__device__ inline bool same(Element found, Element expected) {
  if constexpr (Arithmetic<Element>::floating)
    return to_double(found) == to_double(expected);
  else
    return found == expected;
}

template <class Element>
__global__ void check_kernel(const Element* data, std::size_t count, Expectation expected,
                             unsigned long long* wrong) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  unsigned long long mine = 0;
  for (std::size_t j = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; j < count;
       j += step) {
    const Origin from = origin(expected, j);
    const bool right =
        from.member < 0 ? reduced_right<Element>(data[j], expected, from.index)
                        : same<Element>(data[j], random_element<Element>(
                                                     expected.first_rank + from.member * expected.rank_stride,
                                                     from.index));
    if (!right) ++mine;
  }
  if (mine) atomicAdd(wrong, mine);
}

int blocks_for(std::size_t count) {
  const std::size_t blocks = (count + threads_per_block - 1) / threads_per_block;
  return static_cast<int>(blocks < most_blocks ? blocks : most_blocks);
}

/// Calls the function with a null pointer of the element's C++ type.
template <class Function>
void with_element(DataType type, const Function& function) {
  switch (type) {
    case DataType::int8:
      return function(static_cast<signed char*>(nullptr));
    case DataType::uint8:
      return function(static_cast<unsigned char*>(nullptr));
    case DataType::int32:
      return function(static_cast<int*>(nullptr));
    case DataType::uint32:
      return function(static_cast<unsigned*>(nullptr));
    case DataType::int64:
      return function(static_cast<long long*>(nullptr));
    case DataType::uint64:
      return function(static_cast<unsigned long long*>(nullptr));
    case DataType::half:
      return function(static_cast<__half*>(nullptr));
    case DataType::float32:
      return function(static_cast<float*>(nullptr));
    case DataType::float64:
      return function(static_cast<double*>(nullptr));
    case DataType::bfloat16:
      return function(static_cast<__nv_bfloat16*>(nullptr));
  }
}

}  // namespace

void fill_random(void* data, DataType type, std::size_t count, int rank, std::size_t first_index,
                 cudaStream_t stream) {
  if (count == 0) return;
  with_element(type, [&](auto* pointer) {
    using Element = std::remove_pointer_t<decltype(pointer)>;
    fill_kernel<Element><<<blocks_for(count), threads_per_block, 0, stream>>>(static_cast<Element*>(data),
                                                                              count, rank, first_index);
  });
}

void count_wrong(const void* data, std::size_t count, const Expectation& expected, unsigned long long* wrong,
                 cudaStream_t stream) {
  if (count == 0) return;
  with_element(expected.type, [&](auto* pointer) {
    using Element = std::remove_pointer_t<decltype(pointer)>;
    check_kernel<Element><<<blocks_for(count), threads_per_block, 0, stream>>>(
        static_cast<const Element*>(data), count, expected, wrong);
  });
}

}  // namespace sextant::nccl
