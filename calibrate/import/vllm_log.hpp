#pragma once
#include "calibrate/import/foreign.hpp"

namespace sextant {

/// The log of `vllm serve` -> one serving row: total_kv_blocks (from "GPU KV cache size: N tokens", of the
/// worker that has fewest) and output_throughput (the mean over the engine's reports from the first to the
/// last that generated anything, summed over its data-parallel ranks). Throws InputError where the log has
/// neither.
void import_vllm_log(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);

}  // namespace sextant
