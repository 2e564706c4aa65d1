#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/table_words.hpp"

namespace sextant {

void import_gemm_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                       const MeasurementSink& sink) {
  enum Column : std::size_t { kernel, dtype, m, n, k, latency };
  Measurement measurement{origin.gpu, path, "", {}};
  RowGate gate(path, origin.gpu, report, sink);
  for_each_csv_row(
      path, {"kernel_source", "gemm_dtype", "m", "n", "k", "latency"},
      [&](std::string_view comment) { detail::note_source(comment, measurement.source); },
      [&](const CsvRow& cells) {
        const std::optional<double> us = detail::latency_us(gate, cells, latency);
        if (!us) return;
        measurement.note = cells.text(kernel);
        measurement.row = GemmRow{detail::dtype_word(cells, dtype), cells.count(m, 1), cells.count(n, 1),
                                  cells.count(k, 1), *us};
        detail::pass_row(gate, measurement, *us, cells, latency);
      });
  gate.finish();
}

}  // namespace sextant
