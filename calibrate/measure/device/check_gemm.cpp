#include <fmt/core.h>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/check_support.hpp"

namespace sextant::measure {
namespace {

struct Shape {
  std::int64_t m, n, k;
};

Values product(const Values& input, const Values& weight, const Shape& shape) {
  const auto m = static_cast<std::size_t>(shape.m), n = static_cast<std::size_t>(shape.n),
             k = static_cast<std::size_t>(shape.k);
  Values output(m * n);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t l = 0; l < k; ++l) sum += input[i * k + l] * weight[j * k + l];
      output[i * n + j] = sum;
    }
  return output;
}

Values result(const CheckMemory& memory, const void* output, std::size_t count, GemmType type) {
  if (type == GemmType::fp16) return memory.values(output, count, Element::fp16);
  if (type != GemmType::int8) return memory.values(output, count, Element::bf16);
  std::vector<std::int32_t> integers(count);
  SEXTANT_CUDA(cudaMemcpy(integers.data(), output, count * sizeof(std::int32_t), cudaMemcpyDeviceToHost));
  return {integers.begin(), integers.end()};
}

double gemm_error(Bench& bench, GemmType type, const Shape& shape) {
  CheckMemory memory(bench);
  const auto elements = [](std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); };
  const Element element = element_of(type);
  GemmOperands operands;
  operands.input = memory.random(elements(shape.m, shape.k), element);
  operands.weight = memory.random(elements(shape.n, shape.k), element);
  const std::size_t outputs = elements(shape.m, shape.n);
  operands.output = memory.poisoned(outputs * static_cast<std::size_t>(output_element_bytes(type)));
  operands.input_scale = operands.weight_scale = bench.one();
  Gemm gemm(bench.blas(), type, shape.m, shape.n, shape.k, bench.blas_workspace());
  gemm.run(operands, bench.stream());
  SEXTANT_CUDA(cudaStreamSynchronize(bench.stream()));
  const Values expected = product(memory.values(operands.input, elements(shape.m, shape.k), element),
                                  memory.values(operands.weight, elements(shape.n, shape.k), element), shape);
  return relative_error(result(memory, operands.output, outputs, type), expected);
}

}  // namespace

void check_gemm(Bench& bench, CheckList& list) {
  constexpr double rounding_of_16_bit = 1e-2, exact = 1e-12;
  for (const GemmType type : {GemmType::bf16, GemmType::fp16, GemmType::fp8, GemmType::int8})
    for (const Shape& shape : {Shape{1, 256, 512}, Shape{100, 384, 640}})
      list.run(fmt::format("gemm {} m {} n {} k {}", to_string(type), shape.m, shape.n, shape.k),
               type == GemmType::int8 ? exact : rounding_of_16_bit,
               [&] { return gemm_error(bench, type, shape); });
}

}  // namespace sextant::measure
