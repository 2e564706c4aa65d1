#pragma once
#include <functional>
#include <string>
#include <vector>

#include "models/profile/measurement.hpp"

namespace sextant {

using MeasurementSink = std::function<void(const Measurement&)>;

/// Whose kernel times a table holds.
struct TableOrigin {
  std::string gpu;   ///< catalogue name
  std::string link;  ///< how its GPUs were joined: nvlink or pcie; for the communication tables
  double ring_gbps =
      0;  ///< most that a ring can carry over it; an all-reduce above is marked nvls; 0: unknown
};

/// Reads the kernel tables that are present in a folder (ai-dynamo/aiconfigurator's, as CSV, gzip allowed)
/// and passes their rows on one by one: gemm, context_attention, generation_attention, nccl and
/// custom_allreduce; other files are left alone. `nccl` without a link class in `origin` throws. Returns the
/// paths read. Throws InputError if there is none, or for a bad table, naming file, row and column.
std::vector<std::string> import_kernel_tables(const std::string& folder, const TableOrigin& origin,
                                              const MeasurementSink& sink);

/// "owner/name@revision (licence)" of a table's source, "owner/name@revision path (licence)"; the source
/// itself where it names no path, "an unnamed source" where it is empty.
std::string table_repository(const std::string& source);

// One reader for each kind of table.
void import_gemm_table(const std::string& path, const TableOrigin&, const MeasurementSink&);
/// Rows have no cached past: `step` is 0 in every one, any other value throws.
void import_context_attention_table(const std::string& path, const TableOrigin&, const MeasurementSink&);
/// context = step + isl: `step` tokens are cached and the isl = 1 new one attends to itself as well.
void import_generation_attention_table(const std::string& path, const TableOrigin&, const MeasurementSink&);
/// message_size is in elements of nccl_dtype, of the whole buffer as nccl-tests counts it, for every
/// operation.
void import_nccl_table(const std::string& path, const TableOrigin&, const MeasurementSink&);
/// Only the rows that ran inside a CUDA graph; eager ones hold the host's launch time.
void import_custom_allreduce_table(const std::string& path, const TableOrigin&, const MeasurementSink&);

}  // namespace sextant
