#include <fmt/core.h>

#include <algorithm>

#include "calibrate/measure/device/bench.hpp"
#include "calibrate/measure/device/prefill_attention.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::size_t bf16_bytes = 2;

}  // namespace

Bench::Result bench_decode(Bench& bench, const AttentionDecodeRow& row) {
  const DecodeShape shape{row.heads, row.kv_heads, row.head_dim,
                          row.batch, row.context,  row.kv_dtype == "fp8" ? Element::fp8 : Element::bf16};
  Arena cache = bench.reader(shape.kv), scratch = bench.scratch();
  const std::size_t half = cache.bytes() / 2;
  const std::int64_t table_pages = row.batch * pages_of(row.context);
  const std::int64_t cache_pages = static_cast<std::int64_t>(half / page_bytes(shape));
  if (table_pages > cache_pages)
    throw Error(ExitCode::failure, fmt::format("skipped: needs {} pages of KV cache, {} are set aside",
                                               table_pages, cache_pages));
  const std::size_t streamed = 2 * static_cast<std::size_t>(table_pages) * page_bytes(shape);
  Rotation turns = rotation(bench, streamed, 2 * static_cast<std::size_t>(cache_pages) * page_bytes(shape),
                            rough_seconds(row, bench.rates()));
  const auto values_of_query = static_cast<std::size_t>(row.batch * row.heads * row.head_dim);
  const int splits = decode_splits(shape, bench.device().multiprocessors);

  DecodeOperands operands;
  operands.query = bench.reader(Element::bf16).take(values_of_query * bf16_bytes);
  operands.keys = cache.data();
  operands.values = cache.data() + half;
  operands.output = scratch.take(values_of_query * bf16_bytes);
  operands.workspace = scratch.take(decode_workspace_bytes(shape, splits));
  prepare_decode_workspace(shape, splits, operands.workspace, bench.stream());
  auto* lengths =
      static_cast<std::int32_t*>(scratch.take(static_cast<std::size_t>(row.batch) * sizeof(std::int32_t)));
  set_lengths(lengths, row.batch, row.context, bench.stream());
  operands.lengths = lengths;
  std::vector<const std::int32_t*> tables;
  for (int i = 0; i < turns.buffers; ++i) {
    auto* table = static_cast<std::int32_t*>(
        scratch.take(static_cast<std::size_t>(table_pages) * sizeof(std::int32_t)));
    scatter_pages(table, table_pages, i * table_pages, cache_pages, bench.stream());
    tables.push_back(table);
  }
  const GraphTimer::Result timed = bench.timer().time(
      turns.operations,
      [&](int i) {
        operands.page_table = tables[static_cast<std::size_t>(i % turns.buffers)];
        decode_attention(shape, operands, splits, bench.stream());
      },
      bench.options().rule);
  const double us = timed.summary.interval.median;
  return {us, fmt::format("own split-KV kernel, pages of {}, {} splits, {:.0f} GB/s of KV; {}{}", page_tokens,
                          splits, static_cast<double>(streamed) / us / 1e3, timed.note, turns.note())};
}

PrefillShape prefill_shape(const AttentionPrefillRow& row) {
  return {row.heads, row.kv_heads, row.head_dim, row.batch, row.new_tokens, row.past_tokens};
}

Bench::Result bench_prefill(Bench& bench, const AttentionPrefillRow& row) {
  const PrefillShape shape = prefill_shape(row);
  const std::unique_ptr<PrefillAttention> plan = bench.prefill_plan(shape);
  const PrefillAttention& attention = *plan;
  Arena reader = bench.reader(Element::bf16), scratch = bench.scratch();
  const auto query_bytes =
      static_cast<std::size_t>(row.batch * row.new_tokens * row.heads * row.head_dim) * bf16_bytes;
  const auto kv_bytes =
      static_cast<std::size_t>(row.batch * (row.new_tokens + row.past_tokens) * row.kv_heads * row.head_dim) *
      bf16_bytes;
  PrefillOperands operands;
  operands.query = reader.take(query_bytes);
  operands.output = scratch.take(query_bytes);
  void* workspace = scratch.take(std::max<std::size_t>(attention.workspace_bytes(), 1));
  const Rotation turns = rotation(bench, 2 * kv_bytes, reader.left(), rough_seconds(row, bench.rates()));
  std::vector<const void*> caches;
  for (int i = 0; i < 2 * turns.buffers; ++i) caches.push_back(reader.take(kv_bytes));
  const GraphTimer::Result timed = bench.timer().time(
      turns.operations,
      [&](int i) {
        operands.keys = caches[static_cast<std::size_t>(2 * (i % turns.buffers))];
        operands.values = caches[static_cast<std::size_t>(2 * (i % turns.buffers) + 1)];
        attention.run(bench.cudnn(), operands, workspace, bench.stream());
      },
      bench.options().rule, rest_of_tensor_work);
  const double us = timed.summary.interval.median;
  const auto fresh = static_cast<double>(row.new_tokens), past = static_cast<double>(row.past_tokens);
  const double flops =
      4 * static_cast<double>(row.batch * row.heads * row.head_dim) * fresh * (past + (fresh + 1) / 2);
  return {us, fmt::format("cuDNN {} fused attention, contiguous KV, {:.0f} TFLOP/s; {}{}",
                          bench.cudnn().version(), flops / us / 1e6, timed.note, turns.note())};
}

}  // namespace sextant::measure
