#include "calibrate/measure/device/stage_runner.hpp"

#include <algorithm>

#include "calibrate/measure/device/check.hpp"

namespace sextant::measure {
namespace {

constexpr int most_microbatches = 64;
constexpr std::size_t most_batch = 4096;

}  // namespace

StageRunner::StageRunner(const StagePart& part, const Blas& blas, const Cudnn* cudnn, const NcclLibrary* nccl,
                         const StepComms& comms)
    : nccl_(nccl),
      comms_(comms),
      model_(part, blas, cudnn, nccl, comms.tensor, compute_),
      token_ring_(most_microbatches * most_batch * sizeof(std::int32_t)) {}

void StageRunner::prepare(const StepCase& item) {
  graphs_.clear();
  batch_ = item.batch;
  model_.prepare(item);
}

void StageRunner::capture(StageFamily family) {
  graphs_.clear();
  model_.restrict_to(family);
  for (int slot = 0; slot < 2; ++slot) {
    model_.enqueue(slot);
    compute_.wait();
  }
  for (int slot = 0; slot < 2; ++slot) graphs_.emplace_back(compute_, [&] { model_.enqueue(slot); });
}

void StageRunner::receive_state(int slot) {
  const auto count = static_cast<std::size_t>(model_.state_values());
  nccl_->check(nccl_->group_start(), "ncclGroupStart");
  nccl_->check(nccl_->receive(model_.hidden(slot), count, ncclBfloat16, 0, comms_.from_before, compute_),
               "ncclRecv");
  nccl_->check(nccl_->receive(model_.residual(slot), count, ncclBfloat16, 0, comms_.from_before, compute_),
               "ncclRecv");
  nccl_->check(nccl_->group_end(), "ncclGroupEnd");
}

void StageRunner::send_state(int slot) {
  const auto count = static_cast<std::size_t>(model_.state_values());
  computed_[slot].record(compute_);
  SEXTANT_CUDA(cudaStreamWaitEvent(sending_, computed_[slot], 0));
  nccl_->check(nccl_->group_start(), "ncclGroupStart");
  nccl_->check(nccl_->send(model_.hidden(slot), count, ncclBfloat16, 1, comms_.to_next, sending_),
               "ncclSend");
  nccl_->check(nccl_->send(model_.residual(slot), count, ncclBfloat16, 1, comms_.to_next, sending_),
               "ncclSend");
  nccl_->check(nccl_->group_end(), "ncclGroupEnd");
  sent_[slot].record(sending_);
}

// The ring has a place for each microbatch: with fewer, this stage would wait for the first one to fetch its
// tokens, which in turn waits for this one to fetch its state.
void StageRunner::send_tokens(int microbatch) {
  auto* place =
      token_ring_.at<std::int32_t>(static_cast<std::size_t>(microbatch) * most_batch * sizeof(std::int32_t));
  const auto count = static_cast<std::size_t>(batch_);
  SEXTANT_CUDA(
      cudaMemcpyAsync(place, model_.ids(), count * sizeof(std::int32_t), cudaMemcpyDeviceToDevice, compute_));
  sampled_.record(compute_);
  SEXTANT_CUDA(cudaStreamWaitEvent(tokens_, sampled_, 0));
  nccl_->check(nccl_->send(place, count, ncclInt32, 0, comms_.tokens, tokens_), "ncclSend");
}

void StageRunner::pass(int number, int microbatch, bool tokens_before, bool tokens_after, const Event& begin,
                       const Event& end) {
  const int slot = number % 2;
  const bool first = model_.part().first, last = model_.part().last;
  if (!last && number >= 2) SEXTANT_CUDA(cudaStreamWaitEvent(compute_, sent_[slot], 0));
  if (!first) receive_state(slot);
  if (first && !last && tokens_before)
    nccl_->check(
        nccl_->receive(model_.ids(), static_cast<std::size_t>(batch_), ncclInt32, 1, comms_.tokens, compute_),
        "ncclRecv");
  begin.record(compute_);
  graphs_[static_cast<std::size_t>(slot)].launch(compute_);
  end.record(compute_);
  if (!last) send_state(slot);
  if (last && !first && tokens_after) send_tokens(microbatch);
}

void StageRunner::run(int rounds, int microbatches) {
  const auto passes = static_cast<std::size_t>(rounds) * static_cast<std::size_t>(microbatches);
  std::vector<Event> begins(passes), ends(passes);
  for (int round = 0; round < rounds; ++round)
    for (int microbatch = 0; microbatch < microbatches; ++microbatch) {
      const int number = round * microbatches + microbatch;
      const auto index = static_cast<std::size_t>(number);
      pass(number, microbatch, round > 0, round + 1 < rounds, begins[index], ends[index]);
    }
  compute_.wait();
  sending_.wait();
  tokens_.wait();
  round_us_.clear();
  pass_us_.clear();
  const std::size_t filling = std::min<std::size_t>(2, static_cast<std::size_t>(rounds) / 2);
  const auto per_round = static_cast<std::size_t>(microbatches);
  for (std::size_t round = filling; round < static_cast<std::size_t>(rounds); ++round) {
    const std::size_t last = (round + 1) * per_round - 1;
    round_us_.push_back(microseconds(ends[last - per_round], ends[last]));
    for (std::size_t i = round * per_round; i <= last; ++i)
      pass_us_.push_back(microseconds(begins[i], ends[i]));
  }
}

}  // namespace sextant::measure
