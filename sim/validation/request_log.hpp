#pragma once
#include <string>
#include <utility>
#include <vector>

namespace sextant {

/// Reads a per-request log, JSON Lines of {"input_toks", "output_toks", "queued_ts", "first_token_ts",
/// "last_token_ts"} (seconds on one clock; other keys are ignored; gzip allowed), into the metrics that
/// named_metrics has of a simulated run: latencies, request_throughput, output_throughput,
/// total_token_throughput. TTFT and E2EL count from queued_ts. Throws InputError naming file and line.
std::vector<std::pair<std::string, double>> request_log_metrics(const std::string& path);

}  // namespace sextant
