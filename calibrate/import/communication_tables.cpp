#include <fmt/core.h>

#include <array>
#include <utility>

#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/table_words.hpp"
#include "models/base/error.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

std::string operation_word(const CsvRow& row, std::size_t column) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> words = {
      {{"all_reduce", "all_reduce"},
       {"all_gather", "all_gather"},
       {"reduce_scatter", "reduce_scatter"},
       {"alltoall", "all_to_all"}}};
  for (const auto& [theirs, ours] : words)
    if (row.text(column) == theirs) return std::string(ours);
  row.fail(column, fmt::format("found '{}', expected one of all_reduce, all_gather, reduce_scatter, alltoall",
                               row.text(column)));
}

constexpr std::int64_t most_ranks = 1 << 20;

int rank_count(const CsvRow& row, std::size_t column) {
  const std::int64_t ranks = row.count(column, 2);
  if (ranks > most_ranks)
    row.fail(column, fmt::format("found {} GPUs, expected at most {}", ranks, most_ranks));
  return static_cast<int>(ranks);
}

void require_link(const std::string& path, const TableOrigin& origin) {
  if (origin.link.empty())
    throw InputError(
        fmt::format("{}: the link between the GPUs is not known, expected nvlink or pcie", path));
}

/// Whether an all-reduce's bus bandwidth, 2 (n - 1) / n of bytes / time, exceeds what a ring carries.
bool reduced_in_switch(const CollectiveRow& row, double ring_gbps) {
  if (row.op != "all_reduce" || ring_gbps <= 0) return false;
  return 2.0 * (row.ranks - 1) / row.ranks * row.bytes / row.us / 1e3 > ring_gbps;
}

/// "vllm 0.24.0" of a source whose path ends in "…/vllm/0.24.0/table.parquet (licence)"; empty without one.
std::string engine_of(const std::string& source) {
  const std::size_t file = source.rfind('/');
  if (file == std::string::npos || file == 0) return "";
  const std::size_t version = source.rfind('/', file - 1);
  if (version == std::string::npos || version == 0) return "";
  const std::size_t engine = source.rfind('/', version - 1);
  if (engine == std::string::npos) return "";
  return source.substr(engine + 1, version - engine - 1) + " " +
         source.substr(version + 1, file - version - 1);
}

}  // namespace

// The whole buffer, not a rank's part of it, in each operation: at the largest size two ranks over PCIe 5 x16
// (63 GB/s one way) would otherwise move 64.6 GB/s in all_gather, eight ranks 184 GB/s; as a whole buffer the
// bus bandwidths are 32.3, 23.4 and 23.0 GB/s for 2, 4 and 8 ranks.
void import_nccl_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                       const MeasurementSink& sink) {
  enum Column : std::size_t { operation, dtype, ranks, elements, latency };
  require_link(path, origin);
  Measurement measurement{origin.gpu, path, "", {}};
  RowGate gate(path, origin.gpu, report, sink);
  for_each_csv_row(
      path, {"op_name", "nccl_dtype", "num_gpus", "message_size", "latency"},
      [&](std::string_view comment) { detail::note_source(comment, measurement.source); },
      [&](const CsvRow& cells) {
        const std::optional<double> us = detail::latency_us(gate, cells, latency);
        if (!us) return;
        CollectiveRow row;
        row.us = *us;
        row.op = operation_word(cells, operation);
        row.ranks = rank_count(cells, ranks);
        row.link = origin.link;
        row.dtype = detail::dtype_word(cells, dtype);
        row.bytes = static_cast<double>(cells.count(elements, 1)) * element_bytes(row.dtype);
        row.impl = "nccl";
        if (reduced_in_switch(row, origin.ring_gbps)) row.nvls = true;
        measurement.row = row;
        detail::pass_row(gate, measurement, *us, cells, latency);
      });
  gate.finish();
}

void import_custom_allreduce_table(const std::string& path, const TableOrigin& origin, ImportReport& report,
                                   const MeasurementSink& sink) {
  enum Column : std::size_t { kernel, dtype, ranks, elements, latency, backend };
  require_link(path, origin);
  Measurement measurement{origin.gpu, path, "", {}};
  RowGate gate(path, origin.gpu, report, sink);
  for_each_csv_row(
      path, {"kernel_source", "allreduce_dtype", "num_gpus", "message_size", "latency", "backend"},
      [&](std::string_view comment) { detail::note_source(comment, measurement.source); },
      [&](const CsvRow& cells) {
        if (cells.text(backend).ends_with("_eager"))
          return gate.leave_out("launched from the host, whose time they hold",
                                detail::place_of(cells, backend));
        const std::optional<double> us = detail::latency_us(gate, cells, latency);
        if (!us) return;
        CollectiveRow row;
        row.us = *us;
        row.op = "all_reduce";
        row.ranks = rank_count(cells, ranks);
        row.link = origin.link;
        row.dtype = detail::dtype_word(cells, dtype);
        row.bytes = static_cast<double>(cells.count(elements, 1)) * element_bytes(row.dtype);
        row.impl = "custom";
        measurement.note = cells.text(kernel);
        if (const std::string engine = engine_of(measurement.source); !engine.empty())
          measurement.note += " of " + engine;
        measurement.row = row;
        detail::pass_row(gate, measurement, *us, cells, latency);
      });
  gate.finish();
}

}  // namespace sextant
