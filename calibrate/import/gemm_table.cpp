#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/table_words.hpp"

namespace sextant {

void import_gemm_table(const std::string& path, const TableOrigin& origin, const MeasurementSink& sink) {
  enum Column : std::size_t { kernel, dtype, m, n, k, latency };
  Measurement measurement{origin.gpu, path, "", {}};
  for_each_csv_row(
      path, {"kernel_source", "gemm_dtype", "m", "n", "k", "latency"},
      [&](std::string_view comment) { detail::note_source(comment, measurement.source); },
      [&](const CsvRow& row) {
        measurement.note = row.text(kernel);
        measurement.row =
            GemmRow{detail::dtype_word(row, dtype), row.count(m, 1), row.count(n, 1), row.count(k, 1),
                    row.positive(latency) * detail::microseconds_per_millisecond};
        sink(measurement);
      });
}

}  // namespace sextant
