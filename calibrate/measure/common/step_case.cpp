#include "calibrate/measure/common/step_case.hpp"

#include <fmt/core.h>

namespace sextant::measure {

std::string StepLayout::text() const {
  return fmt::format("{} {} tp {} pp {}{}", model, weights, tp, pp, ep > 1 ? fmt::format(" ep {}", ep) : "");
}

std::string StepCase::text() const {
  return fmt::format("{} batch {} context {} microbatches {}", prefill ? "prefill" : "decode", batch, context,
                     microbatches);
}

StepRow step_row(const StepLayout& layout, const StepCase& item) {
  StepRow row;
  row.model = layout.model;
  row.weights = layout.weights;
  row.kv = layout.kv;
  row.tp = layout.tp;
  row.pp = layout.pp;
  row.ep = layout.ep;
  row.phase = item.prefill ? "prefill" : "decode";
  row.batch = item.batch;
  row.context = item.context;
  row.microbatches = item.microbatches;
  row.graph = true;
  return row;
}

// vllm/distributed/utils.py, get_pp_indices: the remainder goes to the stages before the last, one each, from
// the last but one backwards.
std::vector<LayerRange> stage_layers(int layers, int stages) {
  std::vector<int> sizes(static_cast<std::size_t>(stages), layers / stages);
  for (int left = layers % stages, stage = stages - 2; left > 0;
       --left, stage = stage > 0 ? stage - 1 : stages - 1)
    ++sizes[static_cast<std::size_t>(stage)];
  std::vector<LayerRange> ranges;
  int begin = 0;
  for (const int size : sizes) {
    ranges.push_back({begin, begin + size});
    begin += size;
  }
  return ranges;
}

}  // namespace sextant::measure
