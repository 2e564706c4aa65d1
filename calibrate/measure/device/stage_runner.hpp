#pragma once
#include <memory>
#include <string>
#include <vector>

#include "calibrate/measure/device/graph_timer.hpp"
#include "calibrate/measure/device/stage_model.hpp"
#include "calibrate/measure/device/step_comms.hpp"

namespace sextant::measure {

/// One GPU's part in rounds: receives, runs its stage's CUDA graph, sends on. Sends run beside the next
/// microbatch's kernels, as in a serving engine; two sets of activations take turns.
class StageRunner {
 public:
  StageRunner(const StagePart&, const Blas&, const Cudnn*, const NcclLibrary*, const StepComms&);
  void prepare(const StepCase&);
  /// Runs the stage once without a graph, then captures it for both sets of activations; or one family of its
  /// operators.
  void capture(StageFamily = StageFamily::all);
  /// Every microbatch goes through every stage that often. All GPUs of the layout must call it alike.
  void run(int rounds, int microbatches);
  /// Of the last run, on the last stage: times between ends of rounds, without the first ones, in which the
  /// pipeline fills.
  const std::vector<double>& round_us() const { return round_us_; }
  /// Of the last run: times of the stage's graph.
  const std::vector<double>& pass_us() const { return pass_us_; }
  std::string note() const { return model_.note(); }
  bool has_experts() const { return model_.part().experts > 0; }
  bool output_is_finite() const { return model_.output_is_finite(0); }

 private:
  void pass(int number, int microbatch, bool tokens_before, bool tokens_after, const Event& begin,
            const Event& end);
  void receive_state(int slot);
  void send_state(int slot);
  void send_tokens(int microbatch);
  const NcclLibrary* nccl_;
  StepComms comms_;
  Stream compute_, sending_, tokens_;
  StageModel model_;
  std::int64_t batch_ = 0;
  std::vector<Graph> graphs_;
  Event computed_[2], sent_[2], sampled_;
  DeviceBuffer token_ring_;  ///< the last stage's tokens of every microbatch, on their way to the first
  std::vector<double> round_us_, pass_us_;
};

}  // namespace sextant::measure
