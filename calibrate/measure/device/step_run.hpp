#pragma once
#include <functional>
#include <string>
#include <vector>

#include "calibrate/measure/common/step_case.hpp"

namespace sextant::measure {

/// What one case took.
struct StepResult {
  double ms = 0;                 ///< of a round in steady state
  std::vector<double> stage_ms;  ///< of one pass of each stage's kernels and collectives, without hops
  std::string note;
};

struct StepRunOptions {
  double seconds = 0.5;  ///< of timed rounds for each case
  int least_rounds = 5;
  int most_rounds = 300;
  int most_operator_rounds = 50;
  bool operators = false;  ///< time each family of operators alone too, for the note
};

/// What a run tells while it goes on; calls come one at a time. `begin` returns false to leave a case out.
struct StepListener {
  std::function<bool(const StepCase&)> begin;
  std::function<void(const StepCase&, const StepResult&)> done;
  std::function<void(const StepCase&, const std::string& reason)> skipped;
};

/// Runs a model's cases on GPUs 0 .. tp * pp - 1 of this host, one thread each. Throws Error where the layout
/// cannot be run at all; an error in the middle of a case ends the process with exit code context_lost,
/// because the other GPUs would wait for ever.
void run_steps(const StepLayout&, const std::vector<StepCase>&, const StepRunOptions&, const StepListener&);

}  // namespace sextant::measure
