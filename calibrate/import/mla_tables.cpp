#include <fmt/core.h>

#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/table_words.hpp"

namespace sextant {
namespace {

enum Column : std::size_t { kernel, batch, isl, heads, dtype, kv_dtype, tp, step, latency, gemm_dtype };

/// Fills what prefill and decode share.
template <class Row>
Row mla_row(const CsvRow& cells, bool module) {
  Row row;
  row.heads = cells.count(heads, 1);
  row.batch = cells.count(batch, 1);
  row.dtype = detail::dtype_word(cells, dtype);
  row.kv_dtype = detail::dtype_word(cells, kv_dtype);
  row.module = module;
  if (module) row.projections = detail::dtype_word(cells, gemm_dtype);
  row.tp = cells.count(tp, 1);
  return row;
}

template <class Visit>
void for_each_mla(const std::string& path, bool module, const TableOrigin& origin, ImportReport& report,
                  const MeasurementSink& sink, Visit&& visit) {
  Measurement measurement{origin.gpu, path, "", {}};
  RowGate gate(path, origin.gpu, report, sink);
  std::vector<std::string> columns = {"kernel_source",  "batch_size", "isl",  "num_heads", "mla_dtype",
                                      "kv_cache_dtype", "tp_size",    "step", "latency"};
  if (module) columns.push_back("gemm_type");
  for_each_csv_row(
      path, columns, [&](std::string_view comment) { detail::note_source(comment, measurement.source); },
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

MlaDecodeRow decode_row(const CsvRow& cells, bool module) {
  auto row = mla_row<MlaDecodeRow>(cells, module);
  if (const std::int64_t fresh = cells.count(isl, 1); fresh != 1)
    cells.fail(isl, fmt::format("found {}, expected 1 new token", fresh));
  return row;
}

}  // namespace

void import_context_mla_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                              const MeasurementSink& sink) {
  for_each_mla(path, false, origin, report, sink, [](const CsvRow& cells) {
    auto row = mla_row<MlaPrefillRow>(cells, false);
    row.new_tokens = cells.count(isl, 1);
    row.past_tokens = cells.count(step, 0);
    if (row.past_tokens != 0)
      cells.fail(step, fmt::format("found {}, expected 0: whether isl counts a cached past is not known",
                                   row.past_tokens));
    return row;
  });
}

void import_generation_mla_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                                 const MeasurementSink& sink) {
  for_each_mla(path, false, origin, report, sink, [](const CsvRow& cells) {
    auto row = decode_row(cells, false);
    row.context = cells.count(step, 0) + 1;
    return row;
  });
}

// ai-dynamo/aiconfigurator collector/vllm/collect_mla_module.py: step = prefix_len, isl = seq_len of a
// prompt.
void import_mla_context_module_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                                     const MeasurementSink& sink) {
  for_each_mla(path, true, origin, report, sink, [](const CsvRow& cells) {
    auto row = mla_row<MlaPrefillRow>(cells, true);
    row.new_tokens = cells.count(isl, 1);
    row.past_tokens = cells.count(step, 0);
    return row;
  });
}

// The same file: in generation isl = 1 and step = seq_len, which "includes the current token; generation
// caches only seq_len - 1"; the token's position is seq_len - 1.
void import_mla_generation_module_table(const std::string& path, const TableOrigin& origin,
                                        ImportReport& report, const MeasurementSink& sink) {
  for_each_mla(path, true, origin, report, sink, [](const CsvRow& cells) {
    auto row = decode_row(cells, true);
    row.context = cells.count(step, 1);
    return row;
  });
}

}  // namespace sextant
