#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "calibrate/measure/common/gpu_points.hpp"
#include "calibrate/measure/common/step_case.hpp"

namespace sextant::measure {

/// What a user asks for; empty lists mean the usual.
struct StepPlanOptions {
  Depth depth = Depth::standard;
  std::vector<std::string> models, weights, kv, phases = {"decode", "prefill"};
  std::vector<std::int64_t> tp = {1}, pp = {1}, ep = {1}, batches, contexts, microbatches;
};

/// One layout and what it runs, coarse first.
struct StepPlan {
  StepLayout layout;
  std::vector<StepCase> cases;
};

/// With models: every combination that needs no more than `gpus` and in which ep is 1 or tp. Without:
/// Llama 3.1 8B and 70B in bf16 and 405B in fp8, in the layouts that use exactly `gpus`. Throws InputError
/// for an unknown model, number type or phase, and an ep that fits no tp or divides no experts.
std::vector<StepPlan> step_plans(const StepPlanOptions&, int gpus);

/// Seconds that it takes to load and run, roughly.
double rough_seconds(const StepPlan&);

}  // namespace sextant::measure
