#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/check_support.hpp"
#include "calibrate/measure/device/prefill_attention.hpp"

namespace sextant::measure {
namespace {

/// Attention of one query over keys and values given as rows: softmax(q k / sqrt(d)) v.
void attend(const double* query, const std::vector<const double*>& keys,
            const std::vector<const double*>& values, std::size_t head_dim, double* output) {
  std::vector<double> scores;
  double highest = -1e300, sum = 0;
  for (const double* key : keys) {
    double score = 0;
    for (std::size_t d = 0; d < head_dim; ++d) score += query[d] * key[d];
    scores.push_back(score / std::sqrt(static_cast<double>(head_dim)));
    highest = std::max(highest, scores.back());
  }
  for (double& score : scores) sum += score = std::exp(score - highest);
  for (std::size_t d = 0; d < head_dim; ++d) {
    double total = 0;
    for (std::size_t i = 0; i < values.size(); ++i) total += scores[i] * values[i][d];
    output[d] = total / sum;
  }
}

double decode_error(Bench& bench, const DecodeShape& shape, int splits) {
  CheckMemory memory(bench);
  constexpr std::int64_t cache_pages = 256;
  // Sequences of different lengths, so that some end inside a page and inside a split.
  std::vector<std::int32_t> lengths;
  for (std::int64_t i = 0; i < shape.batch; ++i)
    lengths.push_back(static_cast<std::int32_t>(std::max<std::int64_t>(shape.context - 37 * i, 1)));
  const std::int64_t table_pages = shape.batch * pages_of(shape.context);
  const auto query_values = static_cast<std::size_t>(shape.batch * shape.heads * shape.head_dim);
  const auto cache_values =
      static_cast<std::size_t>(cache_pages * page_tokens * shape.kv_heads * shape.head_dim);
  DecodeOperands operands;
  operands.query = memory.random(query_values, Element::bf16, 2);
  operands.keys = memory.random(cache_values, shape.kv, 2);
  operands.values = memory.random(cache_values, shape.kv, 2);
  auto* table = static_cast<std::int32_t*>(memory.poisoned(static_cast<std::size_t>(table_pages) * 4));
  scatter_pages(table, table_pages, 5, cache_pages, bench.stream());
  auto* device_lengths = static_cast<std::int32_t*>(memory.poisoned(lengths.size() * 4));
  SEXTANT_CUDA(cudaMemcpyAsync(device_lengths, lengths.data(), lengths.size() * 4, cudaMemcpyHostToDevice,
                               bench.stream()));
  operands.page_table = table;
  operands.lengths = device_lengths;
  operands.output = memory.poisoned(query_values * 2);
  operands.workspace = memory.poisoned(std::max<std::size_t>(decode_workspace_bytes(shape, splits), 1));
  prepare_decode_workspace(shape, splits, operands.workspace, bench.stream());
  for (int turn = 0; turn < 2; ++turn)  // the second turn finds what the first left in the workspace
    decode_attention(shape, operands, splits, bench.stream());
  SEXTANT_CUDA(cudaStreamSynchronize(bench.stream()));

  std::vector<std::int32_t> pages(static_cast<std::size_t>(table_pages));
  SEXTANT_CUDA(cudaMemcpy(pages.data(), table, pages.size() * 4, cudaMemcpyDeviceToHost));
  const Values query = memory.values(operands.query, query_values, Element::bf16);
  const Values keys = memory.values(operands.keys, cache_values, shape.kv);
  const Values values = memory.values(operands.values, cache_values, shape.kv);
  Values expected(query_values);
  const auto d = static_cast<std::size_t>(shape.head_dim),
             kv_heads = static_cast<std::size_t>(shape.kv_heads),
             heads = static_cast<std::size_t>(shape.heads), group = heads / kv_heads,
             row_pages = static_cast<std::size_t>(pages_of(shape.context)),
             page = static_cast<std::size_t>(page_tokens);
  for (std::size_t b = 0; b < lengths.size(); ++b)
    for (std::size_t h = 0; h < heads; ++h) {
      std::vector<const double*> key_rows, value_rows;
      for (std::size_t token = 0; token < static_cast<std::size_t>(lengths[b]); ++token) {
        const auto slot = static_cast<std::size_t>(pages[b * row_pages + token / page]) * page + token % page;
        const std::size_t offset = (slot * kv_heads + h / group) * d;
        key_rows.push_back(&keys[offset]);
        value_rows.push_back(&values[offset]);
      }
      attend(&query[(b * heads + h) * d], key_rows, value_rows, d, &expected[(b * heads + h) * d]);
    }
  return relative_error(memory.values(operands.output, query_values, Element::bf16), expected);
}

double prefill_error(Bench& bench, const PrefillShape& shape) {
  CheckMemory memory(bench);
  const auto heads = static_cast<std::size_t>(shape.heads),
             kv_heads = static_cast<std::size_t>(shape.kv_heads),
             d = static_cast<std::size_t>(shape.head_dim), batch = static_cast<std::size_t>(shape.batch),
             rows = static_cast<std::size_t>(shape.new_tokens),
             past = static_cast<std::size_t>(shape.past_tokens), columns = past + rows;
  const PrefillAttention attention(bench.cudnn(), shape);
  PrefillOperands operands;
  operands.query = memory.random(batch * rows * heads * d, Element::bf16, 2);
  operands.keys = memory.random(batch * columns * kv_heads * d, Element::bf16, 2);
  operands.values = memory.random(batch * columns * kv_heads * d, Element::bf16, 2);
  operands.output = memory.poisoned(batch * rows * heads * d * 2);
  attention.run(bench.cudnn(), operands,
                memory.poisoned(std::max<std::size_t>(attention.workspace_bytes(), 1)), bench.stream());
  SEXTANT_CUDA(cudaStreamSynchronize(bench.stream()));
  const Values query = memory.values(operands.query, batch * rows * heads * d, Element::bf16);
  const Values keys = memory.values(operands.keys, batch * columns * kv_heads * d, Element::bf16);
  const Values values = memory.values(operands.values, batch * columns * kv_heads * d, Element::bf16);
  Values expected(batch * rows * heads * d);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t h = 0; h < heads; ++h) {
        std::vector<const double*> key_rows, value_rows;
        for (std::size_t token = 0; token <= past + row; ++token) {
          const std::size_t offset = ((b * columns + token) * kv_heads + h / (heads / kv_heads)) * d;
          key_rows.push_back(&keys[offset]);
          value_rows.push_back(&values[offset]);
        }
        const std::size_t offset = ((b * rows + row) * heads + h) * d;
        attend(&query[offset], key_rows, value_rows, d, &expected[offset]);
      }
  return relative_error(memory.values(operands.output, expected.size(), Element::bf16), expected);
}

constexpr double rounding_of_16_bit = 1e-2;

}  // namespace

