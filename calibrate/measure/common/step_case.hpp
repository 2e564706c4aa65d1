#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/profile/measurement.hpp"

namespace sextant::measure {

/// A model cut over GPUs.
struct StepLayout {
  std::string model;
  std::string weights = "bf16";  ///< or fp8
  std::string kv = "bf16";       ///< or fp8
  int tp = 1;
  int pp = 1;
  int ep = 1;  ///< or tp: each GPU of a group holds whole experts instead of a part of each
  int gpus() const { return tp * pp; }
  std::string text() const;  ///< "llama-3.1-8b bf16 tp 2 pp 1"
  bool operator==(const StepLayout&) const = default;
};

/// What the stages do in one measurement.
struct StepCase {
  bool prefill = false;
  std::int64_t batch = 1;    ///< of each microbatch
  std::int64_t context = 0;  ///< tokens cached (decode), prompt length (prefill)
  int microbatches = 1;
  std::int64_t tokens() const { return prefill ? batch * context : batch; }
  std::string text() const;
};

/// The rows' keys of a case, without times.
StepRow step_row(const StepLayout&, const StepCase&);

/// Layers of each stage, as vLLM divides them: evenly, what is left over going to the middle stages, the last
/// stage last.
std::vector<LayerRange> stage_layers(int layers, int stages);

}  // namespace sextant::measure
