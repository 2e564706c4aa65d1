#pragma once
#include <functional>
#include <string>
#include <vector>

#include "calibrate/import/import_report.hpp"
#include "models/profile/measurement.hpp"

namespace sextant {

/// Whose kernel times a table holds.
struct TableOrigin {
  std::string gpu;   ///< catalogue name
  std::string link;  ///< how its GPUs were joined: nvlink or pcie; for the communication tables
  double ring_gbps =
      0;  ///< most that a ring can carry over it; an all-reduce above is marked nvls; 0: unknown
};

/// Reads the kernel tables that are present in a folder (ai-dynamo/aiconfigurator's, as CSV, gzip allowed)
/// and passes their rows on one by one: gemm, context_attention, generation_attention, moe, the four of MLA,
/// nccl and custom_allreduce; other files are left alone. `nccl` without a link class in `origin` throws.
/// Returns the paths read. Throws InputError if there is none, or for a bad table, naming file, row and
/// column.
/// Rows whose latency is no positive number are counted in the report; a file with many of them, or with
/// times that the GPU's data sheet does not allow, is refused (`row_gate.hpp`).
std::vector<std::string> import_kernel_tables(const std::string& folder, const TableOrigin& origin,
                                              ImportReport&, const MeasurementSink& sink);
/// As above, but the first bad row throws.
std::vector<std::string> import_kernel_tables(const std::string& folder, const TableOrigin& origin,
                                              const MeasurementSink& sink);

/// "owner/name@revision (licence)" of a table's source, "owner/name@revision path (licence)"; the source
/// itself where it names no path, "an unnamed source" where it is empty.
std::string table_repository(const std::string& source);

// One reader for each kind of table.
void import_gemm_table(const std::string& path, const TableOrigin&, ImportReport&, const MeasurementSink&);
/// Rows have no cached past: `step` is 0 in every one, any other value throws.
void import_context_attention_table(const std::string& path, const TableOrigin&, ImportReport&,
                                    const MeasurementSink&);
/// context = step + isl: `step` tokens are cached and the isl = 1 new one attends to itself as well.
void import_generation_attention_table(const std::string& path, const TableOrigin&, ImportReport&,
                                       const MeasurementSink&);
/// inter_size and num_experts are the model's, of which the GPU holds a tp-th and an ep-th; num_tokens are
/// those of the whole group, and the time is that of the GPU with most work. The note is the kernel, with the
/// version behind a comma where the table names one that its path does not.
void import_moe_table(const std::string& path, const TableOrigin&, ImportReport&, const MeasurementSink&);
/// num_heads are the GPU's, the model's / tp_size.
void import_context_mla_table(const std::string& path, const TableOrigin&, ImportReport&,
                              const MeasurementSink&);
/// context = step + isl, as for generation_attention.
void import_generation_mla_table(const std::string& path, const TableOrigin&, ImportReport&,
                                 const MeasurementSink&);
/// The whole attention module; isl are the new tokens, step the cached ones before them.
void import_mla_context_module_table(const std::string& path, const TableOrigin&, ImportReport&,
                                     const MeasurementSink&);
/// context = step: here it counts the new token, which stands at position step - 1.
void import_mla_generation_module_table(const std::string& path, const TableOrigin&, ImportReport&,
                                        const MeasurementSink&);
/// message_size is in elements of nccl_dtype, of the whole buffer as nccl-tests counts it, for every
/// operation.
void import_nccl_table(const std::string& path, const TableOrigin&, ImportReport&, const MeasurementSink&);
/// Only the rows that ran inside a CUDA graph; eager ones hold the host's launch time.
void import_custom_allreduce_table(const std::string& path, const TableOrigin&, ImportReport&,
                                   const MeasurementSink&);

}  // namespace sextant
