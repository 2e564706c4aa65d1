#include <fmt/core.h>

#include <cmath>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/check_support.hpp"
#include "calibrate/measure/device/mixture.hpp"

namespace sextant::measure {
namespace {

double mixture_error(Bench& bench, const MoeRow& row) {
  const Mixture mixture(row);
  const GroupedBlas blas(bench.blas_workspace(), Gemm::workspace_bytes);
  CheckMemory memory(bench);
  const auto h = static_cast<std::size_t>(row.hidden), w = static_cast<std::size_t>(mixture.width()),
             rows = static_cast<std::size_t>(mixture.rows()), experts = static_cast<std::size_t>(row.experts);
  Mixture::Buffers buffers;
  void* weights = memory.random(experts * 3 * h * w, Element::bf16, 0.2F);
  void* input = memory.random(rows * h, Element::bf16);
  buffers.experts = static_cast<const std::byte*>(weights);
  buffers.input = static_cast<const std::byte*>(input);
  buffers.gate_up = static_cast<std::byte*>(memory.poisoned(rows * 2 * w * 2));
  buffers.activated = static_cast<std::byte*>(memory.poisoned(rows * w * 2));
  buffers.output = static_cast<std::byte*>(memory.poisoned(rows * h * 2));
  buffers.first_expert = 1;
  void* lists = memory.poisoned(mixture.list_bytes());
  mixture.write_lists(buffers, lists, bench.stream());
  mixture.run(blas, buffers, lists, bench.stream());
  SEXTANT_CUDA(cudaStreamSynchronize(bench.stream()));
  const Values all = memory.values(weights, experts * 3 * h * w, Element::bf16),
               in = memory.values(input, rows * h, Element::bf16);
  Values expected(rows * h);
  for (int place = 0; place < mixture.active(); ++place) {
    const double* gate = &all[(static_cast<std::size_t>(place) + 1) % experts * 3 * h * w];
    const double* up = gate + w * h;
    const double* down = up + w * h;
    const auto end = static_cast<std::size_t>(place + 1 < mixture.active() ? mixture.first_row(place + 1)
                                                                           : mixture.rows());
    for (auto row_index = static_cast<std::size_t>(mixture.first_row(place)); row_index < end; ++row_index) {
      Values middle(w);
      for (std::size_t i = 0; i < w; ++i) {
        double g = 0, u = 0;
        for (std::size_t j = 0; j < h; ++j) {
          g += in[row_index * h + j] * gate[i * h + j];
          u += in[row_index * h + j] * up[i * h + j];
        }
        middle[i] = g / (1 + std::exp(-g)) * u;
      }
      for (std::size_t o = 0; o < h; ++o)
        for (std::size_t i = 0; i < w; ++i) expected[row_index * h + o] += middle[i] * down[o * w + i];
    }
  }
  return relative_error(memory.values(buffers.output, rows * h, Element::bf16), expected);
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
