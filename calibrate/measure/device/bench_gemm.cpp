#include <fmt/core.h>

#include <algorithm>

#include "calibrate/measure/device/bench.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr int capability_of_fp8 = 89, capability_of_fp4 = 100;

void check_supported(const Bench& bench, GemmType type) {
  const int needed = type == GemmType::fp8     ? capability_of_fp8
                     : type == GemmType::nvfp4 ? capability_of_fp4
                                               : 0;
  if (bench.device().capability < needed)
    throw Error(ExitCode::failure,
                fmt::format("skipped: {} needs compute capability {}.{}, this device has {}.{}",
                            to_string(type), needed / 10, needed % 10, bench.device().capability / 10,
                            bench.device().capability % 10));
}

}  // namespace

Bench::Result bench_gemm(Bench& bench, const GemmRow& row) {
  if (row.dtype == "w4a16")
    throw Error(ExitCode::failure,
                "skipped: w4a16: cuBLASLt has none, and no kernel of our own is built yet");
  const GemmType type = gemm_type(row.dtype);
  check_supported(bench, type);
  Arena reader = bench.reader(element_of(type)), scratch = bench.scratch();
  const std::size_t weight_bytes = matrix_bytes(type, row.n, row.k);
  GemmOperands operands;
  operands.input = reader.take(matrix_bytes(type, row.m, row.k));
  operands.output = scratch.take(static_cast<std::size_t>(row.m * row.n * output_element_bytes(type)));
  if (type == GemmType::nvfp4) {
    operands.input_scale = bench.unit_block_scales(block_scale_bytes(type, row.m, row.k));
    operands.weight_scale = bench.unit_block_scales(block_scale_bytes(type, row.n, row.k));
  } else {
    operands.input_scale = operands.weight_scale = bench.one();
  }
  const Rotation turns = rotation(bench, weight_bytes, reader.left(), rough_seconds(row, bench.rates()));
  std::vector<const void*> weights;
  for (int i = 0; i < turns.buffers; ++i) weights.push_back(reader.take(weight_bytes));

  Gemm gemm(bench.blas(), type, row.m, row.n, row.k, bench.blas_workspace(),
            bench.options().search_algorithms);
  // From so many rows on the tensor cores draw more than the card may for long.
  constexpr std::int64_t tensor_bound_rows = 64;
  const double rest = row.m >= tensor_bound_rows ? rest_of_tensor_work : 0;
  Bench::Result best;
  for (int algorithm = 0; algorithm < gemm.algorithms(); ++algorithm) {
    gemm.choose(algorithm);
    const GraphTimer::Result timed = bench.timer().time(
        turns.operations,
        [&](int i) {
          operands.weight = weights[static_cast<std::size_t>(i % turns.buffers)];
          gemm.run(operands, bench.stream());
        },
        bench.options().rule, rest);
    const double us = timed.summary.interval.median;
    if (algorithm > 0 && us >= best.us) continue;
    best = {us, fmt::format("cublasLt algorithm {} of {}; {}{}", algorithm + 1, gemm.algorithms(), timed.note,
                            turns.note())};
  }
  if (type == GemmType::int8) best.note += "; int32 output";
  return best;
}

}  // namespace sextant::measure
