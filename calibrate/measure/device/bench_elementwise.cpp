#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "calibrate/measure/device/bench.hpp"
#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/elementwise.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::size_t bf16_bytes = 2, fp32_bytes = 4;
constexpr std::int64_t head_dim = 128, query_heads_per_kv_head = 4;

/// The kernel of a row's op, over pieces of the bench's memory.
std::function<void(int)> kernel(Bench& bench, const ElementwiseRow& row, Arena& reader, Arena& scratch) {
  const auto values = static_cast<std::size_t>(row.tokens * row.width);
  const cudaStream_t stream = bench.stream();
  if (row.op == "rmsnorm") {
    NormArguments a;
    a.input = reader.take(values * bf16_bytes);
    a.residual = scratch.take(values * bf16_bytes);
    a.weight = reader.take(static_cast<std::size_t>(row.width) * bf16_bytes);
    a.output = scratch.take(values * bf16_bytes);
    a.tokens = row.tokens;
    a.width = row.width;
    return [=](int) { residual_rmsnorm(a, stream); };
  }
  if (row.op == "activation") {
    const void* gate_up = reader.take(2 * values * bf16_bytes);
    void* output = scratch.take(values * bf16_bytes);
    return [=](int) { silu_multiply(gate_up, output, false, row.tokens, row.width, stream); };
  }
  if (row.op == "rope") {
    // Rotation alone: queries and keys read and written; the cache is counted with attention.
    RopeArguments a;
    const std::int64_t all_heads = row.width / head_dim;
    a.kv_heads = std::max<std::int64_t>(all_heads / (query_heads_per_kv_head + 1), 1);
    a.heads = all_heads - a.kv_heads;
    a.head_dim = head_dim;
    a.tokens = row.tokens;
    a.qkv = scratch.take(static_cast<std::size_t>(row.tokens * (a.heads + 2 * a.kv_heads) * head_dim) *
                         bf16_bytes);
    a.query = scratch.take(static_cast<std::size_t>(row.tokens * a.heads * head_dim) * bf16_bytes);
    return [=](int) { rope_and_cache(a, stream); };
  }
  if (row.op == "embedding") {
    constexpr std::int64_t rows = 32768;
    const void* table = reader.take(static_cast<std::size_t>(rows * row.width) * bf16_bytes);
    auto* ids =
        static_cast<std::int32_t*>(scratch.take(static_cast<std::size_t>(row.tokens) * sizeof(std::int32_t)));
    scatter_pages(ids, row.tokens, 0, rows, stream);
    void* output = scratch.take(values * bf16_bytes);
    return [=](int) { embed(table, ids, output, row.tokens, row.width, rows, stream); };
  }
  if (row.op == "sampling") {
    const void* logits = reader.take(values * bf16_bytes);
    auto* wide = static_cast<float*>(scratch.take(values * fp32_bytes));
    auto* ids =
        static_cast<std::int32_t*>(scratch.take(static_cast<std::size_t>(row.tokens) * sizeof(std::int32_t)));
    return [=](int) { sample_greedy(logits, wide, ids, row.tokens, row.width, stream); };
  }
  throw Error(ExitCode::failure, fmt::format("skipped: no kernel of the name {}", row.op));
}

/// Host microseconds of one call, of `calls` in a row.
template <class Call>
double host_us(int calls, Call&& call) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) call();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() / calls;
}

}  // namespace

Bench::Result bench_elementwise(Bench& bench, const ElementwiseRow& row) {
  Arena reader = bench.reader(Element::bf16), scratch = bench.scratch();
  const std::function<void(int)> run = kernel(bench, row, reader, scratch);
  // Activations: not rotated, they come from the kernel before and are in the L2 if they fit.
  const int operations = std::clamp(static_cast<int>(0.0005 / rough_seconds(row, bench.rates())), 1, 200);
  const GraphTimer::Result timed = bench.timer().time(operations, run, bench.options().rule);
  return {timed.summary.interval.median, timed.note + "; not rotated"};
}

Bench::Result bench_launch(Bench& bench, const std::string& op) {
  constexpr int kernels = 200;
  const cudaStream_t stream = bench.stream();
  if (op == "graph_kernel") {
    const GraphTimer::Result timed = bench.timer().time(
        kernels, [&](int) { empty_kernel(stream); }, bench.options().rule);
    return {timed.summary.interval.median, "device time of an empty kernel in a graph; " + timed.note};
  }
  const Graph graph(stream, [&] {
    for (int i = 0; i < kernels; ++i) empty_kernel(stream);
  });
  Sampler sampler(bench.options().rule);
  while (!sampler.done()) {
    double us = 0;
    if (op == "launch_kernel")
      us = host_us(kernels, [&] { empty_kernel(stream); });
    else if (op == "graph_launch")
      us = host_us(1, [&] { graph.launch(stream); });
    else
      throw Error(ExitCode::failure, fmt::format("skipped: no launch measurement of the name {}", op));
    SEXTANT_CUDA(cudaStreamSynchronize(stream));
    sampler.add(us, us * 1e-6 * kernels);
  }
  const SampleSummary summary = sampler.summary();
  const char* what = op == "launch_kernel" ? "host time of a kernel launch; "
                                           : "host time to launch a graph of 200 kernels; ";
  return {summary.interval.median, what + summary.note()};
}

}  // namespace sextant::measure
