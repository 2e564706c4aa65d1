#include "calibrate/measure/device/check_support.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <fmt/core.h>

#include <cmath>
#include <cstdio>

#include "calibrate/measure/device/check.hpp"

namespace sextant::measure {
namespace {

template <class Value>
Values converted(const std::vector<unsigned char>& raw, std::size_t count) {
  Values values(count);
  const auto* typed = reinterpret_cast<const Value*>(raw.data());
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<double>(static_cast<float>(typed[i]));
  return values;
}

}  // namespace

Values download(const void* device, std::size_t count, Element element, cudaStream_t stream) {
  constexpr std::size_t bits_per_byte = 8;
  std::vector<unsigned char> raw(count * static_cast<std::size_t>(element_bits(element)) / bits_per_byte);
  SEXTANT_CUDA(cudaMemcpyAsync(raw.data(), device, raw.size(), cudaMemcpyDeviceToHost, stream));
  SEXTANT_CUDA(cudaStreamSynchronize(stream));
  switch (element) {
    case Element::bf16:
      return converted<__nv_bfloat16>(raw, count);
    case Element::fp16:
      return converted<__half>(raw, count);
    case Element::fp8:
      return converted<__nv_fp8_e4m3>(raw, count);
    case Element::fp32:
      return converted<float>(raw, count);
    case Element::int8:
      return converted<signed char>(raw, count);
    default:
      return {};
  }
}

double relative_error(const Values& found, const Values& expected) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(difference / size);
}

void CheckList::run(const std::string& what, double tolerance, const std::function<double()>& check) {
  std::string line;
  try {
    const double error = check();
    const bool passed = error <= tolerance;  // false for what is not a number
    if (!passed) ++failed_;
    line = fmt::format("{}  {:<64} error {:.2e}, at most {:.0e}", passed ? "pass" : "FAIL", what, error,
                       tolerance);
  } catch (const std::exception& error) {
    const bool skipped = std::string_view(error.what()).starts_with("skipped:");
    if (!skipped) ++failed_;
    line = fmt::format("{}  {:<64} {}", skipped ? "skip" : "FAIL", what, error.what());
  }
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void* CheckMemory::random(std::size_t count, Element element, float range) {
  constexpr std::size_t bits_per_byte = 8;
  void* data = scratch_.take(count * static_cast<std::size_t>(element_bits(element)) / bits_per_byte);
  fill_random(data, count, element, range, seed_ += 1000003, bench_.stream());
  return data;
}

void* CheckMemory::poisoned(std::size_t bytes) {
  void* data = scratch_.take(bytes);
  poison(data, bytes, bench_.stream());
  return data;
}

}  // namespace sextant::measure
