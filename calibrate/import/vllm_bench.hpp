#pragma once
#include "calibrate/import/foreign.hpp"

namespace sextant {

/// `vllm bench serve --save-result` -> a serving row of what it measured, under a scenario whose workload is
/// what was sent: rate or concurrency, number of prompts and, with `--save-detailed`, every request's lengths
/// and (vLLM that saves start_times) its time of sending, as a trace beside the output. Then also a requests
/// row with a log of every request. The scenario of origin says what was deployed; its deployment must be
/// fixed. Throws InputError.
void import_vllm_bench(const std::string& path, const ForeignOrigin&, ImportReport&, const MeasurementSink&);

namespace detail {

/// The scenario of origin as a document, checked as far as an importer can: it names a fixed deployment.
JsonValue deployed_scenario(const ForeignOrigin&);

}  // namespace detail
}  // namespace sextant
