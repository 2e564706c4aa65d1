#pragma once
#include <map>
#include <string>

#include "models/base/json_reader.hpp"
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// Estimates around a plan, without simulation: what a page's explorer asks when a control is moved. Runs in
/// the program that writes the page and, compiled to WebAssembly, in the page.
class Explorer {
 public:
  /// The question that explorer_question makes, as JSON text. Throws InputError.
  explicit Explorer(const std::string& question);

  /// The estimates at a point: {"load": 8, "network_gbits": 100, "cards": {NAME: 3}, "watts": {NAME: 300},
  /// "clock": {NAME: 0.8}}, what is not named stays as planned. As JSON text: `best` (by estimate, of the
  /// layouts that the planner's rules of placement and split suggest) and `planned` (the plan's own layout),
  /// each {layout, gpus, output_throughput, request_throughput, mean_tpot_ms, mean_ttft_ms, kv_tokens}, or
  /// null with the reason in `best_missing`, `planned_missing`. mean_ttft_ms is null where more arrives than
  /// is served. Throws InputError for a point that cannot be.
  std::string answer(const std::string& point);

 private:
  JsonValue question_;
  std::map<std::string, GpuProfile> profiles_;  // by GPU, as read
};

}  // namespace sextant
