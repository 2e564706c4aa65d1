#include <fmt/core.h>

#include <algorithm>

#include "calibrate/measure/device/bench.hpp"
#include "calibrate/measure/device/mixture.hpp"

namespace sextant::measure {

Bench::Result bench_moe(Bench& bench, const MoeRow& row) {
  const Mixture mixture(row);
  const GroupedBlas blas(bench.blas_workspace(), Gemm::workspace_bytes);
  Arena reader = bench.reader(Element::bf16), scratch = bench.scratch();
  constexpr std::int64_t bf16_bytes = 2;
  const auto take = [](Arena& arena, std::int64_t rows, std::int64_t width) {
    return static_cast<std::byte*>(arena.take(static_cast<std::size_t>(rows * width * bf16_bytes)));
  };
  Mixture::Buffers buffers;
  buffers.input = take(reader, mixture.rows(), row.hidden);
  buffers.gate_up = take(scratch, mixture.rows(), 2 * mixture.width());
  buffers.activated = take(scratch, mixture.rows(), mixture.width());
  buffers.output = take(scratch, mixture.rows(), row.hidden);
  const std::size_t all_experts = static_cast<std::size_t>(row.experts) * mixture.expert_bytes();
  buffers.experts = static_cast<const std::byte*>(reader.take(all_experts));

  // Variants take other experts in turn.
  const std::size_t streamed = static_cast<std::size_t>(mixture.active()) * mixture.expert_bytes();
  const Rotation turns = rotation(bench, streamed, all_experts, rough_seconds(row, bench.rates()));
  std::vector<void*> lists;
  for (int i = 0; i < turns.buffers; ++i) {
    buffers.first_expert = static_cast<int>(i * mixture.active() % row.experts);
    lists.push_back(scratch.take(mixture.list_bytes()));
    mixture.write_lists(buffers, lists.back(), bench.stream());
  }
  const GraphTimer::Result timed = bench.timer().time(
      turns.operations,
      [&](int i) {
        mixture.run(blas, buffers, lists[static_cast<std::size_t>(i % turns.buffers)], bench.stream());
      },
      bench.options().rule);
  return {timed.summary.interval.median, fmt::format("cublasGemmGroupedBatchedEx twice and SwiGLU, tokens "
                                                     "sorted already, no routing, {} experts active; {}{}",
                                                     mixture.active(), timed.note, turns.note())};
}

}  // namespace sextant::measure
