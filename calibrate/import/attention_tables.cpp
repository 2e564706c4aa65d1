#include <fmt/core.h>

#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/table_words.hpp"

namespace sextant {
namespace {

enum Column : std::size_t {
  kernel,
  batch,
  isl,
  heads,
  kv_heads,
  head_dim,
  dtype,
  kv_dtype,
  step,
  window,
  latency
};

/// Fills what both attention kinds share.
template <class Row>
Row attention_row(const CsvRow& cells) {
  Row row;
  row.heads = cells.count(heads, 1);
  row.kv_heads = cells.count(kv_heads, 1);
  if (row.heads % row.kv_heads != 0)
    cells.fail(kv_heads,
               fmt::format("found {} for {} heads, expected a divisor of it", row.kv_heads, row.heads));
  row.head_dim = cells.count(head_dim, 1);
  row.batch = cells.count(batch, 1);
  row.dtype = detail::dtype_word(cells, dtype);
  row.kv_dtype = detail::dtype_word(cells, kv_dtype);
  // Tables of older engines (vLLM 0.14) have no such column: all their rows are of full attention.
  row.window = cells.text(window).empty() ? 0 : cells.count(window, 0);
  return row;
}

template <class Visit>
void for_each_attention(const std::string& path, const TableOrigin& origin, ImportReport& report,
                        const MeasurementSink& sink, Visit&& visit) {
  Measurement measurement{origin.gpu, path, "", {}};
  RowGate gate(path, origin.gpu, report, sink);
  for_each_csv_row(
      path,
      {"kernel_source", "batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "attn_dtype",
       "kv_cache_dtype", "step", "window_size?", "latency"},
      [&](std::string_view comment) { detail::note_source(comment, measurement.source); },
      [&](const CsvRow& cells) {
        const std::optional<double> us = detail::latency_us(gate, cells, latency);
        if (!us) return;
        measurement.note = cells.text(kernel);
        auto row = visit(cells);
        row.us = *us;
        measurement.row = row;
        detail::pass_row(gate, measurement, *us, cells, latency);
      });
  gate.finish();
}

}  // namespace

void import_context_attention_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                                    const MeasurementSink& sink) {
  for_each_attention(path, origin, report, sink, [](const CsvRow& cells) {
    auto row = attention_row<AttentionPrefillRow>(cells);
    row.new_tokens = cells.count(isl, 1);
    row.past_tokens = cells.count(step, 0);
    if (row.past_tokens != 0)
      cells.fail(step, fmt::format("found {}, expected 0: whether isl counts a cached past is not known",
                                   row.past_tokens));
    return row;
  });
}

void import_generation_attention_table(const std::string& path, const TableOrigin& origin,
                                       ImportReport& report, const MeasurementSink& sink) {
  for_each_attention(path, origin, report, sink, [](const CsvRow& cells) {
    auto row = attention_row<AttentionDecodeRow>(cells);
    const std::int64_t fresh = cells.count(isl, 1);
    if (fresh != 1) cells.fail(isl, fmt::format("found {}, expected 1 new token", fresh));
    row.context = cells.count(step, 0) + fresh;
    return row;
  });
}

}  // namespace sextant