void check_decode(Bench& bench, CheckList& list) {
  struct Case {
    DecodeShape shape;
    int splits;
  };
  const std::vector<Case> cases = {
      {{8, 2, 128, 3, 200, Element::bf16}, 1},  {{8, 2, 128, 3, 700, Element::bf16}, 5},
      {{16, 1, 128, 2, 300, Element::bf16}, 2}, {{40, 2, 128, 2, 260, Element::bf16}, 2},
      {{8, 8, 64, 2, 333, Element::bf16}, 3},   {{32, 4, 128, 3, 515, Element::fp8}, 4},
      {{8, 2, 128, 2, 100, Element::fp8}, 1},   {{16, 2, 64, 2, 260, Element::fp8}, 2},
      {{8, 2, 128, 2, 1, Element::bf16}, 1}};
  for (const Case& item : cases) {
    // As many splits as can all have pages: the same rule as decode_splits.
    const int splits = static_cast<int>(
        (pages_of(item.shape.context) + decode_pages_per_split(item.shape, item.splits) - 1) /
        decode_pages_per_split(item.shape, item.splits));
    list.run(
        fmt::format("attention_decode {} heads {} kv {} d {} batch {} context {} splits {}",
                    item.shape.kv == Element::fp8 ? "fp8" : "bf16", item.shape.heads, item.shape.kv_heads,
                    item.shape.head_dim, item.shape.batch, item.shape.context, splits),
        rounding_of_16_bit, [&] { return decode_error(bench, item.shape, splits); });
  }
}

void check_prefill(Bench& bench, CheckList& list) {
  for (const PrefillShape& shape : {PrefillShape{4, 2, 128, 2, 128, 0}, PrefillShape{8, 1, 128, 1, 64, 192},
                                    PrefillShape{4, 4, 64, 1, 128, 128}, PrefillShape{8, 2, 128, 1, 100, 50}})
    list.run(fmt::format("attention_prefill heads {} kv {} d {} batch {} new {} past {}", shape.heads,
                         shape.kv_heads, shape.head_dim, shape.batch, shape.new_tokens, shape.past_tokens),
             rounding_of_16_bit, [&] { return prefill_error(bench, shape); });
}

}  // namespace sextant::measure
