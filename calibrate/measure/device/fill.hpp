#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace sextant::measure {

/// Element types of the harness's buffers.
enum class Element { bf16, fp16, fp8, int8, fp32, fp4, int4 };
/// Bits that one element takes.
int element_bits(Element);

/// Fills `count` elements with values drawn evenly from [-range, range] (integers: their whole range; fp4 and
/// int4: any bits, two values a byte). Never zeros, which run faster than data and hide what was not written.
void fill_random(void* data, std::size_t count, Element, float range, std::uint64_t seed, cudaStream_t);
/// Fills bytes with 0xff: NaN in every floating type, so that what a kernel leaves unwritten is found.
void poison(void* data, std::size_t bytes, cudaStream_t);

}  // namespace sextant::measure
