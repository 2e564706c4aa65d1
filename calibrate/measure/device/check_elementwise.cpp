#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/check_support.hpp"
#include "calibrate/measure/device/elementwise.hpp"

namespace sextant::measure {
namespace {

constexpr double rounding_of_16_bit = 1e-2, rounding_of_fp8 = 5e-2, exact = 0;

double norm_error(Bench& bench, bool fp8) {
  constexpr std::size_t tokens = 5, width = 5120;
  CheckMemory memory(bench);
  NormArguments a;
  a.input = memory.random(tokens * width, Element::bf16);
  a.residual = memory.random(tokens * width, Element::bf16);
  a.weight = memory.random(width, Element::bf16);
  a.output = memory.poisoned(tokens * width * 2);
  a.fp8_output = fp8;
  a.tokens = tokens;
  a.width = width;
  const Values input = memory.values(a.input, tokens * width, Element::bf16);
  Values sum = memory.values(a.residual, tokens * width, Element::bf16);
  const Values weight = memory.values(a.weight, width, Element::bf16);
  residual_rmsnorm(a, bench.stream());
  Values expected(tokens * width);
  for (std::size_t t = 0; t < tokens; ++t) {
    double squares = 0;
    for (std::size_t i = t * width; i < (t + 1) * width; ++i) {
      sum[i] += input[i];
      squares += sum[i] * sum[i];
    }
    const double factor = 1 / std::sqrt(squares / width + 1e-5);
    for (std::size_t i = 0; i < width; ++i) expected[t * width + i] = sum[t * width + i] * factor * weight[i];
  }
  return std::max(
      relative_error(memory.values(a.output, tokens * width, fp8 ? Element::fp8 : Element::bf16), expected),
      relative_error(memory.values(a.residual, tokens * width, Element::bf16), sum));
}

double silu_error(Bench& bench, bool fp8) {
  constexpr std::size_t tokens = 7, width = 1536;
  CheckMemory memory(bench);
  const void* gate_up = memory.random(2 * tokens * width, Element::bf16, 4);
  void* output = memory.poisoned(tokens * width * 2);
  silu_multiply(gate_up, output, fp8, tokens, width, bench.stream());
  const Values in = memory.values(gate_up, 2 * tokens * width, Element::bf16);
  Values expected(tokens * width);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::size_t gate = i / width * 2 * width + i % width;
    expected[i] = in[gate] / (1 + std::exp(-in[gate])) * in[gate + width];
  }
  return relative_error(memory.values(output, tokens * width, fp8 ? Element::fp8 : Element::bf16), expected);
}

/// Queries, and the keys and values that were put into a paged cache.
double rope_error(Bench& bench, bool fp8) {
  constexpr std::size_t heads = 6, kv_heads = 2, d = 128, sequences = 2, per_sequence = 3, tokens = 6,
                        first = 30, cache_tokens = 48, pages = 64, row = (heads + 2 * kv_heads) * d;
  CheckMemory memory(bench);
  RopeArguments a;
  a.qkv = memory.random(tokens * row, Element::bf16);
  a.query = memory.poisoned(tokens * heads * d * 2);
  const std::size_t cache_values = pages * 16 * kv_heads * d;
  a.keys = memory.random(cache_values, fp8 ? Element::fp8 : Element::bf16);
  a.values = memory.random(cache_values, fp8 ? Element::fp8 : Element::bf16);
  auto* table = static_cast<std::int32_t*>(memory.poisoned(sequences * 3 * 4));
  scatter_pages(table, sequences * 3, 1, pages, bench.stream());
  a.page_table = table;
  a.tokens = tokens;
  a.tokens_per_sequence = per_sequence;
  a.first_position = first;
  a.cache_tokens = cache_tokens;
  a.heads = heads;
  a.kv_heads = kv_heads;
  a.head_dim = d;
  a.fp8_cache = fp8;
  const Values in = memory.values(a.qkv, tokens * row, Element::bf16);
  rope_and_cache(a, bench.stream());
  std::vector<std::int32_t> ids(sequences * 3);
  SEXTANT_CUDA(cudaStreamSynchronize(bench.stream()));
  SEXTANT_CUDA(cudaMemcpy(ids.data(), table, ids.size() * 4, cudaMemcpyDeviceToHost));
  const Element element = fp8 ? Element::fp8 : Element::bf16;
  const Values query = memory.values(a.query, tokens * heads * d, Element::bf16);
  const Values keys = memory.values(a.keys, cache_values, element),
               values = memory.values(a.values, cache_values, element);
  Values found, expected;
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::size_t position = first + t % per_sequence, sequence = t / per_sequence;
    const std::size_t slot = static_cast<std::size_t>(ids[sequence * 3 + position / 16]) * 16 + position % 16;
    for (std::size_t h = 0; h < heads + 2 * kv_heads; ++h)
      for (std::size_t i = 0; i < d; ++i) {
        const double x = in[t * row + h * d + i % (d / 2)], y = in[t * row + h * d + d / 2 + i % (d / 2)];
        const double angle =
            static_cast<double>(position) * std::pow(500000.0, -2.0 * static_cast<double>(i % (d / 2)) / d);
        const double rotated =
            i < d / 2 ? x * std::cos(angle) - y * std::sin(angle) : y * std::cos(angle) + x * std::sin(angle);
        const bool is_value = h >= heads + kv_heads;
        expected.push_back(is_value ? in[t * row + h * d + i] : rotated);
        if (h < heads)
          found.push_back(query[(t * heads + h) * d + i]);
        else
          found.push_back((is_value ? values : keys)[(slot * kv_heads + (h - heads) % kv_heads) * d + i]);
      }
  }
  return relative_error(found, expected);
}

