#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/check_support.hpp"
#include "calibrate/measure/device/mixture.hpp"

namespace sextant::measure {
namespace {

double mixture_error(Bench& bench, const MoeRow& row) {
  const auto experts = static_cast<std::size_t>(row.experts), topk = static_cast<std::size_t>(row.topk),
             tokens = static_cast<std::size_t>(row.tokens), h = static_cast<std::size_t>(row.hidden);
  const Mixture mixture(
      row, uniform_routing(row.tokens, static_cast<int>(row.experts), static_cast<int>(row.topk), 7));
  const auto w = static_cast<std::size_t>(mixture.width()), rows = static_cast<std::size_t>(mixture.rows());
  const GroupedBlas blas(bench.blas_workspace(), Gemm::workspace_bytes);
  CheckMemory memory(bench);
  Mixture::Buffers buffers;
  void* weights = memory.random(experts * 3 * h * w, Element::bf16, 0.2F);
  void* input = memory.random(tokens * h, Element::bf16);
  void* logits = memory.random(tokens * experts, Element::bf16, 2);
  auto* ids = static_cast<std::int32_t*>(memory.poisoned(rows * 4));
  auto* shares = static_cast<float*>(memory.poisoned(rows * 4));
  choose_experts(logits, ids, shares, row.tokens, static_cast<int>(row.experts), static_cast<int>(row.topk),
                 bench.stream());
  buffers.experts = static_cast<const std::byte*>(weights);
  buffers.input = static_cast<const std::byte*>(input);
  buffers.shares = shares;
  buffers.gathered = static_cast<std::byte*>(memory.poisoned(rows * h * 2));
  buffers.gate_up = static_cast<std::byte*>(memory.poisoned(rows * 2 * w * 2));
  buffers.activated = static_cast<std::byte*>(memory.poisoned(rows * w * 2));
  buffers.expert_output = static_cast<std::byte*>(memory.poisoned(rows * h * 2));
  buffers.output = static_cast<std::byte*>(memory.poisoned(tokens * h * 2));
  void* lists = memory.poisoned(mixture.list_bytes());
  mixture.write_lists(buffers, lists, bench.stream());
  mixture.run(blas, buffers, lists, bench.stream());
  SEXTANT_CUDA(cudaStreamSynchronize(bench.stream()));
  const Values all = memory.values(weights, experts * 3 * h * w, Element::bf16),
               in = memory.values(input, tokens * h, Element::bf16),
               scores = memory.values(logits, tokens * experts, Element::bf16);
  std::vector<int> expert_of;  // of each row
  for (const Routing::Load& load : mixture.routing().loads)
    expert_of.insert(expert_of.end(), static_cast<std::size_t>(load.rows), load.expert);
  Values expected(tokens * h);
  for (std::size_t token = 0; token < tokens; ++token) {
    Values best(scores.begin() + static_cast<std::ptrdiff_t>(token * experts),
                scores.begin() + static_cast<std::ptrdiff_t>((token + 1) * experts));
    std::sort(best.rbegin(), best.rend());
    double total = 0;
    for (std::size_t pick = 0; pick < topk; ++pick) total += std::exp(best[pick] - best[0]);
    for (std::size_t pick = 0; pick < topk; ++pick) {
      const auto place = static_cast<std::size_t>(mixture.routing().token_rows[token * topk + pick]);
      const double* gate = &all[static_cast<std::size_t>(expert_of[place]) * 3 * h * w];
      const double *up = gate + w * h, *down = up + w * h;
      const double share = std::exp(best[pick] - best[0]) / total;
      for (std::size_t i = 0; i < w; ++i) {
        double g = 0, u = 0;
        for (std::size_t j = 0; j < h; ++j) {
          g += in[token * h + j] * gate[i * h + j];
          u += in[token * h + j] * up[i * h + j];
        }
        const double middle = share * g / (1 + std::exp(-g)) * u;
        for (std::size_t o = 0; o < h; ++o) expected[token * h + o] += middle * down[o * w + i];
      }
    }
  }
  return relative_error(memory.values(buffers.output, tokens * h, Element::bf16), expected);
}

}  // namespace

void check_moe(Bench& bench, CheckList& list) {
  constexpr double three_roundings_of_16_bit = 2e-2;
  for (const std::int64_t tokens : {1, 13}) {
    MoeRow row;
    row.dtype = "bf16";
    row.tokens = tokens;
    row.hidden = 128;
    row.intermediate = 128;
    row.experts = 8;
    row.topk = 2;
    row.tp = 2;
    list.run(fmt::format("moe of {} experts, {} tokens", row.experts, tokens), three_roundings_of_16_bit,
             [&] { return mixture_error(bench, row); });
  }
}

}  // namespace sextant::measure
