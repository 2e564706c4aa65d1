#include <fmt/core.h>

#include <algorithm>

#include "calibrate/measure/device/bench.hpp"
#include "calibrate/measure/device/mixture.hpp"

namespace sextant::measure {

Bench::Result bench_moe(Bench& bench, const MoeRow& row) {
  const auto experts = static_cast<int>(row.experts), topk = static_cast<int>(row.topk);
  const auto routed = [&](int first) { return Mixture(row, even_routing(row.tokens, experts, topk, first)); };
  const Mixture mixture = routed(0);
  const GroupedBlas blas(bench.blas_workspace(), Gemm::workspace_bytes);
  Arena reader = bench.reader(Element::bf16), scratch = bench.scratch();
  constexpr std::int64_t bf16_bytes = 2;
  const auto take = [](Arena& arena, std::int64_t rows, std::int64_t width) {
    return static_cast<std::byte*>(arena.take(static_cast<std::size_t>(rows * width * bf16_bytes)));
  };
  Mixture::Buffers buffers;
  buffers.input = take(reader, row.tokens, row.hidden);
  buffers.gathered = take(scratch, mixture.rows(), row.hidden);
  buffers.gate_up = take(scratch, mixture.rows(), 2 * mixture.width());
  buffers.activated = take(scratch, mixture.rows(), mixture.width());
  buffers.expert_output = take(scratch, mixture.rows(), row.hidden);
  buffers.output = take(scratch, row.tokens, row.hidden);
  auto* shares = static_cast<float*>(scratch.take(static_cast<std::size_t>(mixture.rows()) * sizeof(float)));
  fill_random(shares, static_cast<std::size_t>(mixture.rows()) * 2, Element::bf16, 1, 16, bench.stream());
  buffers.shares = shares;
  const std::size_t all_experts = static_cast<std::size_t>(row.experts) * mixture.expert_bytes();
  buffers.experts = static_cast<const std::byte*>(reader.take(all_experts));

  // Variants take other experts in turn.
  const std::size_t streamed = static_cast<std::size_t>(mixture.active()) * mixture.expert_bytes();
  const Rotation turns = rotation(bench, streamed, all_experts, rough_seconds(row, bench.rates()));
  std::vector<Mixture> variants;
  std::vector<void*> lists;
  for (int i = 0; i < turns.buffers; ++i) {
    variants.push_back(routed(i * mixture.active()));
    lists.push_back(scratch.take(variants.back().list_bytes()));
    variants.back().write_lists(buffers, lists.back(), bench.stream());
  }
  const GraphTimer::Result timed = bench.timer().time(
      turns.operations,
      [&](int i) {
        const auto variant = static_cast<std::size_t>(i % turns.buffers);
        variants[variant].run(blas, buffers, lists[variant], bench.stream());
      },
      bench.options().rule, rest_of_tensor_work);
  return {timed.summary.interval.median,
          fmt::format("rows gathered, cublasGemmGroupedBatchedEx twice, "
                      "SwiGLU, rows summed; no router; {} experts active; {}{}",
                      mixture.active(), timed.note, turns.note())};
}

}  // namespace sextant::measure
