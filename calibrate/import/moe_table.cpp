#include <fmt/core.h>

#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/table_words.hpp"

namespace sextant {

void import_moe_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                      const MeasurementSink& sink) {
  enum Column : std::size_t {
    kernel,
    dtype,
    tokens,
    hidden,
    inter,
    topk,
    experts,
    tp,
    ep,
    distribution,
    latency,
    version
  };
  Measurement measurement{origin.gpu, path, "", {}};
  RowGate gate(path, origin.gpu, report, sink);
  for_each_csv_row(
      path,
      {"kernel_source", "moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts",
       "moe_tp_size", "moe_ep_size", "distribution", "latency", "version?"},
      [&](std::string_view comment) { detail::note_source(comment, measurement.source); },
      [&](const CsvRow& cells) {
        const std::optional<double> us = detail::latency_us(gate, cells, latency);
        if (!us) return;
        MoeRow row;
        row.us = *us;
        row.dtype = detail::moe_dtype_word(cells, dtype);
        row.tokens = cells.count(tokens, 1);
        row.hidden = cells.count(hidden, 1);
        row.intermediate = cells.count(inter, 1);
        row.experts = cells.count(experts, 1);
        row.topk = cells.count(topk, 1);
        if (row.topk > row.experts)
          cells.fail(topk,
                     fmt::format("found {} of {} experts, expected at most all", row.topk, row.experts));
        row.tp = cells.count(tp, 1);
        row.ep = cells.count(ep, 1);
        row.distribution = cells.text(distribution);
        measurement.note = cells.text(kernel);
        if (const std::string_view named = cells.text(version);
            !named.empty() && measurement.source.find(named) == std::string::npos)
          measurement.note.append(", ").append(named);
        measurement.row = row;
        detail::pass_row(gate, measurement, *us, cells, latency);
      });
  gate.finish();
}

}  // namespace sextant