/// The share of rows in which the highest logit was not found.
double sampling_error(Bench& bench) {
  constexpr std::size_t rows = 9, width = 32064;
  CheckMemory memory(bench);
  const void* logits = memory.random(rows * width, Element::bf16, 8);
  auto* wide = static_cast<float*>(memory.poisoned(rows * width * 4));
  auto* ids = static_cast<std::int32_t*>(memory.poisoned(rows * 4));
  sample_greedy(logits, wide, ids, rows, width, bench.stream());
  const Values in = memory.values(logits, rows * width, Element::bf16);
  std::vector<std::int32_t> found(rows);
  SEXTANT_CUDA(cudaMemcpy(found.data(), ids, rows * 4, cudaMemcpyDeviceToHost));
  int wrong = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto begin = in.begin() + static_cast<std::ptrdiff_t>(row * width);
    wrong += std::max_element(begin, begin + width) - begin == found[row] ? 0 : 1;
  }
  return static_cast<double>(wrong) / rows;
}

double embed_error(Bench& bench) {
  constexpr std::size_t tokens = 8, width = 512, rows = 64;
  CheckMemory memory(bench);
  const void* table = memory.random(rows * width, Element::bf16);
  auto* ids = static_cast<std::int32_t*>(memory.poisoned(tokens * 4));
  scatter_pages(ids, tokens, 3, rows, bench.stream());
  void* embedded = memory.poisoned(tokens * width * 2);
  embed(table, ids, embedded, tokens, width, rows, bench.stream());
  void* last = memory.poisoned(tokens / 4 * width * 2);
  gather_last(embedded, last, tokens / 4, 4, width, bench.stream());
  std::vector<std::int32_t> rows_read(tokens);
  SEXTANT_CUDA(cudaStreamSynchronize(bench.stream()));
  SEXTANT_CUDA(cudaMemcpy(rows_read.data(), ids, tokens * 4, cudaMemcpyDeviceToHost));
  const Values in = memory.values(table, rows * width, Element::bf16);
  Values expected, expected_last;
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t i = 0; i < width; ++i) {
      expected.push_back(in[static_cast<std::size_t>(rows_read[t]) * width + i]);
      if (t % 4 == 3) expected_last.push_back(expected.back());
    }
  return std::max(relative_error(memory.values(embedded, tokens * width, Element::bf16), expected),
                  relative_error(memory.values(last, expected_last.size(), Element::bf16), expected_last));
}

}  // namespace

void check_elementwise(Bench& bench, CheckList& list) {
  list.run("rmsnorm with residual, bf16", rounding_of_16_bit, [&] { return norm_error(bench, false); });
  list.run("rmsnorm with residual, fp8 output", rounding_of_fp8, [&] { return norm_error(bench, true); });
  list.run("silu and multiply, bf16", rounding_of_16_bit, [&] { return silu_error(bench, false); });
  list.run("silu and multiply, fp8 output", rounding_of_fp8, [&] { return silu_error(bench, true); });
  list.run("rope and cache, bf16", rounding_of_16_bit, [&] { return rope_error(bench, false); });
  list.run("rope and cache, fp8 cache", rounding_of_fp8, [&] { return rope_error(bench, true); });
  list.run("greedy sampling", exact, [&] { return sampling_error(bench); });
  list.run("embedding and last tokens", exact, [&] { return embed_error(bench); });
}

}  // namespace sextant::measure
